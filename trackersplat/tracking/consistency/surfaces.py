"""Surfaces seen by calibrated views: from pixels to world points by depth maps, which views see a point, and what lies in front of it."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.geometry.projection import inside_image

_REACH = 2  # cells on each side in which covering points are counted: two standard deviations

_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True, eq=False)
class Surface:
    """What a view sees in one frame."""

    camera: Camera
    depth: np.ndarray  # (H, W) along the optical axis, scene units; nan or 0 where it is unknown

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        if self.depth.shape != size or min(size) < 2:
            raise ShapeError(f"The depth of {self.camera.name} must be {size}, 2 or more a side, got {self.depth.shape}.")

    def lift(self, pixels: np.ndarray, tolerance: float) -> np.ndarray:
        """World points (N, 3) at pixels (N, 2); nan where the depth is unknown.

        The inverse depth is bilinear between those of the four pixels around whose depth is that of the nearest one, up to the
        ``tolerance`` (relative).
        """
        camera, known = self.camera, np.where(self.depth > 0, self.depth, np.nan).astype(np.float64)
        rows, columns, weights = _corners(pixels, self.depth.shape)
        around = known[rows, columns]  # (N, 4)
        nearest = around[np.arange(len(pixels)), weights.argmax(1)]
        weights = np.where(np.abs(around - nearest[:, None]) <= tolerance * nearest[:, None], weights, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = weights.sum(1) / np.where(weights > 0, weights / around, 0.0).sum(1)
        local = np.empty((len(pixels), 3))
        local[:, 0] = (pixels[:, 0] - camera.cx) / camera.fx * depth
        local[:, 1] = (pixels[:, 1] - camera.cy) / camera.fy * depth
        local[:, 2] = depth
        points: np.ndarray = (local - camera.translation) @ camera.rotation
        return points

    def sees(self, pixels: np.ndarray, depth: np.ndarray, tolerance: float) -> np.ndarray:
        """(N,) bool: whether one of the four depth pixels around ``pixels`` (N, 2) is that of a point at ``depth`` (N,)."""
        with np.errstate(invalid="ignore"):
            found = (depth > 0) & inside_image(pixels, self.camera.width, self.camera.height)
        seen = np.zeros(len(pixels), bool)
        rows, columns, _ = _corners(pixels[found], self.depth.shape)
        seen[found] = (np.abs(self.depth[rows, columns] - depth[found, None]) <= tolerance * depth[found, None]).any(1)
        return seen


def _corners(pixels: np.ndarray, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and bilinear weights (N, 4) of the pixels around; at the border the outermost ones."""
    x = np.clip(pixels[:, 0] - 0.5, 0, size[1] - 1)
    y = np.clip(pixels[:, 1] - 0.5, 0, size[0] - 1)
    column, row = np.minimum(x.astype(np.int64), size[1] - 2), np.minimum(y.astype(np.int64), size[0] - 2)
    a, b = x - column, y - row
    rows, columns = np.stack((row, row, row + 1, row + 1), 1), np.stack((column, column + 1, column, column + 1), 1)
    return rows, columns, np.stack(((1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b), 1)


def sample(field: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(N, C) bilinear values of a field (H, W, C) at pixels (N, 2), continued beyond the border; nan at nan."""
    found = np.empty((len(pixels), field.shape[2]))
    _sample(field, np.ascontiguousarray(pixels), found)
    return found


def covered(
    points: tuple[np.ndarray, np.ndarray],
    covering: tuple[np.ndarray, np.ndarray],
    camera: Camera,
    footprint_px: float,
    tolerance: float,
    few: float,
) -> np.ndarray:
    """(N,) in [0, 1]: by how much points are covered in a view by those in front of them.

    ``points`` and ``covering``: pixels (., 2) and depths (.,). A covering point counts by the distance in the image, over the footprint
    (Gaussian). The share of those nearer to the camera by more than the ``tolerance`` (relative), among them and those beside the
    point is returned; ``few`` is the weight that stands for what may be missing beside it.
    """
    width, height = int(np.ceil(camera.width / footprint_px)), int(np.ceil(camera.height / footprint_px))
    with np.errstate(invalid="ignore"):
        inside = (covering[1] > 0) & inside_image(covering[0], camera.width, camera.height)
    pixels, depth = covering[0][inside] / footprint_px, covering[1][inside]
    cells = pixels[:, 1].astype(np.int64) * width + pixels[:, 0].astype(np.int64)
    order = np.argsort(cells, kind="stable")
    starts = np.searchsorted(cells[order], np.arange(width * height + 1))
    result = np.zeros(len(points[1]))
    scaled = np.ascontiguousarray(points[0] / footprint_px)
    _covered(scaled, points[1], pixels[order], depth[order], starts, width, height, tolerance, few, result)
    return result


@_kernel
def _sample(field, pixels, found):  # type: ignore[no-untyped-def]
    height, width, channels = field.shape
    for n in range(pixels.shape[0]):
        x, y = pixels[n, 0] - 0.5, pixels[n, 1] - 0.5
        if not (np.isfinite(x) and np.isfinite(y)):
            found[n] = np.nan
            continue
        x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
        i, j = min(int(x), width - 2), min(int(y), height - 2)
        a, b = x - i, y - j
        for c in range(channels):
            top = (1 - a) * field[j, i, c] + a * field[j, i + 1, c]
            found[n, c] = (1 - b) * top + b * ((1 - a) * field[j + 1, i, c] + a * field[j + 1, i + 1, c])


@_kernel
def _covered(pixels, depth, others, other_depth, starts, width, height, tolerance, few, result):  # type: ignore[no-untyped-def]
    for n in range(depth.size):
        x, y, z = pixels[n, 0], pixels[n, 1], depth[n]
        if not (x >= 0 and y >= 0 and x < width and y < height and z > 0):
            continue
        nearer, beside = 0.0, 0.0
        for row in range(max(0, int(y) - _REACH), min(height, int(y) + _REACH + 1)):
            for column in range(max(0, int(x) - _REACH), min(width, int(x) + _REACH + 1)):
                cell = row * width + column
                for k in range(starts[cell], starts[cell + 1]):
                    distance = (others[k, 0] - x) ** 2 + (others[k, 1] - y) ** 2
                    difference = (other_depth[k] - z) / z
                    if difference < -tolerance:
                        nearer += np.exp(-0.5 * distance)
                    elif difference < tolerance:
                        beside += np.exp(-0.5 * distance)
        result[n] = nearer / (nearer + beside + few)
