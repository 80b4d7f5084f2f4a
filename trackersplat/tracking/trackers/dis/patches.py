"""Comparing small patches of two images at half-pixel displacements, and spreading the good displacements.

The spreading is that of PatchMatch (Barnes et al. 2009), without its random search. The weights of a patch fall with the
difference in colour from its centre, so that a patch at the border of a moving object does not compare what lies behind it.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numba
import numpy as np

from trackersplat.tracking.trackers.dis.settings import PatchSettings

# Sizes of the kernels and of the planes they read.
_REACH = 3  # pixels on each side of a patch's centre
_SIDE = 2 * _REACH + 1
_LANES = 8  # of a SIMD register; the eighth column has no weight
_PHASES = 2  # per pixel and axis
_PAD = _REACH + 1
_ZERO_GRADIENT = 128  # the value that stands for it in uint8

_inner = numba.njit(nogil=True, fastmath=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
_kernel = numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")


class _Limits(NamedTuple):
    """`PatchSettings` as the kernels take them, float32."""

    per_colour: np.float32
    colour: np.float32
    gradient: np.float32
    outside: np.float32


def planes(image: np.ndarray) -> np.ndarray:
    """(4, 5, H + 8, W + 16) uint8: RGB and gradients of the image as it is, and moved by half a pixel in x, y and both."""
    h, w = image.shape[:2]
    result = np.empty((_PHASES**2, 5, h + 2 * _PAD, w + 2 * _PAD + _LANES), np.uint8)
    for phase in range(_PHASES**2):
        moved = image
        if phase:
            shift = np.array([[1, 0, phase % _PHASES / _PHASES], [0, 1, phase // _PHASES / _PHASES]], np.float32)
            flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
            moved = cv2.warpAffine(image, shift, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        gray = cv2.cvtColor(moved, cv2.COLOR_RGB2GRAY)
        options = {"ksize": 1, "delta": _ZERO_GRADIENT, "borderType": cv2.BORDER_REPLICATE}
        gradients = [cv2.Sobel(gray, cv2.CV_32F, *order, **options).clip(0, 255).round().astype(np.uint8) for order in ((1, 0), (0, 1))]
        for channel, values in enumerate((*cv2.split(moved), *gradients)):
            result[phase, channel] = cv2.copyMakeBorder(values, _PAD, _PAD, _PAD, _PAD + _LANES, cv2.BORDER_REPLICATE)
    return result


def choose(
    source: np.ndarray, target: np.ndarray, candidates: np.ndarray, penalties: np.ndarray, mask: np.ndarray, settings: PatchSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Per pixel of the mask the candidate of the lowest patch cost plus penalty, and that sum; elsewhere the first candidate and 0.

    ``source`` and ``target``: what ``planes`` returned; ``candidates`` (K, H, W, 2) float32 displacements; ``penalties`` (K,) float32;
    ``mask`` (H, W) bool. Returns displacements (H, W, 2) and costs (H, W).
    """
    candidates = np.ascontiguousarray(candidates, np.float32)
    return _choose(source[0], target, candidates, penalties.astype(np.float32), mask, _limits(settings))


def spread(
    source: np.ndarray, target: np.ndarray, flow: np.ndarray, cost: np.ndarray, mask: np.ndarray, gain: float, settings: PatchSettings
) -> None:
    """Improves ``flow`` and ``cost`` in place, in the mask, with what ``choose`` returned as the start.

    Once down and once up the image: each pixel tries the displacements of its neighbours, and steps of one pixel, then
    of half a pixel; it changes only for a cost lower by ``gain``.
    """
    limits = _limits(settings)
    _sweep(source[0], target, flow, cost, mask, False, 1.0, gain, limits)
    _sweep(source[0], target, flow, cost, mask, True, 1.0 / _PHASES, gain, limits)


def _limits(settings: PatchSettings) -> _Limits:
    return _Limits(
        per_colour=np.float32(1 / settings.colours),
        colour=np.float32(settings.colour_limit),
        gradient=np.float32(settings.gradient_limit),
        outside=np.float32(settings.outside_cost),
    )


@_inner
def _load(image, y, x, patch, weights, limits):  # type: ignore[no-untyped-def]
    """The patch (5, 7, 8) around a pixel as float32, and its bilateral weights (7, 8), of sum one."""
    height, width = image.shape[1] - 2 * _PAD, image.shape[2] - 2 * _PAD - _LANES
    for c in range(5):
        for i in range(_SIDE):
            row = image[c, y + _PAD - _REACH + i, x + _PAD - _REACH : x + _PAD - _REACH + _LANES]
            values = patch[c, i]
            for k in range(_LANES):
                values[k] = np.float32(row[k])
    r, g, b = patch[0, _REACH, _REACH], patch[1, _REACH, _REACH], patch[2, _REACH, _REACH]
    for i in range(_SIDE):
        inside = np.float32(1) if 0 <= y + i - _REACH < height else np.float32(0)
        p0, p1, p2, w = patch[0, i], patch[1, i], patch[2, i], weights[i]
        for k in range(_LANES):
            difference = (abs(p0[k] - r) + abs(p1[k] - g) + abs(p2[k] - b)) * limits.per_colour
            w[k] = inside / (np.float32(1) + difference * difference)
        for k in range(_SIDE):
            if not 0 <= x + k - _REACH < width:
                w[k] = np.float32(0)
        w[_SIDE] = np.float32(0)
    total = np.float32(0)
    for i in range(_SIDE):
        for k in range(_LANES):
            total += weights[i, k]
    for i in range(_SIDE):
        for k in range(_LANES):
            weights[i, k] /= total


@_inner
def _cost(patch, weights, target, y, x, u, v, limits):  # type: ignore[no-untyped-def]
    """Weighted difference between a patch and the one at (x + u, y + v), rounded to half pixels; a constant outside the image."""
    height, width = target.shape[2] - 2 * _PAD, target.shape[3] - 2 * _PAD - _LANES
    steps_x, steps_y = int(np.floor(u * _PHASES + 0.5)), int(np.floor(v * _PHASES + 0.5))
    at_x, at_y = x + steps_x // _PHASES, y + steps_y // _PHASES
    if not (0 <= at_x < width and 0 <= at_y < height):
        return limits.outside
    image = target[(steps_y % _PHASES) * _PHASES + steps_x % _PHASES]
    total = np.float32(0)
    start = at_x + _PAD - _REACH
    for i in range(_SIDE):
        row = at_y + _PAD - _REACH + i
        b0, b1, b2 = image[0, row, start : start + _LANES], image[1, row, start : start + _LANES], image[2, row, start : start + _LANES]
        b3, b4 = image[3, row, start : start + _LANES], image[4, row, start : start + _LANES]
        a0, a1, a2, a3, a4, w = patch[0, i], patch[1, i], patch[2, i], patch[3, i], patch[4, i], weights[i]
        for k in range(_LANES):
            colour = abs(a0[k] - np.float32(b0[k])) + abs(a1[k] - np.float32(b1[k])) + abs(a2[k] - np.float32(b2[k]))
            gradient = abs(a3[k] - np.float32(b3[k])) + abs(a4[k] - np.float32(b4[k]))
            colour = colour if colour < limits.colour else limits.colour
            gradient = gradient if gradient < limits.gradient else limits.gradient
            total += w[k] * (colour + gradient)
    return total


@_kernel
def _choose(source, target, candidates, penalties, mask, limits):  # type: ignore[no-untyped-def]
    count, height, width = candidates.shape[:3]
    flow = candidates[0].copy()
    cost = np.zeros((height, width), np.float32)
    patch, weights = np.empty((5, _SIDE, _LANES), np.float32), np.empty((_SIDE, _LANES), np.float32)
    for y in range(height):
        for x in range(width):
            if not mask[y, x]:
                continue
            _load(source, y, x, patch, weights, limits)
            lowest, best = np.float32(1e9), 0
            for k in range(count):
                value = _cost(patch, weights, target, y, x, candidates[k, y, x, 0], candidates[k, y, x, 1], limits) + penalties[k]
                if value < lowest:
                    lowest, best = value, k
            flow[y, x, 0], flow[y, x, 1], cost[y, x] = candidates[best, y, x, 0], candidates[best, y, x, 1], lowest
    return flow, cost


@_kernel
def _sweep(source, target, flow, cost, mask, upwards, step, gain, limits):  # type: ignore[no-untyped-def]
    height, width = flow.shape[:2]
    patch, weights = np.empty((5, _SIDE, _LANES), np.float32), np.empty((_SIDE, _LANES), np.float32)
    before = 1 if upwards else -1
    for i in range(height):
        y = height - 1 - i if upwards else i
        for j in range(width):
            x = width - 1 - j if upwards else j
            if not mask[y, x]:
                continue
            _load(source, y, x, patch, weights, limits)
            lowest, u, v = cost[y, x], flow[y, x, 0], flow[y, x, 1]
            for q in range(3):
                near_y, near_x = y + (before if q != 0 else 0), x + (before if q != 1 else 0)
                if not (0 <= near_y < height and 0 <= near_x < width):
                    continue
                near_u, near_v = flow[near_y, near_x, 0], flow[near_y, near_x, 1]
                if abs(near_u - u) + abs(near_v - v) < 0.5 / _PHASES:  # the same, as far as patches tell
                    continue
                value = _cost(patch, weights, target, y, x, near_u, near_v, limits)
                if value < lowest - gain:
                    lowest, u, v = value, near_u, near_v
            start_u, start_v = u, v
            for q in range(4):
                near_u = start_u + (step if q == 0 else -step if q == 1 else 0.0)
                near_v = start_v + (step if q == 2 else -step if q == 3 else 0.0)
                value = _cost(patch, weights, target, y, x, near_u, near_v, limits)
                if value < lowest - gain:
                    lowest, u, v = value, near_u, near_v
            flow[y, x, 0], flow[y, x, 1], cost[y, x] = u, v, lowest
