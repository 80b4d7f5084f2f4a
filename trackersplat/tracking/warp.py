"""Displacement fields of whole images in NumPy: values where pixels go, and the error of going there and back.

Positions are array indices here, (x, y), with 0 at the centre of the first pixel. Values are interpolated by OpenCV, whose weights
are rounded to 1/32 of a pixel.
"""

from __future__ import annotations

import cv2
import numpy as np


def pixel_grid(height: int, width: int) -> np.ndarray:
    """(H, W, 2) float32 array indices (x, y) of the pixels."""
    return np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), axis=-1)


def sample(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Bilinear values (H, W) or (H, W, C) at array indices ``at`` (H, W, 2), continued beyond the border."""
    return cv2.remap(values, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def inside(at: np.ndarray) -> np.ndarray:
    """(H, W) float32, 1 where array indices lie in the image, else 0."""
    height, width = at.shape[:2]
    return ((at[..., 0] >= -0.5) & (at[..., 0] <= width - 0.5) & (at[..., 1] >= -0.5) & (at[..., 1] <= height - 0.5)).astype(np.float32)


def round_trip(grid: np.ndarray, forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """(H, W) px: how far from its start a pixel of the ``grid`` ends that goes forward and back, displacements (H, W, 2)."""
    return np.linalg.norm(forward + sample(backward, grid + forward), axis=-1)
