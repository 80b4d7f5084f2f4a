"""Which pixels of a camera show something that moved between two frames: from the real images alone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from trackersplat.errors import ShapeError


@dataclass(frozen=True)
class DynamicSettings:
    """One definition for every capture, so that numbers on dynamic pixels can be compared."""

    threshold: float = 0.1  # of the range of a colour channel
    blur_px: float = 1.0  # standard deviation of the filter against noise
    opening_px: int = 3  # width of the square below which a difference is a speck
    dilation_px: int = 3  # radius by which the rest grows, to take in its outline


def dynamic_pixels(base: np.ndarray, target: np.ndarray, settings: DynamicSettings | None = None) -> np.ndarray:
    """(H, W) bool: pixels that differ between two images of one camera, (H, W, 3) uint8.

    Both are blurred; a pixel differs if any channel does by more than the threshold. Specks are removed by opening with a
    square, the rest is dilated by a disc. What moved over a background of its own colour is not found, and a shadow that
    moved is: the measure is of pixels, not of objects.

    Raises ShapeError if the images are not uint8 of one shape.
    """
    settings = settings or DynamicSettings()
    if base.shape != target.shape or base.ndim != 3 or base.dtype != np.uint8 or target.dtype != np.uint8:
        raise ShapeError(
            f"Dynamic pixels compare two uint8 (H, W, 3) images, got {base.dtype} {base.shape}, {target.dtype} {target.shape}."
        )
    first, second = (
        cv2.GaussianBlur(image.astype(np.float32), (0, 0), settings.blur_px, borderType=cv2.BORDER_REPLICATE) for image in (base, target)
    )
    differs = (np.abs(first - second).max(axis=2) > 255 * settings.threshold).astype(np.uint8)
    square = np.ones((settings.opening_px, settings.opening_px), np.uint8)
    opened = cv2.morphologyEx(differs, cv2.MORPH_OPEN, square)
    radius = settings.dilation_px
    offsets = np.arange(-radius, radius + 1)
    disc = (offsets[:, None] ** 2 + offsets**2 <= radius**2).astype(np.uint8)
    return cv2.dilate(opened, disc).astype(bool)
