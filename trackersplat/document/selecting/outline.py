"""Polygons in an image: which pixels and which points are inside, by the even-odd rule."""

from __future__ import annotations

import itertools

import cv2
import numpy as np


def inside_pixels(polygon: np.ndarray, width: int, height: int) -> np.ndarray:
    """(H, W) bool: whether the centre of a pixel (at +0.5) is inside the ``polygon`` (V, 2), whose last corner joins the first."""
    x, y = polygon.T.astype(np.float64)
    x2, y2 = np.roll(x, -1), np.roll(y, -1)
    crossed = np.zeros((height, width + 1), np.int32)
    for ax, ay, bx, by in zip(x, y, x2, y2, strict=True):
        low, high = (ay, by) if ay < by else (by, ay)
        first, last = max(int(np.ceil(low - 0.5)), 0), min(int(np.ceil(high - 0.5)), height)  # low <= row + 0.5 < high
        if first >= last:
            continue
        rows = np.arange(first, last)
        at = ax + (rows + 0.5 - ay) / (by - ay) * (bx - ax)
        crossed[rows, np.clip(np.ceil(at - 0.5), 0, width).astype(np.int64)] += 1
    return (np.cumsum(crossed[:, :width], axis=1) % 2).astype(bool)


def inside_points(polygon: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N,) bool: whether ``points`` (N, 2) are inside the ``polygon`` (V, 2)."""
    found = np.zeros(len(points), bool)
    low, high = polygon.min(0), polygon.max(0)
    near = np.flatnonzero(((points >= low) & (points <= high)).all(1))
    x, y = points[near].T.astype(np.float64)
    odd = np.zeros(len(near), bool)
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if ay != by:
            odd ^= ((ay <= y) != (by <= y)) & (x > ax + (y - ay) / (by - ay) * (bx - ax))
    found[near] = odd
    return found


def inside_image_points(polygon: np.ndarray, points: np.ndarray, width: int, height: int) -> np.ndarray:
    """As `inside_points`, for points of an image: those outside it are not inside. Fast for many points and corners.

    Only points near the outline are compared with every edge; the others are as the pixel that they fall into.
    """
    seen = np.flatnonzero((points[:, 0] >= 0) & (points[:, 1] >= 0) & (points[:, 0] < width) & (points[:, 1] < height))
    column, row = points[seen].astype(np.int64).T
    outline = np.zeros((height, width), np.uint8)
    corners = np.clip(np.floor(polygon), -(1 << 14), 1 << 14).astype(np.int32)
    cv2.polylines(outline, [corners[:, None]], True, 1, thickness=3)
    found = np.zeros(len(points), bool)
    found[seen] = inside_pixels(polygon, width, height)[row, column]
    exact = seen[outline[row, column] > 0]
    found[exact] = inside_points(polygon, points[exact])
    return found


def stroke_pixels(line: np.ndarray, radius: float, width: int, height: int) -> np.ndarray:
    """(H, W) bool: whether the centre of a pixel is at most ``radius`` px from the ``line`` (V, 2) through its corners."""
    found = np.zeros((height, width), bool)
    ends = np.stack((line, line)).transpose(1, 0, 2) if len(line) == 1 else np.stack((line[:-1], line[1:]), axis=1)
    for a, b in ends:
        x0, y0 = np.maximum(np.floor(np.minimum(a, b) - radius), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(np.maximum(a, b) + radius), (width, height)).astype(int)
        if x0 < x1 and y0 < y1:
            x, y = np.meshgrid(np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5)
            found[y0:y1, x0:x1] |= line_distance(np.stack((x, y), -1), a, b) <= radius
    return found


def stroke_points(line: np.ndarray, radius: float, points: np.ndarray) -> np.ndarray:
    """(N,) bool: whether ``points`` (N, 2) are at most ``radius`` px from the ``line`` (V, 2)."""
    found = np.zeros(len(points), bool)
    low, high = line.min(0) - radius, line.max(0) + radius
    near = np.flatnonzero(((points >= low) & (points <= high)).all(1))
    near = near[np.argsort(points[near, 0], kind="stable")]
    mine = points[near].astype(np.float64)
    hit = np.zeros(len(near), bool)
    for a, b in itertools.pairwise(line) if len(line) > 1 else [(line[0], line[0])]:
        part = slice(*np.searchsorted(mine[:, 0], (min(a[0], b[0]) - radius, np.nextafter(max(a[0], b[0]) + radius, np.inf))))
        left = np.flatnonzero(~hit[part]) + part.start
        left = left[np.abs(mine[left, 1] - 0.5 * (a[1] + b[1])) <= 0.5 * abs(a[1] - b[1]) + radius]
        hit[left] = line_distance(mine[left], a, b) <= radius
    found[near] = hit
    return found


def line_distance(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(...) distance of ``points`` (..., 2) from the piece of line from ``a`` to ``b``."""
    along = b - a
    length = float(along @ along)
    part = np.clip((points - a) @ along / length, 0, 1) if length > 0 else np.zeros(points.shape[:-1])
    return np.linalg.norm(points - a - part[..., None] * along, axis=-1)
