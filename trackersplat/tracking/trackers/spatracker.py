"""SpatialTracker (Xiao et al. 2024) and SpatialTrackerV2 (2025): points in 3D from one view and its depth.

Every point is followed in the view that sees it best when it starts. Depths are given, so what they answer is in the units of the capture.
"""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from trackersplat.captures.camera import Camera
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.tracker3d import Clip3D, PointMotion3D, check_queries, depth_at, matrices, project, unproject
from trackersplat.tracking.trackers.learned_tracker import LearnedTracker, at_least
from trackersplat.tracking.trackers.working_size import Pixels, WorkingSize
from trackersplat.tracking.weights import put_into, read_state


def best_views(clip: Clip3D, queries: Tensor, hidden_share: float) -> Tensor:
    """(P,) the view that sees each query (P, 4) largest; of those that do not see it, the one where least is in front of it."""
    intrinsics, poses = matrices(clip.cameras, clip.device)
    scores = []
    for index, camera in enumerate(clip.cameras):
        pixels, depth = project(queries[:, 1:], intrinsics[index], poses[index])
        inside = (depth > 0) & (pixels >= 0).all(-1) & (pixels[:, 0] < camera.width) & (pixels[:, 1] < camera.height)
        there = torch.stack([depth_at(clip.depths[index][int(t)], pixel[None])[0] for t, pixel in zip(queries[:, 0], pixels, strict=True)])
        in_front = ((depth - there) / depth.clamp_min(1e-9)).where(there > 0, 0.0)
        magnification = float(camera.fx) / depth.clamp_min(1e-9)
        score = torch.where(in_front <= hidden_share, 1.0 + magnification / (1.0 + magnification), -in_front)
        scores.append(score.where(inside, -torch.inf))
    return torch.stack(scores).argmax(0)


class _Monocular(LearnedTracker):
    """A `Tracker3D` that follows each point in one view."""

    @abstractmethod
    def follow_in_view(self, frames: Tensor, depths: Tensor, camera: Camera, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """World positions (T, P, 3), visibility and confidence (T, P) of queries (P, 4): frame index, our pixels, depth in this view."""

    def track_points(self, clip: Clip3D, queries: Tensor) -> PointMotion3D:
        """See `tracker3d.Tracker3D`."""
        check_queries(queries, clip)
        intrinsics, poses = matrices(clip.cameras, clip.device)
        views = best_views(clip, queries, self.settings.hidden_share)
        positions = torch.full((len(clip.frames), len(queries), 3), torch.nan, device=clip.device)
        visibility, confidence = (torch.zeros(positions.shape[:2], device=clip.device) for _ in range(2))
        for index in views.unique().tolist():
            chosen = views == index
            pixels, depth = project(queries[chosen, 1:], intrinsics[index], poses[index])
            asked = torch.cat((queries[chosen, :1].round(), pixels, depth[:, None]), dim=1)
            with torch.no_grad(), self.upstream.imported():
                answer = self.follow_in_view(clip.images[index], clip.depths[index], clip.cameras[index], asked)
            positions[:, chosen], visibility[:, chosen], confidence[:, chosen] = (values.float().to(clip.device) for values in answer)
        return PointMotion3D.after_query(positions, visibility, confidence, queries)


class SpaTracker(_Monocular):
    """The first SpatialTracker. It says no confidence. Images 0-255, pixel centres at integers, queries (t, x, y, depth).

    It takes depths below 0.01 for unknown ones, so the median depth is made 1 for it.
    """

    facts = TRACKERS.facts("spatracker")

    def build(self, paths: Sequence[Path]) -> nn.Module:
        """See `LearnedTracker.build`."""
        _restore_compiler()
        network = self.upstream.attribute("models.spatracker.models.core.spatracker.spatracker:SpaTracker")
        model: nn.Module = network(stride=4, S=self.settings.window, add_space_attn=True, space_depth=6, time_depth=6)
        wanted = model.state_dict()  # the file has the weights of a depth network, too
        state = {name: value for name, value in read_state(paths[0], "model").items() if name in wanted}
        put_into(model, state, paths[0])
        return model

    def follow_in_view(self, frames: Tensor, depths: Tensor, camera: Camera, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `_Monocular.follow_in_view`."""
        count, work = len(frames), WorkingSize((camera.width, camera.height), tuple(self.settings.size), Pixels.INTEGER_CENTRES)
        unit = torch.cat((depths[depths > 0], queries[:, 3])).median()
        near = interpolate(depths[:, None] / unit, work.target[::-1], mode="nearest-exact")
        video = at_least(torch.cat((work.images(frames), near), dim=1), self.settings.window)[None]
        asked = torch.cat((queries[:, :1], work.to_model(queries[:, 1:3]), queries[:, 3:] / unit), dim=1)
        (intrinsics,), (pose,) = matrices((camera,), frames.device)
        working = intrinsics.clone()
        working[:2] *= intrinsics.new_tensor([a / b for a, b in zip(work.target, work.source, strict=True)])[:, None]
        working[:2, 2] -= 0.5
        tracks, _, visibility = self.model(
            rgbds=video,
            queries=torch.cat((asked, self._support(near[0, 0])))[None],
            iters=self.settings.iterations,
            intrs=working.float()[None, None].expand(1, video.shape[1], -1, -1),
            wind_S=self.settings.window,
        )
        tracks, visibility = tracks[0, :count, : len(queries)], visibility[0, :count, : len(queries)]
        world = unproject(work.from_model(tracks[..., :2]), tracks[..., 2] * unit, intrinsics, pose)
        return world, visibility, torch.ones_like(visibility)

    def _support(self, depth: Tensor) -> Tensor:
        """(S, 4) queries of a grid across the first frame, where its depth (h, w) is known."""
        side = self.settings.support_grid
        height, width = depth.shape
        x, y = ((torch.arange(side, device=depth.device) + 0.5) * length / side - 0.5 for length in (width, height))
        points = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
        there = depth_at(depth, points + 0.5)
        return torch.cat((torch.zeros_like(points[:, :1]), points, there[:, None]), dim=1)[there > 0]


def _restore_compiler() -> None:
    """CuPy 13 took away the function with which the published code compiles its kernel; here it is again, with what replaces it."""
    cupy = importlib.import_module("cupy")
    if not hasattr(cupy.cuda, "compile_with_cache"):
        cupy.cuda.compile_with_cache = lambda source, options=(): cupy.RawModule(code=source, options=options)


class SpaTrackerV2(_Monocular):
    """SpatialTrackerV2, offline. Images 0-255, poses camera to world, the first camera at the origin; positions of the camera's space.

    It looks up the depth of a point itself, so a point where the view has no depth gets no confidence.
    """

    facts = TRACKERS.facts("spatracker-v2")
    shortest = 3  # frames that it needs: it takes second differences over time

    def build(self, paths: Sequence[Path]) -> nn.Module:
        """See `LearnedTracker.build`: from the folder of the weights, in which its configuration is, too."""
        predictor = self.upstream.attribute("models.SpaTrackV2.models.predictor:Predictor")
        model: Any = predictor.from_pretrained(str(paths[0].parent))
        model.spatrack.track_num = self.settings.bundle_points
        made: nn.Module = model
        return made

    def follow_in_view(self, frames: Tensor, depths: Tensor, camera: Camera, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `_Monocular.follow_in_view`. The camera does not move, and neither its pose nor its depths are adjusted."""
        asked_for = len(frames)
        frames, depths = at_least(frames, self.shortest), at_least(depths, self.shortest)
        scale = self.settings.longest_side / max(camera.width, camera.height)
        target = (max(14, round(camera.width * scale / 14) * 14), max(14, round(camera.height * scale / 14) * 14))
        work = WorkingSize((camera.width, camera.height), target, Pixels.INTEGER_CENTRES)
        (intrinsics,), (pose,) = matrices((camera,), frames.device)
        working = intrinsics.clone()
        working[:2] *= intrinsics.new_tensor([a / b for a, b in zip(work.target, work.source, strict=True)])[:, None]
        working[:2, 2] -= 0.5
        near = interpolate(depths[:, None], target[::-1], mode="nearest-exact")[:, 0]
        count = len(frames)
        asked = torch.cat((queries[:, :1], work.to_model(queries[:, 1:3])), dim=1)
        to_world, _, _, _, points, _, visibility, confidence, _ = self.model.forward(
            work.images(frames).cpu(),
            depth=near.cpu().numpy(),
            intrs=working.float().cpu()[None].expand(count, -1, -1),
            extrs=torch.eye(4).expand(count, -1, -1).numpy(),
            queries=asked.cpu().numpy(),
            fps=1,
            full_point=True,
            iters_track=self.settings.iterations,
            query_no_BA=True,
            fixed_cam=True,
            stage=1,
            unc_metric=None,
            support_frame=count - 1,
            replace_ratio=0.2,
        )
        to_world = to_world.to(points.device, points.dtype)
        local = torch.einsum("tij,tnj->tni", to_world[:, :3, :3], points[..., :3]) + to_world[:, None, :3, 3]
        world = (local.double().to(pose.device) - pose[:3, 3]) @ pose[:3, :3]
        known = torch.stack([depth_at(near[int(time)], at[None] + 0.5)[0] for time, at in zip(asked[:, 0], asked[:, 1:], strict=True)]) > 0
        confidence = confidence.reshape(count, -1) * known.to(confidence.device)
        return world[:asked_for], visibility.reshape(count, -1)[:asked_for], confidence[:asked_for]
