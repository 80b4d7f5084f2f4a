"""Images resampled at a grid of points in space, of a plane or a sphere, and normalised there: their products are correlations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np

from trackersplat.training.points.sweep import View

OUTSIDE = -4000.0  # marks samples that are hidden or beyond the border; far below any grey level


@dataclass(frozen=True)
class Window:
    """Over what an image is normalised."""

    side: int  # points, odd
    known: float  # share of them that a view must see
    flat: float  # grey levels: standard deviation below which a window counts as flat


@dataclass(frozen=True, eq=False)
class Resampled:
    """Images z_i of all views at a grid of points, each normalised; the sum over all pairs of z_i z_j is (sums^2 - squares) / 2."""

    sums: np.ndarray  # (R, C) float32, of z_i
    squares: np.ndarray  # (R, C) float32, of z_i^2
    votes: np.ndarray  # (R, C) float32, views that see the point


def resample_on_plane(
    views: Sequence[View], grays: Sequence[np.ndarray], points: np.ndarray, shape: tuple[int, int], window: Window
) -> Resampled:
    """The images of all views at the ``points`` (3, R C), which form a grid of ``shape`` (R, C); time and memory linear in the views.

    ``grays``: (H, W) float32 per view, OUTSIDE where the view is not to count.
    """
    sums, squares, votes = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    half, known, flat = window.side // 2, np.float32(window.known), np.float32(window.flat)
    samples = np.empty((shape[0] + 2 * half, shape[1] + 2 * half), dtype=np.float32)
    for view, gray in zip(views, grays, strict=True):
        camera = view.camera
        projection = camera.K @ camera.world_to_camera[:3]
        _sample(gray, projection, camera.near, points, half, samples)
        _add_normalised(samples, half, known, flat, sums, squares, votes)
    return Resampled(sums=sums, squares=squares, votes=votes)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sample(gray: np.ndarray, projection: np.ndarray, near: float, points: np.ndarray, half: int, samples: np.ndarray) -> None:
    """Writes (R + 2 half, C + 2 half): grey levels between pixels, bilinear, with the border of ``half`` mirrored; OUTSIDE where unseen.

    ``projection``: (3, 4), to pixels whose centres are at +0.5. What lies half beyond the border of the image is mixed with OUTSIDE.
    """
    outside = np.float32(OUTSIDE)
    height, width = gray.shape
    rows, columns = samples.shape[0] - 2 * half, samples.shape[1] - 2 * half
    for r in range(rows):
        for c in range(columns):
            i = r * columns + c
            x, y, z = points[0, i], points[1, i], points[2, i]
            depth = projection[2, 0] * x + projection[2, 1] * y + projection[2, 2] * z + projection[2, 3]
            value = outside
            if depth > near:
                u = (projection[0, 0] * x + projection[0, 1] * y + projection[0, 2] * z + projection[0, 3]) / depth - 0.5
                v = (projection[1, 0] * x + projection[1, 1] * y + projection[1, 2] * z + projection[1, 3]) / depth - 0.5
                if -1.0 < u < width and -1.0 < v < height:
                    left, top = int(np.floor(u)), int(np.floor(v))
                    a, b = np.float32(u - left), np.float32(v - top)
                    if left >= 0 and top >= 0 and left + 1 < width and top + 1 < height:
                        p, q, s, t = gray[top, left], gray[top, left + 1], gray[top + 1, left], gray[top + 1, left + 1]
                    else:
                        first, last = left >= 0, left + 1 < width
                        p = gray[top, left] if top >= 0 and first else outside
                        q = gray[top, left + 1] if top >= 0 and last else outside
                        s = gray[top + 1, left] if top + 1 < height and first else outside
                        t = gray[top + 1, left + 1] if top + 1 < height and last else outside
                    upper, lower = p + a * (q - p), s + a * (t - s)
                    value = upper + b * (lower - upper)
            samples[r + half, c + half] = value
    for k in range(1, half + 1):
        for c in range(half, half + columns):
            samples[half - k, c] = samples[half + k, c]
            samples[half + rows - 1 + k, c] = samples[half + rows - 1 - k, c]
    for k in range(1, half + 1):
        for r in range(rows + 2 * half):
            samples[r, half - k] = samples[r, half + k]
            samples[r, half + columns - 1 + k] = samples[r, half + columns - 1 - k]


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _add_normalised(
    samples: np.ndarray, half: int, known: np.float32, flat: np.float32, sums: np.ndarray, squares: np.ndarray, votes: np.ndarray
) -> None:
    """Adds what `_sample` made, less the mean of the window around and over its standard deviation, where the view sees it.

    Sums over windows are taken along the columns first, then along the rows.
    """
    rows, columns = sums.shape
    wide = samples.shape[1]
    share, mean, square = np.empty(wide, np.float32), np.empty(wide, np.float32), np.empty(wide, np.float32)
    area = np.float32(1.0 / ((2 * half + 1) * (2 * half + 1)))
    for r in range(rows):
        for c in range(wide):
            share[c] = mean[c] = square[c] = 0
        for k in range(2 * half + 1):
            for c in range(wide):
                seen = samples[r + k, c] >= 0
                value = samples[r + k, c] if seen else np.float32(0)
                share[c] += np.float32(1) if seen else np.float32(0)
                mean[c] += value
                square[c] += value * value
        for c in range(columns):
            n, m, s = np.float32(0), np.float32(0), np.float32(0)
            for k in range(2 * half + 1):
                n += share[c + k]
                m += mean[c + k]
                s += square[c + k]
            value = samples[r + half, c + half]
            if value >= 0 and n * area > known:
                m /= n
                variance = max(s / n - m * m, np.float32(0))
                normal = (value - m) / np.sqrt(variance + flat * flat)
                sums[r, c] += normal
                squares[r, c] += normal * normal
                votes[r, c] += np.float32(1)
