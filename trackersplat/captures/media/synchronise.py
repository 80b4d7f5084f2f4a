"""Frames of cameras that were not triggered together, matched by the times at which they were taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MatchedFrames:
    """Per camera and frame of the capture, the number of its image."""

    frames: list[list[int]]  # [camera][frame]
    interval: float  # median time between the images of the leading camera
    spread: float  # largest difference between two cameras' times of one frame
    dropped: int  # frames of the leading camera that another camera has no image of


def match_times(times: Sequence[np.ndarray], tolerance: float, counted: Sequence[bool] | None = None) -> MatchedFrames:
    """Follows the camera with the most images; the others give their ``counterparts``.

    ``times[camera]`` are ascending, in one unit, one per image. Frames that a camera has no image of are dropped, if it is ``counted``.
    """
    cameras = [camera for camera, counts in enumerate(counted or ()) if counts] or list(range(len(times)))
    leader = max(cameras, key=lambda camera: len(times[camera]))
    found = [counterparts(own, times[leader], tolerance) for own in times]
    kept = np.flatnonzero(np.logical_and.reduce([found[camera][1] for camera in cameras]))
    frames = [index[kept].tolist() for index, _ in found]
    taken = np.stack([times[camera][found[camera][0][kept]] for camera in cameras])
    return MatchedFrames(
        frames=frames,
        interval=float(np.median(np.diff(times[leader]))) if len(times[leader]) > 1 else 0.0,
        spread=float(np.ptp(taken, axis=0).max()) if len(kept) else 0.0,
        dropped=len(times[leader]) - len(kept),
    )


def counterparts(times: np.ndarray, leader: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """For each of ``leader`` (L,) the nearest of ``times`` as (L,) indices, and whether it is a counterpart.

    It is one if it lies within ``tolerance`` and no other of ``leader`` is nearer to it, so no image serves two frames.
    """
    nearest = nearest_in(times, leader)
    mutual = nearest_in(leader, times)[nearest] == np.arange(len(leader))
    return nearest, mutual & (np.abs(times[nearest] - leader) <= tolerance)


def nearest_in(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(W,) index into the ascending ``times`` (T,) of the one nearest to each of ``wanted`` (W,)."""
    after = np.clip(np.searchsorted(times, wanted), 1, max(len(times) - 1, 1))
    if len(times) == 1:
        return np.zeros(len(wanted), dtype=np.int64)
    return np.where(wanted - times[after - 1] <= times[after] - wanted, after - 1, after)
