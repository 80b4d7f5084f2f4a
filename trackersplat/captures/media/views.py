"""From a calibrated lens to a Camera without distortion, and the remapping of its images."""

from __future__ import annotations

import math

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.media.lens import LensModel, OpenCVLens, Remap, pinhole
from trackersplat.errors import InputError


def make_view(
    name: str,
    lens: LensModel,
    world_to_camera: np.ndarray,
    scale: float = 1.0,
    blank: tuple[int, int] = (0, 0),
) -> tuple[Camera, Remap | None]:
    """The camera of images that are scaled by ``scale`` (at most 1) and undistorted, and how; None where nothing is to be done.

    Images are expected at the lens's size; ``blank`` columns at each side of them, and rows above and below, are not shown.

    Raises InputError (naming the camera) if the distortion cannot be undone.
    """
    size = scaled_size(lens.width, lens.height, scale)
    if size != (lens.width, lens.height):
        small = Remap(size)
        lens = lens.resized(*size)
    else:
        small = None
    if isinstance(lens, OpenCVLens) and not lens.distorts and blank == (0, 0):
        return Camera(name, *size, lens.K, world_to_camera), small
    try:
        K = pinhole(lens, (math.ceil(blank[0] * scale), math.ceil(blank[1] * scale)))
    except InputError as error:
        raise InputError(f"Camera {name} has {error}") from error
    return Camera(name, *size, K, world_to_camera), Remap(size, lens, K)


def scaled_size(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(1, round(width * scale)), max(1, round(height * scale))


def for_size(lens: LensModel, width: int, height: int) -> LensModel | None:
    """``lens`` for images that are ``width`` x ``height``: scaled if the aspect ratio is the same to one pixel, else None."""
    if (lens.width, lens.height) == (width, height):
        return lens
    if abs(width / lens.width - height / lens.height) * max(lens.width, lens.height) > 1:
        return None
    return lens.resized(width, height)
