"""From depth maps to points: keep what several views agree on, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numba
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.geometry.projection import inside_image
from trackersplat.training.points.threads import in_threads

_ROWS = 32  # of an image that one thread takes at a time


@dataclass(frozen=True)
class Surface:
    """Points that several views agree on, each with the pixel that proposed it."""

    xyz: np.ndarray  # (N, 3) float64, world
    view: np.ndarray  # (N,) int, index into the views
    pixel: np.ndarray  # (N, 2) int, column and row in that view
    depth: np.ndarray  # (N,) float64, in that view
    agreeing: np.ndarray  # (N,) int, views that confirmed it

    def without(self, dropped: np.ndarray) -> Surface:
        """The points that ``dropped`` (N,) bool does not name."""
        keep = ~dropped
        return Surface(self.xyz[keep], self.view[keep], self.pixel[keep], self.depth[keep], self.agreeing[keep])


def fuse(cameras: Sequence[Camera], depths: Sequence[np.ndarray], tolerance: float, agreeing: int) -> Surface:
    """One point per visible surface pixel, the mean of the agreeing views' points.

    A pixel's point is confirmed by another view if that view's own depth where the point projects is within ``tolerance``
    (relative) of the point's. A pixel that confirmed an accepted point proposes none of its own, so a surface that k views see is not
    listed k times. ``agreeing`` is taken as the number of other views where there are fewer: two cameras confirm each other.
    ``depths``: per camera (H, W) at that camera's size, 0 or less where unknown.
    """
    return _fused(cameras, depths, tolerance, agreeing)[0]


def fuse_unhindered(cameras: Sequence[Camera], depths: Sequence[np.ndarray], tolerance: float, agreeing: int, margin: float) -> Surface:
    """As `fuse`, but a point is dropped if at least as many views see past it as agree with it.

    A view sees past a point if its own depth there, at a pixel that took part in an accepted point, is larger by more than twice
    ``margin`` (relative); it agrees if the two differ by no more than ``margin``. So one agreeing view is enough, and random
    matches in front of the surfaces are found by the views that see past them.
    """
    surface, used = _fused(cameras, depths, tolerance, agreeing)
    past, same = np.zeros(len(surface.xyz), dtype=np.int64), np.zeros(len(surface.xyz), dtype=np.int64)

    def compared(view: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        camera = cameras[view]
        uv, z = camera.project(surface.xyz)
        seen = np.flatnonzero((z > 0) & inside_image(uv, camera.width, camera.height) & (surface.view != view))
        column, row = uv[seen].astype(np.intp).T
        known = used[view, row, column]
        error = z[seen] / np.where(known, depths[view][row, column], 1.0) - 1
        return seen, known & (error < -2 * margin), known & (np.abs(error) <= margin)

    for seen, farther, alike in in_threads(compared, range(len(cameras))):
        past[seen] += farther
        same[seen] += alike
    return surface.without(past >= same)


def _fused(cameras: Sequence[Camera], depths: Sequence[np.ndarray], tolerance: float, agreeing: int) -> tuple[Surface, np.ndarray]:
    """The surface, and (V, H, W) bool: which pixels proposed or confirmed a point of it."""
    agreeing = max(1, min(agreeing, len(cameras) - 1))
    rotations = np.stack([c.rotation for c in cameras])
    translations = np.stack([c.translation for c in cameras])
    intrinsics = np.array([(c.fx, c.fy, c.cx, c.cy) for c in cameras])
    height, width = (max(d.shape[axis] for d in depths) for axis in (0, 1))
    stack = np.stack([np.pad(d.astype(np.float32), ((0, height - d.shape[0]), (0, width - d.shape[1]))) for d in depths])
    used = np.zeros(stack.shape, dtype=np.bool_)
    parts = []
    # strictly first, so that well confirmed points claim the pixels before weakly confirmed ones
    for needed in sorted({max(agreeing, min(2 * agreeing, len(cameras) - 1)), agreeing}, reverse=True):
        for view in range(len(cameras)):
            rows_from = partial(_fuse_rows, view, stack, used, rotations, translations, intrinsics, tolerance, needed, _ROWS)
            # No pixel of a view waits for another one: what they mark are pixels of the other views.
            parts += [(view, *found) for found in in_threads(rows_from, range(0, height, _ROWS))]
    surface = Surface(
        xyz=np.concatenate([p[1] for p in parts]),
        view=np.concatenate([np.full(len(p[1]), p[0]) for p in parts]),
        pixel=np.concatenate([p[2] for p in parts]),
        depth=np.concatenate([p[3] for p in parts]),
        agreeing=np.concatenate([p[4] for p in parts]),
    )
    return surface, used


def no_surface() -> Surface:
    """Without points."""
    none = np.zeros(0, dtype=np.int64)
    return Surface(xyz=np.zeros((0, 3)), view=none, pixel=np.zeros((0, 2), dtype=np.int64), depth=np.zeros(0), agreeing=none)


def chance(cameras: Sequence[Camera], depths: Sequence[np.ndarray], tolerance: float) -> float:
    """Which part of the pairs of pixels that agree within ``tolerance``, as `fuse` asks, would do so by chance; 1 if none agree.

    Depths that are found by chance are about as likely to differ by two to four times the tolerance as by no more than half of that,
    true ones hardly ever do: half of the pairs between (which are as many as fit twice into the tolerated range) are expected within it.
    """

    def pairs(camera: Camera, depth: np.ndarray) -> tuple[int, int]:
        agreeing = beside = 0
        row, column = np.nonzero(depth > 0)
        z = depth[row, column].astype(np.float64)
        local = np.stack(((column + 0.5 - camera.cx) / camera.fx * z, (row + 0.5 - camera.cy) / camera.fy * z, z), axis=1)
        points = (local - camera.translation) @ camera.rotation
        for other, theirs in zip(cameras, depths, strict=True):
            if other is camera:
                continue
            uv, seen = other.project(points)
            inside = (seen > 0) & inside_image(uv, other.width, other.height)
            u, v = uv[inside].astype(np.intp).T
            found = theirs[v, u]
            error = np.abs(found[found > 0] / seen[inside][found > 0] - 1)
            agreeing += int((error <= tolerance).sum())
            beside += int(((error > 2 * tolerance) & (error <= 4 * tolerance)).sum())
        return agreeing, beside

    counted = in_threads(lambda view: pairs(cameras[view], depths[view]), range(len(cameras)))
    agreeing, beside = (sum(counts) for counts in zip(*counted, strict=True)) if counted else (0, 0)
    return min(0.5 * beside / agreeing, 1.0) if agreeing else 1.0


@numba.njit(cache=True, nogil=True)
def _fuse_rows(
    view: int,
    depths: np.ndarray,
    used: np.ndarray,
    rotations: np.ndarray,
    translations: np.ndarray,
    intrinsics: np.ndarray,
    tolerance: float,
    needed: int,
    rows: int,
    first: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    count, h, w = depths.shape
    last = min(first + rows, h)
    most = (last - first) * w
    xyz = np.empty((most, 3))
    pixel = np.empty((most, 2), dtype=np.int64)
    depth = np.empty(most)
    confirmed = np.empty(most, dtype=np.int64)
    hits = np.empty((count, 2), dtype=np.int64)
    kept = 0
    local, point, seen, mean = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for y in range(first, last):
        for x in range(w):
            z = depths[view, y, x]
            if z <= 0 or used[view, y, x]:
                continue
            _unproject(x + 0.5, y + 0.5, z, intrinsics[view], rotations[view], translations[view], local, point)
            mean[:] = point
            agree = 0
            for other in range(count):
                if other == view:
                    continue
                for i in range(3):
                    seen[i] = translations[other, i]
                    for j in range(3):
                        seen[i] += rotations[other, i, j] * point[j]
                hits[other, 0] = -1
                if seen[2] <= 0:
                    continue
                u = int(np.floor(seen[0] / seen[2] * intrinsics[other, 0] + intrinsics[other, 2]))
                v = int(np.floor(seen[1] / seen[2] * intrinsics[other, 1] + intrinsics[other, 3]))
                if u < 0 or v < 0 or u >= w or v >= h:
                    continue
                theirs = depths[other, v, u]
                if theirs > 0 and abs(theirs - seen[2]) <= tolerance * seen[2]:
                    agree += 1
                    hits[other, 0], hits[other, 1] = u, v
                    # their depth along the ray of this view's point: what they would correct of it
                    for i in range(3):
                        local[i] = seen[i] * (theirs / seen[2]) - translations[other, i]
                    for i in range(3):
                        for j in range(3):
                            mean[i] += rotations[other, j, i] * local[j]
            if agree < needed:
                continue
            used[view, y, x] = True
            for other in range(count):
                if other != view and hits[other, 0] >= 0:
                    used[other, hits[other, 1], hits[other, 0]] = True
            for i in range(3):
                xyz[kept, i] = mean[i] / (agree + 1)
            pixel[kept, 0], pixel[kept, 1] = x, y
            depth[kept], confirmed[kept] = z, agree
            kept += 1
    return xyz[:kept], pixel[:kept], depth[:kept], confirmed[:kept]


@numba.njit(cache=True, inline="always")
def _unproject(
    u: float, v: float, z: float, intrinsics: np.ndarray, rotation: np.ndarray, translation: np.ndarray, local: np.ndarray, out: np.ndarray
) -> None:
    local[0] = (u - intrinsics[2]) / intrinsics[0] * z - translation[0]
    local[1] = (v - intrinsics[3]) / intrinsics[1] * z - translation[1]
    local[2] = z - translation[2]
    for i in range(3):
        out[i] = rotation[0, i] * local[0] + rotation[1, i] * local[1] + rotation[2, i] * local[2]
