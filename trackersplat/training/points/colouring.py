"""Colours for points from the images that see them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.geometry.projection import inside_image
from trackersplat.training.points.threads import in_threads

MOST_POINTS = 20_000  # that a thread takes at a time; bounds the memory


def median_colours(
    points: np.ndarray,
    cameras: Sequence[Camera],
    images: Sequence[np.ndarray],
    allowed: Sequence[np.ndarray],
    seen: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) uint8 median colours of points (N, 3) and (N,) by how many views each is coloured; 0 leaves it black.

    ``images`` (H, W, 3) uint8 at the cameras' sizes; a pixel counts where ``allowed`` (H, W) bool says so, and, if ``seen`` (C, N) bool is
    given, only for the points that it says the camera sees.
    """
    rgb = np.zeros((len(points), 3), dtype=np.uint8)
    count = np.zeros(len(points), dtype=np.int64)

    def colour(start: int) -> None:
        part = slice(start, start + MOST_POINTS)
        values = np.full((len(cameras), len(points[part]), 3), np.nan, dtype=np.float32)
        for view, (camera, image, mask) in enumerate(zip(cameras, images, allowed, strict=True)):
            index, column, row, _ = _pixels(camera, points[part])
            good = mask[row, column] if seen is None else mask[row, column] & seen[view, part][index]
            values[view, index[good]] = image[row[good], column[good]]
        values.sort(axis=0)  # NaN last
        count[part] = np.isfinite(values[..., 0]).sum(axis=0)
        middle = np.arange(len(points[part]))
        low, high = (np.maximum(count[part] - 1, 0) // 2, count[part] // 2)
        median = 0.5 * (values[low, middle] + values[np.minimum(high, len(cameras) - 1), middle])
        rgb[part] = np.round(np.where(count[part][:, None] > 0, median, 0)).astype(np.uint8)

    in_threads(colour, range(0, len(points), MOST_POINTS))
    return rgb, count


def visible_from(points: np.ndarray, width: float, cameras: Sequence[Camera], splat: int) -> np.ndarray:
    """(C, N) bool: no other point hides this one, each taken as a square of ``width`` scene units that faces the camera.

    ``splat``: pixels, half width of such a square at most.
    """
    visible = np.zeros((len(cameras), len(points)), dtype=bool)

    def look(view: int) -> None:
        camera = cameras[view]
        index, column, row, depth = _pixels(camera, points)
        if not len(index):
            return
        half = int(np.clip(np.ceil(0.5 * camera.fx * width / np.median(depth)), 0, splat))
        nearest = np.full((camera.height, camera.width), np.float32(np.inf))
        np.minimum.at(nearest, (row, column), depth.astype(np.float32))
        square = np.ones((2 * half + 1, 2 * half + 1), dtype=np.uint8)
        nearest = cv2.erode(nearest, square)  # the minimum over the square
        visible[view, index] = depth <= nearest[row, column] + 2 * width

    in_threads(look, range(len(cameras)))
    return visible


def _pixels(camera: Camera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of the points within the image: their numbers, columns, rows and depths."""
    uv, depth = camera.project(points)
    inside = (depth > camera.near) & inside_image(uv, camera.width, camera.height)
    index = np.flatnonzero(inside)
    column, row = uv[index].astype(np.intp).T
    return index, column, row, depth[index]
