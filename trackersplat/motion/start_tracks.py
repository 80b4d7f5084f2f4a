"""Starts sparse tracks on a grid: at the first frame everywhere, later where no track is seen any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import uploaded
from trackersplat.geometry.neighbours import nearest_to
from trackersplat.geometry.quaternions import quaternion_to_matrix
from trackersplat.motion.followed_tracks import FollowedTracks, FollowSettings, track_ids
from trackersplat.motion.mask_images import MaskImages, Masks
from trackersplat.motion.rendered_depth import DepthImages, PointViews, render_depth
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracks import Provenance


def start_tracks(
    cameras: Sequence[Camera],
    gaussians: Gaussians,
    rasterizer: Rasterizer,
    frame: int,
    settings: FollowSettings,
    provenance: Provenance,
    masks: Masks | None = None,
) -> FollowedTracks:
    """Tracks on a grid in every camera, on the rasterizer's device. ``gaussians`` are those of the frame.

    A track starts at the pixel at the middle of a grid cell, unless there is no surface, or an edge of the rendered depth or of the
    ``masks``: a point between two surfaces has no motion of its own.
    """
    device = rasterizer.device
    floats = {"query": (0, 3), "positions": (0, 2), "visibility": (0,), "confidence": (0,), "points": (0, 3)}
    none = FollowedTracks(
        frame=frame,
        cameras=tuple(camera.name for camera in cameras),
        provenance=provenance,
        ids=torch.zeros(0, dtype=torch.int64, device=device),
        ends=torch.zeros(0, dtype=torch.uint8, device=device),
        hidden=torch.zeros(0, dtype=torch.int32, device=device),
        carriers=torch.zeros((0, settings.carriers), dtype=torch.int32, device=device),
        **{name: torch.zeros(shape, device=device) for name, shape in floats.items()},
    )
    gaussians = gaussians.detach().to(device)
    return with_new_tracks(none, gaussians, surface_of(gaussians, cameras, rasterizer, settings), cameras, settings, masks)


def surface_of(gaussians: Gaussians, cameras: Sequence[Camera], rasterizer: Rasterizer, settings: FollowSettings) -> DepthImages:
    """What `render_depth` sees by these settings."""
    return render_depth(
        rasterizer,
        gaussians,
        cameras,
        scale=settings.depth_scale,
        minimum_alpha=settings.minimum_alpha,
        tolerance=settings.surface_tolerance,
    )


def with_new_tracks(
    state: FollowedTracks,
    gaussians: Gaussians,
    depth: DepthImages,
    cameras: Sequence[Camera],
    settings: FollowSettings,
    masks: Masks | None,
) -> FollowedTracks:
    """The state with new tracks in the grid cells that no visible track covers, as many as the settings allow.

    ``gaussians``, ``depth`` and ``masks`` are those of the state's frame.
    """
    cells = GridCells.of(cameras, settings)
    alive, of_camera = state.alive, state.camera
    # Two looks at the host, on a GPU each waits for it: how many tracks there are, and which cells are free.
    counts = torch.stack((of_camera, alive.long())).cpu()
    there = torch.bincount(counts[0], minlength=len(cameras))
    living = torch.bincount(counts[0], weights=counts[1].double(), minlength=len(cameras)).tolist()
    # Positions of tracks that are not seen are far from everything.
    taken = torch.where((alive & (state.hidden == 0))[:, None], state.positions, torch.inf)
    device = taken.device
    camera, pixels = uploaded(cells.camera, device, torch.int64), uploaded(cells.middles, device, torch.float32)
    free = free_cells(cells, taken, of_camera, there)
    if masks:
        free &= ~MaskImages.of(masks, [view.name for view in cameras], device).at_borders(pixels, camera)
    surface = depth.at(pixels, camera)
    chosen = _within_rooms(free & surface.is_whole, cells, [max(settings.maximum - int(number), 0) for number in living])
    places = uploaded(chosen, device, torch.int64)
    ids = uploaded(track_ids(cells.camera[chosen], state.frame, cells.cell[chosen]), device, torch.int64)
    new = NewTracks(ids, camera[places], pixels[places], surface.depth[places])
    return with_tracks(state, new, gaussians, cameras, settings)


@dataclass(frozen=True, eq=False)
class NewTracks:
    """Q tracks that begin in a frame."""

    ids: Tensor  # (Q,) int64
    camera: Tensor  # (Q,) int64 indices
    pixels: Tensor  # (Q, 2) float32, rounded
    depth: Tensor  # (Q,) float64 of the surface there


def with_tracks(
    state: FollowedTracks, new: NewTracks, gaussians: Gaussians, cameras: Sequence[Camera], settings: FollowSettings
) -> FollowedTracks:
    """The state with these tracks, whose ids are new; ``gaussians`` are those of its frame."""
    points = PointViews.of(cameras, new.camera).back_project(new.pixels, new.depth)
    begun = replace(
        state,
        ids=new.ids,
        query=torch.cat((torch.full_like(new.pixels[:, :1], state.frame), new.pixels), dim=1),
        positions=new.pixels,
        visibility=torch.ones_like(new.pixels[:, 0]),
        confidence=torch.ones_like(new.pixels[:, 0]),
        ends=torch.zeros_like(new.camera, dtype=torch.uint8),
        hidden=torch.zeros_like(new.camera, dtype=torch.int32),
        points=points.float(),
        carriers=carriers_of(points, gaussians, settings),
    )
    added = begun.tensors()
    both = state.with_tensors({name: torch.cat((old, added[name])) for name, old in state.tensors().items()})
    return both[both.ids.argsort()]


@dataclass(frozen=True, eq=False)
class GridCells:
    """The grid cells of all cameras, camera by camera, rows first. On the CPU: they follow from the cameras' sizes alone."""

    camera: Tensor  # (P,) int64 indices
    cell: Tensor  # (P,) int64 indices in the camera's grid
    middles: Tensor  # (P, 2) float32, which are pixel centres
    reach: Tensor  # (C,) float32 px: a track this near to its middle takes a cell
    starts: tuple[int, ...]  # (C + 1,) where the cells of each camera begin

    @staticmethod
    def of(cameras: Sequence[Camera], settings: FollowSettings) -> GridCells:
        return _cells_of(tuple((camera.width, camera.height) for camera in cameras), settings.spacing, settings.gap)

    def of_camera(self, index: int) -> slice:
        return slice(self.starts[index], self.starts[index + 1])


@lru_cache(maxsize=4)
def _cells_of(sizes: tuple[tuple[int, int], ...], spacing: float, gap: float) -> GridCells:
    grids, reach = [], []
    for width, height in sizes:
        pitch = max(spacing * max(width, height), 1.0)
        columns, rows = max(round(width / pitch), 1), max(round(height / pitch), 1)
        x = ((torch.arange(columns) + 0.5) * (width / columns)).floor() + 0.5
        y = ((torch.arange(rows) + 0.5) * (height / rows)).floor() + 0.5
        grids.append(torch.cartesian_prod(y, x).reshape(-1, 2).flip(-1))
        reach.append(gap * pitch)
    counts = torch.tensor([len(grid) for grid in grids])
    return GridCells(
        camera=torch.arange(len(grids)).repeat_interleave(counts),
        cell=torch.cat([torch.arange(len(grid)) for grid in grids]),
        middles=torch.cat(grids),
        reach=torch.tensor(reach),
        starts=(0, *counts.cumsum(0).tolist()),
    )


def free_cells(cells: GridCells, taken: Tensor, of_camera: Tensor, there: Tensor) -> Tensor:
    """(P,) bool: which cells are far from the positions ``taken`` (Q, 2) of their camera, which are on the same device as the result.

    Positions stand camera by camera: ``of_camera`` (Q,) tells which, and ``there`` (C,), on the CPU, how many there are in each.
    """
    most, device = int(there.max()), taken.device
    camera, pixels = uploaded(cells.camera, device, torch.int64), uploaded(cells.middles, device, torch.float32)
    if not most:
        return torch.ones_like(camera, dtype=torch.bool)
    # A row of positions for each camera, filled up with such that are far from everything.
    rows = torch.full((len(there), most, 2), torch.inf, device=device)
    begins = uploaded(there.cumsum(0) - there, device, torch.int64)
    rows[of_camera, torch.arange(len(taken), device=device) - begins[of_camera]] = taken
    widest = max(stop - start for start, stop in pairwise(cells.starts))
    place = camera * widest + uploaded(cells.cell, device, torch.int64)
    grids = torch.zeros(len(there) * widest, 2, device=device).index_copy_(0, place, pixels).reshape(len(there), widest, 2)
    nearest = torch.cdist(grids, rows, compute_mode="donot_use_mm_for_euclid_dist").amin(dim=2).flatten()[place]
    return nearest >= uploaded(cells.reach, device, torch.float32)[camera]


def _within_rooms(free: Tensor, cells: GridCells, rooms: Sequence[int]) -> Tensor:
    """(R,) int64, on the CPU: the ``free`` cells (P,) bool, of each camera as many as it has room for, evenly over its image."""
    found = free.cpu().numpy()
    chosen = [np.zeros(0, np.int64)]
    for index, room in enumerate(rooms):
        own = cells.of_camera(index)
        those = own.start + np.flatnonzero(found[own])
        chosen.append(those if len(those) <= room else those[torch.linspace(0, len(those) - 1, room).round().long().numpy()])
    return torch.from_numpy(np.concatenate(chosen))


def carriers_of(points: Tensor, gaussians: Gaussians, settings: FollowSettings) -> Tensor:
    """(P, k) int32: of the nearest Gaussians those of the largest opacity times density at the point, largest first; -1 where too few.

    The density is that of Gaussians no thinner than the distance to the nearest mean: rendered surfaces lie a little before the means.
    """
    carriers = torch.full((len(points), settings.carriers), -1, dtype=torch.int32, device=points.device)
    count = min(settings.carrier_candidates, len(gaussians))
    if not count or not len(points):
        return carriers
    indices, distances = nearest_to(points, gaussians.means, count)
    offset = points[:, None] - gaussians.means[indices].double()
    axes = quaternion_to_matrix(gaussians.quats[indices].double())
    sizes = gaussians.scales[indices].double().maximum(distances[:, :1, None].clamp_min(1e-9))
    local = (axes.transpose(-1, -2) @ offset[..., None])[..., 0] / sizes
    opacity = torch.nn.functional.logsigmoid(gaussians.opacity_logits[indices].double())
    order = (opacity - 0.5 * local.square().sum(-1) - sizes.log().sum(-1)).argsort(dim=1, descending=True, stable=True)
    best = indices.gather(1, order[:, : settings.carriers])
    carriers[:, : best.shape[1]] = best.int()
    return carriers
