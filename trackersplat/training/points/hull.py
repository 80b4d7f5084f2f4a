"""The visual hull: the largest shape that the foreground masks of all views allow."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.geometry.projection import inside_image
from trackersplat.training.points.rig import Rig
from trackersplat.training.points.settings import HullSettings
from trackersplat.training.points.threads import in_threads

MAX_VOXELS = 4_000_000  # of one level, for the memory; the last halving is left out where it would give more
_AT_ONCE = 100_000  # voxels that a thread takes at a time, for the memory
_FACES = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)])


def hull_surface(cameras: Sequence[Camera], masks: Sequence[np.ndarray], rig: Rig, settings: HullSettings) -> tuple[np.ndarray, float]:
    """(N, 3) centres of the voxels on the hull's surface and the voxels' width, in scene units.

    ``masks``: (H, W) bool per camera at its size, True = foreground. Carves the cube around the rig, coarse to fine, until a voxel is
    about a pixel wide: it stays while at most ``tolerated`` of the views that see it show only background over its whole extent.
    """
    center, radius, coarse = rig.focus, settings.margin * rig.radius, settings.coarse
    finest = settings.pixels * rig.radius / float(np.median([camera.fx for camera in cameras]))
    halvings = int(np.clip(np.round(np.log2(2 * radius / coarse / finest)), 0, settings.most_halvings))
    distances = [_distance_to_foreground(mask) for mask in masks]
    width = 2 * radius / coarse
    cells = np.stack(np.meshgrid(*[np.arange(coarse)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    corner = center - radius
    for level in range(halvings + 1):
        last = level == halvings
        cells = cells[_inside(corner + (cells + 0.5) * width, 0.0 if last else width, cameras, distances, settings)]
        if last or 8 * len(cells) > MAX_VOXELS:
            break
        children = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), axis=-1).reshape(1, 8, 3)
        cells, width = (2 * cells[:, None] + children).reshape(-1, 3), width / 2
    return corner + (cells[_on_surface(cells)] + 0.5) * width, width


def _distance_to_foreground(mask: np.ndarray) -> np.ndarray:
    """(H, W) float32 px, 0 on the foreground; far everywhere if there is none."""
    if not mask.any():
        return np.full(mask.shape, np.float32(1e6))
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)


def _inside(
    centers: np.ndarray, width: float, cameras: Sequence[Camera], distances: Sequence[np.ndarray], settings: HullSettings
) -> np.ndarray:
    """(N,) bool: few enough views see nothing but background within the sphere around a voxel of this width."""

    def part(first: int) -> np.ndarray:
        return _part_inside(centers[first : first + _AT_ONCE], width, cameras, distances, settings)

    return np.concatenate(in_threads(part, range(0, max(len(centers), 1), _AT_ONCE)))


def _part_inside(
    centers: np.ndarray, width: float, cameras: Sequence[Camera], distances: Sequence[np.ndarray], settings: HullSettings
) -> np.ndarray:
    seen = np.zeros(len(centers), dtype=np.int32)
    missed = np.zeros(len(centers), dtype=np.int32)
    for camera, distance in zip(cameras, distances, strict=True):
        uv, depth = camera.project(centers)
        index = np.flatnonzero((depth > width) & inside_image(uv, camera.width, camera.height))
        column, row = uv[index].astype(np.intp).T
        reach = max(camera.fx, camera.fy) * 0.5 * np.sqrt(3) * width / depth[index] + 0.5
        seen[index] += 1
        missed[index] += distance[row, column] > reach
    # While voxels are large, their parts may be seen by fewer views than their centres are: one miss more is tolerated.
    return (missed <= np.floor(settings.tolerated * seen) + (width > 0)) & (seen >= min(settings.fewest_views, len(cameras)))


def _on_surface(cells: np.ndarray) -> np.ndarray:
    """(N,) bool: one of the six neighbours of a cell is not in the list."""
    if not len(cells):
        return np.zeros(0, dtype=bool)
    low, size = cells.min(axis=0) - 1, np.ptp(cells, axis=0) + 3
    strides = np.array([size[1] * size[2], size[2], 1], dtype=np.int64)
    keys = np.sort((cells - low) @ strides)
    exposed = np.zeros(len(cells), dtype=bool)
    for face in _FACES:
        wanted = (cells - low + face) @ strides
        position = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        exposed |= keys[position] != wanted
    return exposed
