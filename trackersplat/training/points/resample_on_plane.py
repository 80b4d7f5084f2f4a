"""Pictures laid upon a grid of points in space and normalised there, so that products of them are correlations."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.training.points.sweep import View

KNOWN = 0.7  # share of a window that a view must see
OUTSIDE = -4000.0  # marks samples that are hidden or beyond the border; far below any grey level


def laid_upon(
    views: Sequence[View], grays: Sequence[np.ndarray], points: np.ndarray, shape: tuple[int, int], window: int, flat: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum of the normalised pictures, of their squares, and how many views see each of the ``points`` (R C, 3), all of ``shape`` (R, C).

    A picture is normalised by mean and deviation of a square of ``window`` points; deviations below ``flat`` grey levels say nothing.
    ``grays`` (H, W) float32 are OUTSIDE where a view is to have no say. With z_i the normalised pictures, the sum over all pairs of
    z_i z_j is ((sum z_i)^2 - sum z_i^2) / 2: linear in the number of views.
    """
    sums, squares, votes = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    box = (window, window)
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
        valid *= share > KNOWN
        normal = valid * (sample - mean) / np.sqrt(variance + flat * flat)
        sums += normal
        squares += normal * normal
        votes += valid
    return sums, squares, votes


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
