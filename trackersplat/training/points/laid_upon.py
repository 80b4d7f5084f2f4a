"""Pictures laid upon a grid of points in space and normalised there, so that products of them are correlations."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

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
        uv, depth = view.camera.project(points)
        uv[depth <= view.camera.near] = OUTSIDE
        at = np.clip(uv - 0.5, -1e4, 1e5).astype(np.float32).reshape(*shape, 2)
        sample = cv2.remap(gray, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=OUTSIDE)
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
