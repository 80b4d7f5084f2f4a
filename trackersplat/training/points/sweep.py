"""Plane sweep: the depth map of one calibrated view from its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numba
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.training.points.semiglobal import aggregate, best_plane
from trackersplat.training.points.settings import SweepSettings

_OUTSIDE = -4000.0  # marks samples beyond the border; far below any grey level


@dataclass(frozen=True)
class View:
    """One camera with its image at the working size."""

    camera: Camera
    gray: np.ndarray  # (H, W) float32, 0 to 255


@dataclass(frozen=True)
class DepthMap:
    """Depth along the optical axis of every pixel and how badly its patch matched there."""

    depth: np.ndarray  # (H, W) float32, scene units
    mismatch: np.ndarray  # (H, W) float32, 0 (equal patches) to 1 (opposite), 0.5 is chance


def sweep(reference: View, others: list[View], near: float, far: float, settings: SweepSettings) -> DepthMap:
    """The depth map of ``reference`` between ``near`` and ``far`` by planes parallel to its image, uniform in inverse depth.

    The planes lie at most a pixel apart in every other view (as far as ``most_planes`` allows). At each plane the other images are
    warped by the plane's homography and compared by zero-mean normalised correlation over a window. The two best views count, so that
    a surface hidden from the others still matches. Semi-global aggregation gives patches without texture their neighbours' depth.
    """
    inverse = planes(reference.camera, [v.camera for v in others], near, far, settings)
    cost = _cost_volume(reference, others, inverse, settings)
    total = aggregate(cost, reference.gray, settings.step_penalty, settings.jump_penalty, settings.edge)
    plane, matching = (np.empty(reference.gray.shape, dtype=np.float32) for _ in range(2))
    best_plane(total, cost, plane, matching)
    step = inverse[1] - inverse[0]
    depth = 1.0 / np.maximum(inverse[0] + plane * step, 0.5 * inverse[0])
    return DepthMap(depth.astype(np.float32), matching / 255)


def homography(reference: Camera, other: Camera) -> tuple[np.ndarray, np.ndarray]:
    """(3, 3) A and (3,) b: a pixel (u, v, 1) at inverse depth w in ``reference`` is seen by ``other`` at A (u, v, 1) + w b."""
    motion = other.world_to_camera @ np.linalg.inv(reference.world_to_camera)
    return other.K @ motion[:3, :3] @ np.linalg.inv(reference.K), other.K @ motion[:3, 3]


def planes(reference: Camera, others: list[Camera], near: float, far: float, settings: SweepSettings) -> np.ndarray:
    """(D,) inverse depths from far to near, at most a pixel apart in the other views."""
    u, v = np.meshgrid(np.linspace(0, reference.width, 5), np.linspace(0, reference.height, 5))
    pixels = np.stack((u.ravel(), v.ravel(), np.ones(u.size)))
    w = np.linspace(1 / far, 1 / near, 65)
    longest = 0.0
    for other in others:
        a, b = homography(reference, other)
        seen = (a @ pixels)[:, :, None] + b[:, None, None] * w
        front = seen[2] > 1e-6
        uv = seen[:2] / np.where(front, seen[2], 1.0)
        inside = front & (uv[0] > 0) & (uv[0] < other.width) & (uv[1] > 0) & (uv[1] < other.height)
        speed = np.linalg.norm(np.diff(uv, axis=-1), axis=0) * (inside[:, 1:] & inside[:, :-1])
        if speed.any():
            longest = max(longest, float(np.percentile(speed[speed > 0], 75)) * (w.size - 1))
    count = int(np.clip(np.ceil(longest), settings.fewest_planes, settings.most_planes))
    return np.linspace(1 / far, 1 / near, count)


def _cost_volume(reference: View, others: list[View], inverse: np.ndarray, settings: SweepSettings) -> np.ndarray:
    """(H, W, D) uint8."""
    h, w = reference.gray.shape
    box = (settings.window, settings.window)
    floor = np.float32(settings.flat * settings.flat)
    mean = cv2.blur(reference.gray, box)
    variance = cv2.blur(reference.gray * reference.gray, box) - mean * mean
    shift, unshift = np.eye(3), np.eye(3)
    shift[:2, 2], unshift[:2, 2] = 0.5, -0.5  # OpenCV puts pixel centres at whole numbers
    maps = [homography(reference.camera, other.camera) for other in others]
    cost = np.empty((len(inverse), h, w), dtype=np.uint8)
    best, second = np.empty((h, w), dtype=np.float32), np.empty((h, w), dtype=np.float32)
    for d, inverse_depth in enumerate(inverse):
        best.fill(1.0)
        second.fill(1.0)
        for other, (a, b) in zip(others, maps, strict=True):
            matrix = a.copy()
            matrix[:, 2] += inverse_depth * b
            warped = cv2.warpPerspective(
                other.gray,
                unshift @ matrix @ shift,
                (w, h),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=_OUTSIDE,
            )
            outside = cv2.compare(warped, -0.5, cv2.CMP_LT)
            np.maximum(warped, 0, out=warped)
            sums = cv2.blur(warped, box), cv2.blur(warped * warped, box), cv2.blur(warped * reference.gray, box)
            _two_best(mean.ravel(), variance.ravel(), *(s.ravel() for s in sums), outside.ravel(), floor, best.ravel(), second.ravel())
        np.multiply(best + second, 127.5, out=best)
        cost[d] = best.astype(np.uint8)
    return np.ascontiguousarray(cost.transpose(1, 2, 0))


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _two_best(
    mean: np.ndarray,
    variance: np.ndarray,
    other_mean: np.ndarray,
    other_square: np.ndarray,
    product: np.ndarray,
    outside: np.ndarray,
    floor: float,
    best: np.ndarray,
    second: np.ndarray,
) -> None:
    """Mismatch (1 - correlation) / 2 of one view; keeps the two lowest. ``floor``: float32, least variance of a patch."""
    for i in range(mean.size):
        m = other_mean[i]
        covariance = product[i] - mean[i] * m
        spread = max(variance[i], floor) * max(other_square[i] - m * m, floor)
        mismatch = np.float32(0.5) - np.float32(0.5) * covariance / np.sqrt(spread)
        mismatch = min(max(mismatch, np.float32(0)), np.float32(1))
        mismatch = np.float32(1) if outside[i] else mismatch
        lower = min(best[i], mismatch)
        second[i] = min(second[i], max(best[i], mismatch))
        best[i] = lower
