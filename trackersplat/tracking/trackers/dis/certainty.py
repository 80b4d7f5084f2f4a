"""How far tracks are to be trusted, from what their surroundings and other tracks of the same pixels say."""

from __future__ import annotations

import numba
import numpy as np

_REACH, _STRIDE = 6, 2  # pixels: the surroundings are every second pixel this far
_LIKE_PX, _LIKE_SLOPE = (
    1.0,
    0.5,
)  # difference of displacement at which a neighbour counts half, and its growth per pixel of distance: what turns is no contradiction
_HALF = 0.15  # share of agreeing surroundings that makes a track as likely right as wrong


def supported(flow: np.ndarray, certainty: np.ndarray) -> np.ndarray:
    """(H, W) float32 in [0, 1]: ``certainty``, lowered where few certain pixels around move alike.

    Wrong matches are alone more often than right ones, even those that pass every check of their own.
    """
    found = certainty * _agreeing_surroundings(flow, certainty)
    squared = np.square(found)
    return ((1.0 + _HALF**2) * squared / (squared + _HALF**2)).astype(np.float32)


def agreement(first: np.ndarray, second: np.ndarray, tolerance: float) -> np.ndarray:
    """(H, W) in [0, 1]: 1 where two displacement fields agree, 1/2 where they differ by ``tolerance`` pixels."""
    return 1.0 / (1.0 + (np.linalg.norm(first - second, axis=-1) / tolerance) ** 4)


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _agreeing_surroundings(flow: np.ndarray, certainty: np.ndarray) -> np.ndarray:
    height, width = certainty.shape
    result = np.zeros((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            if certainty[y, x] < np.float32(0.01):
                continue
            total, count = np.float32(0), 0
            for dy in range(-_REACH, _REACH + 1, _STRIDE):
                if not 0 <= y + dy < height:
                    continue
                for dx in range(-_REACH, _REACH + 1, _STRIDE):
                    if not 0 <= x + dx < width or (dx == 0 and dy == 0):
                        continue
                    du, dv = flow[y + dy, x + dx, 0] - flow[y, x, 0], flow[y + dy, x + dx, 1] - flow[y, x, 1]
                    near = np.float32(_LIKE_PX**2 + _LIKE_SLOPE**2 * (dx * dx + dy * dy))
                    total += certainty[y + dy, x + dx] * near / (near + du * du + dv * dv)
                    count += 1
            result[y, x] = total / count
    return result
