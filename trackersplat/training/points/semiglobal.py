"""Semi-global matching (Hirschmüller 2008) over the planes of a sweep."""

from __future__ import annotations

import numba
import numpy as np

PATHS = 4  # left, right, up, down; fixed by the loops below


def aggregate(cost: np.ndarray, image: np.ndarray, step_penalty: int, jump_penalty: int, edge: float) -> np.ndarray:
    """Costs summed along four straight paths: the best plane of a pixel then agrees with its neighbours' where its own cost is flat.

    ``cost`` (H, W, D) uint8; ``image`` (H, W) float32, 0 to 255. A change of one plane between neighbours on a path costs
    ``step_penalty``; a larger one ``jump_penalty``, less across an image edge (half where the
    grey levels differ by ``edge``), but always more than a step. Returns (H, W, D) uint16.
    """
    if PATHS * (255 + jump_penalty) > 65535:
        raise ValueError(f"jump_penalty {jump_penalty} overflows the sums")
    total = np.zeros(cost.shape, dtype=np.uint16)
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        _add_path(cost, image, step_penalty, jump_penalty, edge, dy, dx, total)
    return total


@numba.njit(cache=True, nogil=True)
def _add_path(cost: np.ndarray, image: np.ndarray, step: int, jump: int, halving: float, dy: int, dx: int, total: np.ndarray) -> None:
    """One direction: along rows if dx, along columns if dy; -1 runs backwards. Columns advance together, row by row, for the cache."""
    h, w, depth = cost.shape
    lines, length = (h, w) if dx != 0 else (w, h)
    if dx != 0:
        state = np.empty((1, depth + 2), dtype=np.int32)
        for y in range(h):
            for i in range(w):
                x = i if dx > 0 else w - 1 - i
                edge = 0.0 if i == 0 else image[y, x] - image[y, x - dx]
                _advance(cost[y, x], state[0], i == 0, edge, step, jump, halving, total[y, x])
    else:
        state = np.empty((lines, depth + 2), dtype=np.int32)
        for i in range(length):
            y = i if dy > 0 else h - 1 - i
            for x in range(w):
                edge = 0.0 if i == 0 else image[y, x] - image[y - dy, x]
                _advance(cost[y, x], state[x], i == 0, edge, step, jump, halving, total[y, x])


@numba.njit(cache=True, nogil=True, inline="always")
def _advance(
    cost: np.ndarray, state: np.ndarray, first: bool, edge: float, step: int, jump: int, halving: float, total: np.ndarray
) -> None:
    """``state`` holds the path costs of the previous pixel between two sentinels and is replaced by this pixel's."""
    depth = cost.size
    if first:
        state[0] = state[depth + 1] = 1 << 20
        for d in range(depth):
            state[d + 1] = cost[d]
            total[d] += cost[d]
        return
    lowest = state[1]
    for d in range(1, depth):
        lowest = min(lowest, state[d + 1])
    penalty = max(step + 1, int(jump / (1.0 + abs(edge) / halving)))
    limit = lowest + penalty
    before = state[0]
    for d in range(depth):
        here, after = state[d + 1], state[d + 2]
        best = min(min(here, limit), min(before, after) + step)
        before = here
        value = cost[d] + best - lowest
        state[d + 1] = value
        total[d] += value


@numba.njit(cache=True, nogil=True)
def best_plane(total: np.ndarray, cost: np.ndarray, plane: np.ndarray, matching: np.ndarray) -> None:
    """Per pixel the plane of the lowest sum, with a parabola through its neighbours, and the own cost there.

    ``total`` (H, W, D) uint16, ``cost`` (H, W, D) uint8; ``plane`` (H, W) float32 in planes and ``matching`` (H, W) float32 are written.
    """
    h, w, depth = total.shape
    for y in range(h):
        for x in range(w):
            best, lowest = 0, total[y, x, 0]
            for d in range(1, depth):
                if total[y, x, d] < lowest:
                    best, lowest = d, total[y, x, d]
            offset = 0.0
            if 0 < best < depth - 1:
                left, middle, right = float(total[y, x, best - 1]), float(lowest), float(total[y, x, best + 1])
                curvature = left - 2 * middle + right
                if curvature > 0:
                    offset = 0.5 * (left - right) / curvature
            plane[y, x] = best + offset
            matching[y, x] = cost[y, x, best]
