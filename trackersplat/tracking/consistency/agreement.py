"""Tracks that agree between views: every point of a surface has one place in space, and so one in every view.

A point of the base frame is lifted by the depth there, projected into the views that see it, and followed in each by that view's own
tracks. Robust triangulation of where they lead gives its place in a target frame (`triangulate`), and its reprojection replaces the
track of every single view: it is more exact than each, and right where one view has lost the point. The place in space also tells whether
other followed points lie in front of it. What the views do not support stays as it is. Long clips have key frames (`keyframes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.geometry.projection import inside_image
from trackersplat.tracking.consistency.keyframes import KeyFrame, motion_of
from trackersplat.tracking.consistency.settings import ConsistencySettings, KeyFrameSettings
from trackersplat.tracking.consistency.surfaces import Surface, covered, sample
from trackersplat.tracking.consistency.triangulate import triangulate
from trackersplat.tracking.space_field import SpaceField
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
    surfaces: Sequence[Surface],
    tracks: Sequence[DenseTracks],
    queries: Sequence[Tensor],
    settings: ConsistencySettings,
    keys: Sequence[KeyFrame] = (),
    key_settings: KeyFrameSettings | None = None,
) -> list[PointMotion]:
    """`agree_on_pixels` for chosen points alone: per view (P, 2) px of the base frame; one `PointMotion` (1, F, P, ...) per view.

    From the ``keys``, which are targets, points are followed anew. Raises ShapeError also if they are of other views or frames.
    """
    rig = _Rig.of(surfaces, tracks, settings, keys, key_settings or KeyFrameSettings())
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

    start: np.ndarray  # (N, 3) world, in the base frame; 0 where it is not known
    points: np.ndarray  # (N, 3) world
    left: np.ndarray  # (N, V) weight of every view that agrees
    offered: np.ndarray  # (N,) number of views that see the point in the base frame, 0 if its depth is unknown


@dataclass(frozen=True, eq=False)
class _Starts:
    """Where N points start in the V views of one frame, and the fields that lead on from there."""

    pixels: np.ndarray  # (N, V, 2)
    sees: np.ndarray  # (N, V) bool
    trust: np.ndarray  # (N,) in [0, 1] that they are there
    fields: Sequence[np.ndarray]  # per view (F, H, W, 4)
    target: int  # index of the target that the first of the fields leads to

    @staticmethod
    def of(
        surfaces: Sequence[Surface], points: np.ndarray, trust: np.ndarray, following: tuple[Sequence[np.ndarray], int], tolerance: float
    ) -> _Starts:
        """Of points (N, 3) in the frame of the surfaces; those of trust 0 are seen nowhere."""
        pixels, sees = np.empty((len(points), len(surfaces), 2)), np.zeros((len(points), len(surfaces)), bool)
        for view, surface in enumerate(surfaces):
            pixels[:, view], depth = surface.camera.project(points)
            sees[:, view] = (trust > 0) & surface.sees(pixels[:, view], depth, tolerance)
        return _Starts(pixels, sees, trust, *following)

    def candidates(self, target: int, least_weight: float) -> tuple[np.ndarray, np.ndarray]:
        """(N, V, 2) px and the weights (N, V) of what the views say about a target."""
        at, weights = np.zeros(self.pixels.shape), np.zeros(self.sees.shape)
        for view, fields in enumerate(self.fields):
            chosen = np.flatnonzero(self.sees[:, view])
            found = sample(fields[target - self.target], self.pixels[chosen, view])
            trust = found[:, 2] * found[:, 3]
            trust = np.where(np.isfinite(found).all(1) & (trust > 0), np.maximum(trust * self.trust[chosen], least_weight), 0.0)
            at[chosen, view] = np.nan_to_num(self.pixels[chosen, view] + found[:, :2])
            weights[chosen, view] = trust
        return at, weights


class _Rig:
    """Several views with their tracks, and points on a grid of each of them, which cover others and tell how the space around moves."""

    def __init__(
        self,
        surfaces: Sequence[Surface],
        fields: Sequence[np.ndarray],
        settings: ConsistencySettings,
        keys: Mapping[int, tuple[KeyFrame, Sequence[np.ndarray]]],  # by the index of the target
        key_settings: KeyFrameSettings,
    ) -> None:
        self.surfaces, self.fields, self.settings = surfaces, fields, settings
        self.keys, self.key_settings = keys, key_settings
        self.targets = len(fields[0])
        cameras = [surface.camera for surface in surfaces]
        self.projections = np.stack([camera.K @ camera.world_to_camera[:3] for camera in cameras])
        self.covering: list[np.ndarray] = []
        self.motions: dict[int, SpaceField] = {}  # from the base to the key frames
        grids = []
        for view, camera in enumerate(cameras):
            step = max(1.0, max(camera.width, camera.height) * settings.grid_step)
            grid = np.stack(np.meshgrid(np.arange(step / 2, camera.width, step), np.arange(step / 2, camera.height, step)), axis=-1)
            grids.append(self._places(view, grid.reshape(-1, 2)))
        for target in range(self.targets):
            found = [next(places) for places in grids]
            agreeing = [self._agreeing(followed) for followed in found]
            self.covering.append(np.concatenate([followed.points[chosen] for followed, chosen in zip(found, agreeing, strict=True)]))
            if target in keys:
                start = np.concatenate([followed.start[chosen] for followed, chosen in zip(found, agreeing, strict=True)])
                trust = np.concatenate([self._support(followed.left[chosen]) for followed, chosen in zip(found, agreeing, strict=True)])
                self.motions[target] = motion_of(start, self.covering[-1], trust)

    @staticmethod
    def of(
        surfaces: Sequence[Surface],
        tracks: Sequence[DenseTracks],
        settings: ConsistencySettings,
        keys: Sequence[KeyFrame] = (),
        key_settings: KeyFrameSettings | None = None,
    ) -> _Rig:
        sizes = [(surface.camera.height, surface.camera.width) for surface in surfaces]
        about = {(dense.base, dense.targets) for dense in tracks}
        if len(about) != 1 or sizes != [tuple(dense.positions.shape[1:3]) for dense in tracks]:
            raise ShapeError(f"Tracks of {len(tracks)} views about {about} need surfaces of the same views, got sizes {sizes}.")
        targets, named = tracks[0].targets, {}
        for key in keys:
            ahead = targets[targets.index(key.frame) + 1 :] if key.frame in targets else ()
            if (
                sizes != [tuple(dense.positions.shape[1:3]) for dense in key.tracks]
                or key.tracks[0].targets != ahead[: len(key.tracks[0].targets)]
            ):
                raise ShapeError(
                    f"Frame {key.frame} is no key frame of tracks of {len(tracks)} views to {targets}: its views or targets differ."
                )
            named[targets.index(key.frame)] = (key, [_field(dense) for dense in key.tracks])
        return _Rig(surfaces, [_field(dense) for dense in tracks], settings, named, key_settings or KeyFrameSettings())

    def _agreeing(self, followed: _Followed) -> np.ndarray:
        """(N,) bool: two views or more agree on the place."""
        return np.asarray((followed.left > self.settings.half_own).sum(1) >= 2)

    def _support(self, left: np.ndarray) -> np.ndarray:
        """(N,) in [0, 1): how likely a place is right that views with these weights (N, V) agree on."""
        total = left.sum(1)
        return np.asarray(total / (total + self.settings.half_support))

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
        settings = self.settings
        start = self.surfaces[view].lift(pixels, settings.surface_tolerance)
        known = np.isfinite(start).all(1)
        start = points = np.where(known[:, None], start, 0.0)
        base = _Starts.of(self.surfaces, start, known.astype(np.float64), (self.fields, 0), settings.depth_tolerance)
        base.pixels[:, view], base.sees[:, view] = pixels, known
        followed, offered = [base], base.sees.sum(1)
        for target in range(self.targets):
            candidates, weights = zip(*(starts.candidates(target, settings.least_weight) for starts in followed), strict=True)
            points, left = triangulate(
                self.projections,
                np.stack(candidates, axis=2),
                np.stack(weights, axis=2),
                points,
                settings.tolerance_px,
                settings.paired_views,
                settings.steps,
            )
            here = _Followed(start, points, left, offered)
            yield here  # the motion to a key frame is known when it is asked for again
            if target in self.keys:
                followed = [base, self._anew(here, known, target)]

    def _anew(self, followed: _Followed, known: np.ndarray, target: int) -> _Starts:
        """The points in a key frame: where views agree, or else where the points around predict them."""
        key, fields = self.keys[target]
        predicted, trust = (values.numpy() for values in self.motions[target].move(torch.from_numpy(followed.start)))
        lost = known & (trust >= self.key_settings.least_predicted)
        agreed = self._agreeing(followed)
        points = np.where(agreed[:, None], followed.points, predicted)
        trust = np.where(agreed, self._support(followed.left), np.where(lost, self.key_settings.predicted * trust, 0.0))
        return _Starts.of(key.surfaces, points, trust, (fields, target + 1), self.settings.depth_tolerance)


def _field(dense: DenseTracks) -> np.ndarray:
    """(F, H, W, 4) float32: displacement, visibility and confidence of every pixel."""
    height, width = dense.positions.shape[1:3]
    grid = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1).astype(np.float32)
    parts = (dense.positions.cpu().numpy() - grid, dense.visibility.cpu().numpy()[..., None], dense.confidence.cpu().numpy()[..., None])
    return np.ascontiguousarray(np.concatenate(parts, axis=-1), np.float32)
