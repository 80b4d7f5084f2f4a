"""The visual hull: the largest shape that the foreground masks of all views allow."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.geometry.projection import inside_image
from trackersplat.training.points.rig import Rig

COARSE = 64  # voxels along a side of the first grid
TOLERATED = 0.1  # share of the views whose mask may miss a voxel, because masks lose fingers and hair
MIN_VIEWS = 3  # that see a voxel
MARGIN = 1.1  # half width of the carved cube over the rig's radius
PIXELS, MAX_HALVINGS = 1.5, 5  # wanted width of a voxel at the focus
MAX_VOXELS = 4_000_000  # of one level; the last halving is left out where it would give more
_FACES = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)])


def hull_surface(cameras: Sequence[Camera], masks: Sequence[np.ndarray], rig: Rig) -> tuple[np.ndarray, float]:
    """(N, 3) centres of the voxels on the hull's surface and the voxels' width, in scene units.

    ``masks``: (H, W) bool per camera at its size, True = foreground. Carves the cube around the rig, coarse to fine, until a voxel is
    about a pixel wide: it stays while at most `TOLERATED` of the views that see it show only background over its whole extent.
    """
    center, radius = rig.focus, MARGIN * rig.radius
    finest = PIXELS * rig.radius / float(np.median([camera.fx for camera in cameras]))
    halvings = int(np.clip(np.round(np.log2(2 * radius / COARSE / finest)), 0, MAX_HALVINGS))
    distances = [_distance_to_foreground(mask) for mask in masks]
    width = 2 * radius / COARSE
    cells = np.stack(np.meshgrid(*[np.arange(COARSE)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    corner = center - radius
    for level in range(halvings + 1):
        last = level == halvings
        cells = cells[_inside(corner + (cells + 0.5) * width, 0.0 if last else width, cameras, distances)]
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


def _inside(centers: np.ndarray, width: float, cameras: Sequence[Camera], distances: Sequence[np.ndarray]) -> np.ndarray:
    """(N,) bool: few enough views see nothing but background within the sphere around a voxel of this width."""
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
    return (missed <= np.floor(TOLERATED * seen) + (width > 0)) & (seen >= min(MIN_VIEWS, len(cameras)))


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
