"""Images resampled at a grid of points in space, of a plane or a sphere, and normalised there: their products are correlations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.training.points.sweep import View

OUTSIDE = -4000.0  # marks samples that are hidden or beyond the border; far below any grey level


@dataclass(frozen=True)
class Window:
    """Over what an image is normalised."""

    side: int  # points
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
    """The images of all views at the ``points`` (R C, 3), which form a grid of ``shape`` (R, C); time and memory linear in the views.

    ``grays``: (H, W) float32 per view, OUTSIDE where the view is not to count.
    """
    sums, squares, votes = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    box = (window.side, window.side)
    for view, gray in zip(views, grays, strict=True):
        sample = cv2.remap(
            gray, *_places(view.camera, points, shape), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=OUTSIDE
        )
        valid = (sample >= 0).astype(np.float32)
        sample = sample * valid
        share = cv2.blur(valid, box)
        some = np.maximum(share, 1e-3)
        mean = cv2.blur(sample, box) / some
        variance = np.maximum(cv2.blur(sample * sample, box) / some - mean * mean, 0)
        valid *= share > window.known
        normal = valid * (sample - mean) / np.sqrt(variance + window.flat * window.flat)
        sums += normal
        squares += normal * normal
        votes += valid
    return Resampled(sums=sums, squares=squares, votes=votes)


def _places(camera: Camera, points: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows, float32 of ``shape``, that `cv2.remap` takes the points from; OUTSIDE before the near plane.

    `Camera.project` in one product over coordinates that lie together: thousands of planes are tried.
    """
    projection = camera.K @ camera.world_to_camera[:3]
    x, y, depth = projection[:, :3] @ points.T + projection[:, 3:]
    seen = depth > camera.near
    safe = np.where(seen, depth, 1.0)
    column, row = (np.where(seen, np.clip(value / safe - 0.5, -1e4, 1e5), OUTSIDE).astype(np.float32).reshape(shape) for value in (x, y))
    return column, row
