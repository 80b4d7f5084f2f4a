"""Points in space, followed by a tracker in every view that sees them, and lifted to 3D tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.projection import inside_image
from trackersplat.motion.lifting.lift import LiftedTracks, ViewTracks, lift_tracks
from trackersplat.motion.lifting.point_tracks import track_points
from trackersplat.motion.lifting.settings import LiftSettings
from trackersplat.motion.rendered_depth import DepthImages, render_depth
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.tracker import PointMotion
from trackersplat.tracking.tracks import Provenance

MINIMUM_ALPHA = 0.5  # rendered opacity from which there is a surface


@dataclass(frozen=True, eq=False)
class RenderedScene:
    """The Gaussians of the frames that are there, by which points are hidden."""

    gaussians: Callable[[int], Gaussians | None]  # of a frame
    rasterizer: Rasterizer


# (camera, its points (P, 2) px in the base frame), the base frame, the targets -> (camera, motion (1, F, P, 2) on the CPU)
Follow = Callable[[Sequence[tuple[int, Tensor]], int, Sequence[int]], Iterator[tuple[int, PointMotion]]]


@dataclass(frozen=True)
class PointTracking:
    """Which tracker follows the points, and how they are lifted."""

    tracker: str
    settings: Any = None  # of the tracker; None: its defaults
    lift: LiftSettings = field(default_factory=LiftSettings)
    follow: Follow | None = None  # how points are followed in the views; None: by the tracker, in each view by itself


def follow_queries(
    capture: Capture,
    query: np.ndarray,  # (P, 4) frame, world x, y, z
    frames: Sequence[int],
    how: PointTracking,
    device: torch.device | str,
    scene: RenderedScene | None = None,
) -> LiftedTracks:
    """3D tracks of the queries through the ascending ``frames``, from those of the training cameras that see a point in its query's frame.

    With a ``scene``, a view does not see a point that lies behind the rendered surface, in the frame of the query and later. Without, all
    views are asked into whose image a point falls, and those that follow something else have to be outvoted.

    Raises InputError if a query is not in one of the frames, no two views see any of the points, or what the tracker raises.
    """
    start = np.rint(query[:, 0]).astype(int)
    strange = sorted({int(frame) + 1 for frame in start if frame not in frames})
    if strange:
        raise InputError(f"A query is in frame {strange[0]}, which is not among the {len(frames)} that are tracked.")
    cameras = capture.training_cameras
    shape = (len(cameras), len(frames), len(query))
    positions = np.full((*shape, 2), np.nan, np.float32)
    visibility, confidence = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    depth_of = SceneDepths(capture, cameras, scene, how.lift.depth_tolerance)
    follow = how.follow or partial(track_points, how.tracker, capture, device, how.settings)
    for base in sorted(set(start.tolist())):
        chosen = np.flatnonzero(start == base)
        row = list(frames).index(base)
        seen, pixels = seen_in(capture, cameras, query[chosen, 1:], depth_of(base))
        asked = []
        for view, camera in enumerate(cameras):
            mine = chosen[seen[view]]
            positions[view, row, mine], visibility[view, row, mine], confidence[view, row, mine] = pixels[view, seen[view]], 1.0, 1.0
            if len(mine):
                asked.append((camera, torch.from_numpy(pixels[view, seen[view]])))
        targets = [frame for frame in frames if frame > base]
        if not targets or not asked:
            continue
        for camera, motion in follow(asked, base, targets):
            view = cameras.index(camera)
            mine = chosen[seen[view]]
            at = np.ix_(range(row + 1, len(frames)), mine)
            positions[view][at] = motion.positions[0].numpy()
            visibility[view][at], confidence[view][at] = motion.visibility[0].numpy(), motion.confidence[0].numpy()
    followed = np.asarray(np.isfinite(positions).all(-1))
    if len(query) and (followed.any(axis=1).sum(axis=0) < 2).all():
        raise InputError(f"No query falls into the images of two cameras of {capture.name}: they must be points of its world.")
    names = tuple(capture.cameras[camera].name for camera in cameras)
    observed = ViewTracks(names, tuple(frames), positions, visibility, confidence)
    views = [capture.cameras[camera] for camera in cameras]
    provenance = Provenance(f"lifted:{how.tracker}", licence=TRACKERS.facts(how.tracker).licence if how.tracker in TRACKERS else "")
    lifted = lift_tracks(views, query, observed, provenance, how.lift)
    if scene is None:
        return lifted
    hidden = np.zeros(shape, bool)
    for row, frame in enumerate(frames):
        surface = depth_of(frame)
        if surface is not None:
            hidden[:, row] = _behind(capture, cameras, lifted.tracks.positions[row], surface)
    return lift_tracks(views, query, observed, provenance, how.lift, hidden)


class SceneDepths:
    """The rendered depth of all cameras in a frame; None where there are no Gaussians. The last one is kept."""

    def __init__(self, capture: Capture, cameras: Sequence[int], scene: RenderedScene | None, tolerance: float) -> None:
        self._cameras = [capture.cameras[camera] for camera in cameras]
        self._scene = scene
        self._tolerance = tolerance
        self._last: tuple[int, DepthImages | None] | None = None

    def __call__(self, frame: int) -> DepthImages | None:
        if self._scene is None:
            return None
        if self._last is None or self._last[0] != frame:
            gaussians = self._scene.gaussians(frame)
            images = None
            if gaussians is not None:
                images = render_depth(
                    self._scene.rasterizer, gaussians, self._cameras, scale=1.0, minimum_alpha=MINIMUM_ALPHA, tolerance=self._tolerance
                )
            self._last = (frame, images)
        return self._last[1]


def seen_in(capture: Capture, cameras: Sequence[int], points: np.ndarray, depth: DepthImages | None) -> tuple[np.ndarray, np.ndarray]:
    """(V, P) bool and (V, P, 2) float32 px: which points fall into which images and are not behind the surface there."""
    pixels = np.zeros((len(cameras), len(points), 2), np.float32)
    inside = np.zeros((len(cameras), len(points)), bool)
    for view, index in enumerate(cameras):
        camera = capture.cameras[index]
        at, z = camera.project(points)
        pixels[view] = np.nan_to_num(at)
        inside[view] = inside_image(at, camera.width, camera.height) & (z > camera.near)
    return (inside if depth is None else inside & ~_behind(capture, cameras, points, depth)), pixels


def _behind(capture: Capture, cameras: Sequence[int], points: np.ndarray, depth: DepthImages) -> np.ndarray:
    """(V, P) bool: most of the rendered surface around a point lies before it; False where a point is nowhere."""
    found = np.zeros((len(cameras), len(points)), bool)
    known = np.isfinite(points).all(-1)
    for view, index in enumerate(cameras):
        camera = capture.cameras[index]
        at, z = camera.project(np.nan_to_num(points))
        inside = known & inside_image(at, camera.width, camera.height) & (z > camera.near)
        chosen = np.flatnonzero(inside)
        if len(chosen):
            device = depth.images.device
            where = torch.full((len(chosen),), view, dtype=torch.int64, device=device)
            surface = depth.at(torch.from_numpy(at[chosen]).to(device), where, torch.from_numpy(z[chosen]).to(device))
            found[view, chosen] = (surface.nearer > 0.5).cpu().numpy()
    return found


def surface_queries(
    capture: Capture, scene: RenderedScene, frame: int, camera: int, step_px: int, tolerance: float = LiftSettings.depth_tolerance
) -> np.ndarray:
    """(P, 4): the points of the rendered surface at the pixels of a grid in one camera's image, not at edges of the depth.

    Raises InputError if there are no Gaussians in that frame.
    """
    gaussians = scene.gaussians(frame)
    if gaussians is None:
        raise InputError(f"There are no Gaussians in frame {frame + 1}, on whose surface points could start: choose another frame.")
    view = capture.cameras[camera]
    images = render_depth(scene.rasterizer, gaussians, [view], scale=1.0, minimum_alpha=MINIMUM_ALPHA, tolerance=tolerance)
    x, y = (torch.arange(step_px // 2, size, step_px, device=images.images.device) + 0.5 for size in (view.width, view.height))
    pixels = torch.cartesian_prod(y, x).flip(-1)
    surface = images.at(pixels, torch.zeros(len(pixels), dtype=torch.int64, device=pixels.device))
    whole = surface.is_whole & (surface.depth > view.near)
    at, depth = pixels[whole].double().cpu().numpy(), surface.depth[whole].cpu().numpy()
    local = np.concatenate(((at - (view.cx, view.cy)) / (view.fx, view.fy) * depth[:, None], depth[:, None]), axis=1)
    world = (local - view.translation) @ view.rotation
    return np.concatenate((np.full((len(world), 1), float(frame)), world), axis=1)
