"""Exhaustive matching of two small images: finds any translation within a radius, however small the thing that moves."""

from __future__ import annotations

import cv2
import numba
import numpy as np

from trackersplat.tracking.trackers.dis.settings import SearchSettings

_WINDOW = 3  # pixels around the matched one, written out in `_keep`; 2 misses flat areas, 4 swallows thin things


def displacements(source: np.ndarray, target: np.ndarray, radius: int, settings: SearchSettings) -> tuple[np.ndarray, np.ndarray]:
    """The best whole-pixel displacement of every pixel of ``source`` into ``target``, and of ``target`` into ``source``.

    Images are (H, W, 3) uint8 RGB of one size; displacements (H, W, 2) float32, x and y, each within ``radius``. The cost is
    the difference of colours and gradients, both cut off, over a 7x7 window; the winner takes all. Time grows with
    ``H * W * radius**2``, memory does not: a displacement is compared with the best so far, and both directions share its costs.
    """
    limits = settings.colour_limit, settings.gradient_limit, settings.step_penalty
    return _search(_features(source), _features(target), radius, _WINDOW, *limits)


def _features(image: np.ndarray) -> np.ndarray:
    """(5, H, W) float32: the colours and the horizontal and vertical change of brightness."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    gradients = [cv2.Sobel(gray, cv2.CV_32F, *order, ksize=3, scale=0.25) for order in ((1, 0), (0, 1))]
    return np.ascontiguousarray(np.stack([*np.moveaxis(image, -1, 0).astype(np.float32), *gradients]))


# One loop over a row each, in a function of its own: only so does LLVM turn them into SIMD instructions.
_row = numba.njit(nogil=True, fastmath=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


@_row
def _add(values, total):  # type: ignore[no-untyped-def]
    for i in range(total.size):
        total[i] += values[i]


@_row
def _slide(entering, leaving, total):  # type: ignore[no-untyped-def]
    for i in range(total.size):
        total[i] += entering[i] - leaving[i]


@_row
def _keep(column, displacement, best_a, chosen_a, best_b, chosen_b):  # type: ignore[no-untyped-def]
    for i in range(best_a.size):
        cost = column[i] + column[i + 1] + column[i + 2] + column[i + 3] + column[i + 4] + column[i + 5] + column[i + 6]
        better = cost < best_a[i]
        best_a[i] = cost if better else best_a[i]
        chosen_a[i] = displacement if better else chosen_a[i]
        better = cost < best_b[i]
        best_b[i] = cost if better else best_b[i]
        chosen_b[i] = displacement if better else chosen_b[i]


@_row
def _difference(a0, a1, a2, a3, a4, b0, b1, b2, b3, b4, colour_limit, gradient_limit, cost):  # type: ignore[no-untyped-def]
    for i in range(cost.size):
        colour = abs(a0[i] - b0[i]) + abs(a1[i] - b1[i]) + abs(a2[i] - b2[i])
        gradient = abs(a3[i] - b3[i]) + abs(a4[i] - b4[i])
        colour = colour if colour < colour_limit else colour_limit
        gradient = gradient if gradient < gradient_limit else gradient_limit
        cost[i] = colour + gradient


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _search(
    a: np.ndarray, b: np.ndarray, radius: int, window: int, colour_limit: float, gradient_limit: float, step_penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    h, w = a.shape[1:]
    colour_limit32, gradient_limit32 = np.float32(colour_limit), np.float32(gradient_limit)
    outside = np.float32(colour_limit + gradient_limit)
    size, across = 2 * window + 1, 2 * radius + 1
    best_a, best_b = np.full((h, w), np.inf, np.float32), np.full((h, w), np.inf, np.float32)
    chosen_a, chosen_b = np.zeros((h, w), np.int32), np.zeros((h, w), np.int32)
    cost = np.empty((h + 2 * window, w + 2 * window), np.float32)
    column = np.empty(w + 2 * window, np.float32)
    for dy in range(-radius, radius + 1):
        top, bottom = max(0, -dy), min(h, h - dy)
        for dx in range(-radius, radius + 1):
            left, right = max(0, -dx), min(w, w - dx)
            if top >= bottom or left >= right:
                continue
            cost[:] = outside
            for y in range(top, bottom):
                s, t = a[:, y, left:right], b[:, y + dy, left + dx : right + dx]
                _difference(
                    s[0], s[1], s[2], s[3], s[4], t[0], t[1], t[2], t[3], t[4],
                    colour_limit32, gradient_limit32, cost[y + window, left + window : right + window],
                )  # fmt: skip
            number = np.int32((dy + radius) * across + dx + radius)
            column[:] = np.float32(step_penalty * (abs(dx) + abs(dy)) / size)
            for k in range(size):
                _add(cost[top + k], column)
            for y in range(top, bottom):
                if y > top:
                    _slide(cost[y + 2 * window], cost[y - 1], column)
                _keep(
                    column[left : right + 2 * window], number, best_a[y, left:right], chosen_a[y, left:right],
                    best_b[y + dy, left + dx : right + dx], chosen_b[y + dy, left + dx : right + dx],
                )  # fmt: skip
    forward, backward = np.empty((h, w, 2), np.float32), np.empty((h, w, 2), np.float32)
    for y in range(h):
        for x in range(w):
            forward[y, x, 0] = chosen_a[y, x] % across - radius
            forward[y, x, 1] = chosen_a[y, x] // across - radius
            backward[y, x, 0] = radius - chosen_b[y, x] % across
            backward[y, x, 1] = radius - chosen_b[y, x] // across
    return forward, backward
