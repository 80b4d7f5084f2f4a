"""Tracks that agree between views: every point of a surface has one place in space, and so one in every view.

A point of the base frame is lifted by the depth there, projected into the views that see it, and followed in each by that view's own
tracks. Robust triangulation of where they lead gives its place in a target frame (`triangulate`), and its reprojection replaces the
track of every single view: it is more exact than each, and right where one view has lost the point. The place in space also tells whether
other followed points lie in front of it. What the views do not support stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.geometry.projection import inside_image
from trackersplat.tracking.consistency.settings import ConsistencySettings
from trackersplat.tracking.consistency.surfaces import Surface, covered, sample
from trackersplat.tracking.consistency.triangulate import triangulate
from trackersplat.tracking.tracker import PointMotion
from trackersplat.tracking.tracks import DenseTracks

_AT_ONCE = 1 << 16  # points, for the memory: about 100 bytes each and view


def agree_on_pixels(surfaces: Sequence[Surface], tracks: Sequence[DenseTracks], settings: ConsistencySettings) -> Iterator[DenseTracks]:
    """The tracks of every view with what all views say about them, in the order of the views, on the device of the tracks.

    ``surfaces`` and ``tracks``: of the same views, one or more, at the same base frame. Raises ShapeError if they do not fit each other.
    """
    rig = _Rig.of(surfaces, tracks, settings)
    for view, own in enumerate(tracks):
        height, width = own.positions.shape[1:3]
        pixels = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1).reshape(-1, 2)
        found = rig.follow(view, pixels).reshape(len(own.targets), height, width, 4)
        positions, visibility, confidence = _tensors(found, own.positions.device)
        yield replace(own, positions=positions, visibility=visibility, confidence=confidence)


def agree_on_points(
    surfaces: Sequence[Surface], tracks: Sequence[DenseTracks], queries: Sequence[Tensor], settings: ConsistencySettings
) -> list[PointMotion]:
    """`agree_on_pixels` for chosen points alone: per view (P, 2) px of the base frame; one `PointMotion` (1, F, P, ...) per view."""
    rig = _Rig.of(surfaces, tracks, settings)
    if len(queries) != len(tracks):
        raise ShapeError(f"Points of {len(queries)} views were asked for, there are tracks of {len(tracks)}.")
    parts = (rig.follow(view, points.detach().cpu().double().numpy()) for view, points in enumerate(queries))
    return [PointMotion(*_tensors(part[None], own.positions.device)) for part, own in zip(parts, tracks, strict=True)]


def _tensors(found: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Positions (..., 2), visibility and confidence."""
    values = torch.from_numpy(found.astype(np.float32)).to(device)
    return values[..., :2].contiguous(), values[..., 2].contiguous(), values[..., 3].contiguous()


@dataclass(frozen=True, eq=False)
class _Followed:
    """N points in one target frame."""

    points: np.ndarray  # (N, 3) world
    left: np.ndarray  # (N, V) weight of every view that agrees
    offered: np.ndarray  # (N,) number of views that see the point in the base frame, 0 if its depth is unknown


class _Rig:
    """Several views with their tracks, and points on a grid of each of them, which cover others."""

    def __init__(self, surfaces: Sequence[Surface], fields: Sequence[np.ndarray], settings: ConsistencySettings) -> None:
        self.surfaces, self.fields, self.settings = surfaces, fields, settings
        self.targets = len(fields[0])
        cameras = [surface.camera for surface in surfaces]
        self.projections = np.stack([camera.K @ camera.world_to_camera[:3] for camera in cameras])
        covering: list[list[np.ndarray]] = [[] for _ in range(self.targets)]
        for view, camera in enumerate(cameras):
            step = max(1.0, max(camera.width, camera.height) * settings.grid_step)
            grid = np.stack(np.meshgrid(np.arange(step / 2, camera.width, step), np.arange(step / 2, camera.height, step)), axis=-1)
            for target, followed in enumerate(self._places(view, grid.reshape(-1, 2))):
                agreeing = (followed.left > settings.half_own).sum(1) >= 2
                covering[target].append(followed.points[agreeing])
        self.covering = [np.concatenate(parts) for parts in covering]

    @staticmethod
    def of(surfaces: Sequence[Surface], tracks: Sequence[DenseTracks], settings: ConsistencySettings) -> _Rig:
        sizes = [(surface.camera.height, surface.camera.width) for surface in surfaces]
        about = {(dense.base, dense.targets) for dense in tracks}
        if len(about) != 1 or sizes != [tuple(dense.positions.shape[1:3]) for dense in tracks]:
            raise ShapeError(f"Tracks of {len(tracks)} views about {about} need surfaces of the same views, got sizes {sizes}.")
        return _Rig(surfaces, [_field(dense) for dense in tracks], settings)

    def follow(self, view: int, pixels: np.ndarray) -> np.ndarray:
        """(F, N, 4): position, visibility and confidence of ``pixels`` (N, 2) of one view in every target."""
        parts = [self._follow(view, pixels[start : start + _AT_ONCE]) for start in range(0, len(pixels), _AT_ONCE)]
        return np.concatenate(parts, axis=1) if parts else np.empty((self.targets, 0, 4))

    def _follow(self, view: int, pixels: np.ndarray) -> np.ndarray:
        settings, camera = self.settings, self.surfaces[view].camera
        footprint = max(1.0, max(camera.width, camera.height) * settings.footprint)
        result = np.empty((self.targets, len(pixels), 4))
        for target, followed in enumerate(self._places(view, pixels)):
            own = sample(self.fields[view][target], pixels)
            result[target] = np.concatenate((pixels + own[:, :2], own[:, 2:]), axis=1)
            mine = followed.left[:, view]
            others = followed.left.sum(1) - mine
            at, depth = camera.project(followed.points)
            covering = camera.project(self.covering[target])
            hidden = covered((at, depth), covering, camera, footprint, settings.depth_tolerance, settings.few_covering)
            support = others / (others + settings.half_support)
            seen = mine / (mine + settings.half_own)
            visibility = seen + (1.0 - seen) * support * np.maximum(settings.visible_share - hidden, 0.0)
            visibility *= inside_image(at, camera.width, camera.height)
            moved = (followed.offered >= 2) & (others >= settings.least_support) & (depth > camera.near)
            agreed = np.concatenate((at, visibility[:, None], np.maximum(support, mine)[:, None]), axis=1)
            result[target] = np.where(moved[:, None], agreed, result[target])
        return result

    def _places(self, view: int, pixels: np.ndarray) -> Iterator[_Followed]:
        """The ``pixels`` (N, 2) of one view in space, in one target after the other."""
        settings, count, views = self.settings, len(pixels), len(self.surfaces)
        points = self.surfaces[view].lift(pixels, settings.surface_tolerance)
        known = np.isfinite(points).all(1)
        points = np.where(known[:, None], points, 0.0)
        starts, sees = np.empty((count, views, 2)), np.zeros((count, views), bool)
        for other, surface in enumerate(self.surfaces):
            starts[:, other], depth = surface.camera.project(points)
            sees[:, other] = known & surface.sees(starts[:, other], depth, settings.depth_tolerance)
        starts[:, view], sees[:, view] = pixels, known
        offered = sees.sum(1)
        for target in range(self.targets):
            candidates, weights = np.zeros((count, views, 1, 2)), np.zeros((count, views, 1))
            for other, fields in enumerate(self.fields):
                chosen = np.flatnonzero(sees[:, other])
                found = sample(fields[target], starts[chosen, other])
                trust = found[:, 2] * found[:, 3]
                trust = np.where(np.isfinite(found).all(1) & (trust > 0), np.maximum(trust, settings.least_weight), 0.0)
                candidates[chosen, other, 0] = np.nan_to_num(starts[chosen, other] + found[:, :2])
                weights[chosen, other, 0] = trust
            points, left = triangulate(
                self.projections, candidates, weights, points, settings.tolerance_px, settings.paired_views, settings.steps
            )
            yield _Followed(points, left, offered)


def _field(dense: DenseTracks) -> np.ndarray:
    """(F, H, W, 4) float32: displacement, visibility and confidence of every pixel."""
    height, width = dense.positions.shape[1:3]
    grid = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1).astype(np.float32)
    parts = (dense.positions.cpu().numpy() - grid, dense.visibility.cpu().numpy()[..., None], dense.confidence.cpu().numpy()[..., None])
    return np.ascontiguousarray(np.concatenate(parts, axis=-1), np.float32)
