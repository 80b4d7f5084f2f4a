"""Checks of a camera's calibration as it is read from a user's file, whatever the file's format."""

from __future__ import annotations

from typing import Any

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.media.lens import FISHEYE_COUNT, OPENCV_COUNTS, OpenCVLens
from trackersplat.errors import InputError, ShapeError

LARGEST = 1e15  # pixels or scene units: beyond it, sums and products would not stay finite


def check_camera(width: int, height: int, K: np.ndarray, world_to_camera: np.ndarray, what: str) -> None:
    """Raises InputError, beginning with ``what`` (a file and a camera in it), if these numbers make no `Camera`."""
    try:
        Camera(what, width, height, K, world_to_camera)
    except ShapeError as error:
        reason = str(error).removeprefix("Camera ").rstrip(".")
        raise InputError(f"{reason}: calibrate the camera again, or correct the file.") from error
    check_range(np.concatenate([K.ravel(), world_to_camera.ravel()]), what)


def lens_from_matrix(width: int, height: int, K: np.ndarray, distortion: Any, fisheye: bool, what: str) -> OpenCVLens:
    """The lens of a (3, 3) matrix with pixel centres at +0.5 and OpenCV's coefficients. Raises InputError if they are of another form."""
    if abs(K[0, 1]) > 1e-9 or abs(K[1, 0]) > 1e-9 or np.abs(K[2] - (0, 0, 1)).max() > 1e-9:
        raise InputError(f"{what}: the camera matrix must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]].")
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        raise InputError(f"{what}: the focal lengths must be positive, but are {K[0, 0]:g} and {K[1, 1]:g}.")
    if not isinstance(distortion, list) or any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in distortion):
        raise InputError(f"{what}: the distortion must be a list of numbers.")
    counts = (FISHEYE_COUNT,) if fisheye else OPENCV_COUNTS
    if len(distortion) not in counts or not all(abs(value) < 1e6 for value in distortion):
        raise InputError(
            f"{what}: the {'fisheye ' if fisheye else ''}distortion must be {' or '.join(map(str, counts))} finite numbers "
            f"in OpenCV's order, but is {str(distortion)[:80]}."
        )
    coefficients = tuple(float(value) for value in distortion)
    return OpenCVLens(width, height, float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2]), coefficients, fisheye)


def matrix(value: Any, shape: tuple[int, int], what: str) -> np.ndarray:
    """A list of rows as a float64 matrix. Raises InputError if it has another shape or a value is no finite number."""
    rows_fit = isinstance(value, list) and len(value) == shape[0] and all(isinstance(row, list) and len(row) == shape[1] for row in value)
    if not rows_fit or any(isinstance(cell, bool) or not isinstance(cell, (int, float)) for row in value for cell in row):
        raise InputError(f"{what} must be a {shape[0]}x{shape[1]} matrix of numbers.")
    try:
        result = np.array(value, dtype=np.float64)
    except OverflowError:
        result = np.full(shape, np.inf)
    if not np.isfinite(result).all():
        raise InputError(f"{what} has a number that is not finite: calibrate the camera again.")
    check_range(result, what)
    return result


def check_range(values: np.ndarray, what: str) -> None:
    """Raises InputError, beginning with ``what``, if sums and products of the values would not stay finite."""
    if values.size and np.abs(values).max() > LARGEST:
        raise InputError(f"{what}: a number is larger than {LARGEST:g}: calibrate the camera again, or correct the file.")
