"""MVTracker (Rajic et al. 2025): points of the scene in all views together, over the point cloud that depths make of the views.

It was trained on scenes of one size that stand on a floor, z up: the scene is brought to that by a similarity transform, and what it
answers is brought back. Its images are in 0-255, its pixel centres at integers, its poses world to camera. Frames before a query are zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.tracker3d import Clip3D, PointMotion3D, check_queries, matrices, unproject
from trackersplat.tracking.trackers.learned_tracker import LearnedTracker, at_least
from trackersplat.tracking.trackers.mvtracker_settings import MVTrackerSettings
from trackersplat.tracking.weights import put_into, read_state


@dataclass(frozen=True, eq=False)
class Similarity:
    """From our world to another: ``x' = scale * rotation @ x + translation``."""

    scale: float
    rotation: Tensor  # (3, 3) float64
    translation: Tensor  # (3,) float64

    def apply(self, points: Tensor) -> Tensor:
        """(..., 3) there."""
        return (self.scale * (points.double() @ self.rotation.T) + self.translation).float()

    def undo(self, points: Tensor) -> Tensor:
        """(..., 3) back here."""
        return ((points.double() - self.translation) @ self.rotation / self.scale).float()

    def pose(self, world_to_camera: Tensor) -> Tensor:
        """(V, 4, 4) of the cameras there; their depths are ``scale`` times as large."""
        poses = world_to_camera.clone()
        poses[:, :3, :3] = world_to_camera[:, :3, :3] @ self.rotation.T
        poses[:, :3, 3] = self.scale * world_to_camera[:, :3, 3] - poses[:, :3, :3] @ self.translation
        return poses


def scene_similarity(points: Tensor, world_to_camera: Tensor, settings: MVTrackerSettings) -> Similarity:
    """To a scene with its middle over the origin, z up, its floor at 0, and the cameras at the distance of the training data.

    Up is against the mean of the cameras' y axes, which point down. ``points`` (N, 3) are what the views see.
    """
    up = -world_to_camera[:, 1, :3].mean(0)
    rotation = _rotation_to_z(up)
    middle = points.double().mean(0)
    turned = (points.double() - middle) @ rotation.T
    floor = turned[:, 2].quantile(settings.floor_share) if len(turned) < 1_000_000 else turned[:1_000_000, 2].quantile(settings.floor_share)
    centres = -torch.einsum("vji,vj->vi", world_to_camera[:, :3, :3], world_to_camera[:, :3, 3])
    lifted = (centres - middle) @ rotation.T - torch.stack((floor * 0, floor * 0, floor))
    scale = settings.camera_distance / float(lifted.norm(dim=1).median().clamp_min(1e-9))
    translation = -scale * (rotation @ middle)
    translation[2] -= scale * floor
    return Similarity(scale, rotation, translation)


def _rotation_to_z(up: Tensor) -> Tensor:
    """(3, 3) that turns ``up`` to +z by the smallest angle; none where it points nowhere."""
    length = float(up.norm())
    z = up.new_tensor((0.0, 0.0, 1.0))
    if length < 1e-6:
        return torch.eye(3, dtype=up.dtype, device=up.device)
    up = up / length
    axis, cosine = torch.linalg.cross(up, z), float(up[2])
    if cosine < -1 + 1e-9:
        return torch.diag(up.new_tensor((1.0, -1.0, -1.0)))
    x, y, w = axis.tolist()
    skew = up.new_tensor(((0, -w, y), (w, 0, -x), (-y, x, 0)))
    turned: Tensor = torch.eye(3, dtype=up.dtype, device=up.device) + skew + skew @ skew / (1 + cosine)
    return turned


class MVTracker(LearnedTracker):
    """A `Tracker3D`. Visibility is that of being seen in any view; it says no confidence."""

    facts = TRACKERS.facts("mvtracker")

    def build(self, paths: Sequence[Path]) -> nn.Module:
        """See `LearnedTracker.build`: as its hub entry configures the published weights."""
        network = self.upstream.attribute("mvtracker.models.core.mvtracker.mvtracker:MVTracker")
        model: nn.Module = network(
            sliding_window_len=self.settings.window, stride=4, normalize_scene_in_fwd_pass=False, fmaps_dim=128, add_space_attn=True,
            num_heads=6, hidden_size=256, space_depth=6, time_depth=6, num_virtual_tracks=64, use_flash_attention=False,
            corr_n_groups=1, corr_n_levels=4, corr_neighbors=16, corr_add_neighbor_offset=True, corr_add_neighbor_xyz=False,
            corr_filter_invalid_depth=False,
        )  # fmt: skip
        put_into(model, read_state(paths[0], "state_dict", "model", prefix="model."), paths[0])
        return model

    def track_points(self, clip: Clip3D, queries: Tensor) -> PointMotion3D:
        """See `tracker3d.Tracker3D`."""
        check_queries(queries, clip)
        count, device = len(clip.frames), clip.device
        intrinsics, poses = self._at_working_size(clip)
        images, depths = self._resized(clip)
        seen = self._seen_points(depths[:, 0], intrinsics, poses, every=8)
        there = scene_similarity(seen, poses, self.settings)
        support = self._seen_points(depths[:, 0], intrinsics, poses, self.settings.support_grid)
        points = torch.cat((there.apply(queries[:, 1:]), there.apply(support)))
        times = torch.cat((queries[:, 0].round(), torch.zeros(len(support), device=device)))
        extrinsics = there.pose(poses)[:, :3].float()
        length = max(count, self.settings.window)  # a clip that is no longer than half a window gets no answer
        with torch.no_grad(), self.upstream.imported():
            answer = self.model(
                rgbs=torch.stack([at_least(view, length) for view in images])[None],
                depths=torch.stack([at_least(view, length) for view in depths * there.scale])[None, :, :, None],
                query_points=torch.cat((times[:, None], points), dim=1)[None],
                intrs=intrinsics.float()[None, :, None].expand(1, -1, length, -1, -1),
                extrs=extrinsics[None, :, None].expand(1, -1, length, -1, -1),
                iters=self.settings.iterations,
            )
        positions = there.undo(answer["traj_e"][0, :count, : len(queries)])
        visibility = answer["vis_e"][0, :count, : len(queries)]
        return PointMotion3D.after_query(positions, visibility, torch.ones_like(visibility), queries)

    def _at_working_size(self, clip: Clip3D) -> tuple[Tensor, Tensor]:
        """Intrinsics for pixel centres at integers of the working images, and poses."""
        intrinsics, poses = matrices(clip.cameras, clip.device)
        for index, camera in enumerate(clip.cameras):
            ratio = [target / source for target, source in zip(self.settings.size, (camera.width, camera.height), strict=True)]
            intrinsics[index, :2] *= intrinsics.new_tensor(ratio)[:, None]
        intrinsics[:, :2, 2] -= 0.5
        return intrinsics, poses

    def _resized(self, clip: Clip3D) -> tuple[Tensor, Tensor]:
        """(V, T, 3, h, w) float32 in 0-255 and (V, T, h, w) depths, both by the nearest pixel, because depths must not mix."""
        size = tuple(self.settings.size[::-1])
        images = [interpolate(view.permute(0, 3, 1, 2).float(), size, mode="nearest-exact") for view in clip.images]
        depths = [interpolate(view[:, None], size, mode="nearest-exact")[:, 0] for view in clip.depths]
        return torch.stack(images), torch.stack(depths)

    @staticmethod
    def _seen_points(depths: Tensor, intrinsics: Tensor, poses: Tensor, grid: int | None = None, *, every: int = 1) -> Tensor:
        """World points (N, 3) of the known depths (V, h, w): those of a grid of pixels of each view, or of every n-th pixel."""
        height, width = depths.shape[1:]
        if grid is None:
            rows, columns = torch.arange(0, height, every), torch.arange(0, width, every)
        else:
            rows, columns = ((torch.arange(grid) + 0.5) * side / grid for side in (height, width))
        y, x = (values.to(depths.device).flatten() for values in torch.meshgrid(rows.long(), columns.long(), indexing="ij"))
        found = [torch.zeros(0, 3, device=depths.device)]
        for depth, K, pose in zip(depths, intrinsics, poses, strict=True):
            values = depth[y, x]
            known = values > 0
            found.append(unproject(torch.stack((x, y), -1)[known], values[known], K, pose))
        return torch.cat(found)
