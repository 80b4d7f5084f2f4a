"""Certainty of displacements, from the displacements around and from other tracks of the same pixels."""

from __future__ import annotations

import numba
import numpy as np

from trackersplat.tracking.trackers.dis.settings import SupportSettings


def supported(flow: np.ndarray, certainty: np.ndarray, settings: SupportSettings) -> np.ndarray:
    """(H, W) float32 in [0, 1]: ``certainty``, lowered where few certain pixels around move alike.

    Wrong matches are alone more often than right ones, even those that pass every check of their own.
    """
    shares = _agreeing_surroundings(flow, certainty, settings.reach_px, settings.step_px, settings.alike_px, settings.alike_slope)
    squared = np.square(certainty * shares)
    half = settings.half_share
    return ((1.0 + half**2) * squared / (squared + half**2)).astype(np.float32)


def agreement(first: np.ndarray, second: np.ndarray, tolerance: float) -> np.ndarray:
    """(H, W) in [0, 1]: 1 where two displacement fields agree, 1/2 where they differ by ``tolerance`` pixels."""
    return 1.0 / (1.0 + (np.linalg.norm(first - second, axis=-1) / tolerance) ** 4)


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _agreeing_surroundings(
    flow: np.ndarray, certainty: np.ndarray, reach: int, step: int, alike_px: float, alike_slope: float
) -> np.ndarray:
    """(H, W) float32 in [0, 1]: the certain share of the pixels around that move alike; 0 where the pixel itself is not certain."""
    height, width = certainty.shape
    result = np.zeros((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            if certainty[y, x] < np.float32(0.01):
                continue
            total, count = np.float32(0), 0
            for dy in range(-reach, reach + 1, step):
                if not 0 <= y + dy < height:
                    continue
                for dx in range(-reach, reach + 1, step):
                    if not 0 <= x + dx < width or (dx == 0 and dy == 0):
                        continue
                    du, dv = flow[y + dy, x + dx, 0] - flow[y, x, 0], flow[y + dy, x + dx, 1] - flow[y, x, 1]
                    near = np.float32(alike_px**2 + alike_slope**2 * (dx * dx + dy * dy))
                    total += certainty[y + dy, x + dx] * near / (near + du * du + dv * dv)
                    count += 1
            result[y, x] = total / count
    return result
