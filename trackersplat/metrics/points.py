"""Errors of points in space against the truth that lies with a capture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trackersplat.captures.arrays import read_arrays
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError, ShapeError


@dataclass(frozen=True)
class PointTruth:
    """Where N surface points are in every frame of a capture, scene units."""

    positions: np.ndarray  # (T, N, 3) float64
    dynamic: np.ndarray  # (N,) bool: belongs to something that moves at some time
    visible: np.ndarray  # (C, T, N) bool, cameras in the order of the capture

    def seen(self, frame: int, cameras: Sequence[int]) -> np.ndarray:
        """(N,) bool: points that at least one of the cameras sees in that frame."""
        return np.asarray(self.visible[list(cameras), frame].any(axis=0))


@dataclass(frozen=True)
class PointErrors:
    """Distances to the truth in scene units; None without points."""

    count: int
    median: float | None
    p90: float | None  # nine of ten points are at least this near


def has_point_truth(capture: Capture) -> bool:
    """Whether there is a ``gt/tracks.npz`` with the capture."""
    return (capture.root / "gt" / "tracks.npz").is_file()


def read_point_truth(capture: Capture) -> PointTruth:
    """Reads ``gt/tracks.npz``: ``xyz`` (T, N, 3), ``dynamic`` (N,), ``vis`` (C, T, N), cameras in the order of the capture.

    Raises InputError if it is missing, damaged, or does not fit the capture.
    """
    path = capture.root / "gt" / "tracks.npz"
    cameras, frames = len(capture.cameras), capture.frame_count
    layout = {"xyz": ("f", (frames, "N", 3)), "dynamic": ("b", ("N",)), "vis": ("b", (cameras, frames, "N"))}
    arrays = read_arrays(path, layout)
    if not np.isfinite(arrays["xyz"]).all():
        raise InputError(f"{path}: xyz holds positions that are not finite; expected the place of every point in every frame.")
    return PointTruth(arrays["xyz"].astype(np.float64), arrays["dynamic"], arrays["vis"])


def point_errors(found: np.ndarray, truth: np.ndarray) -> PointErrors:
    """Median and 90 % quantile of the distances between (P, 3) points. Raises ShapeError if the shapes differ."""
    if found.shape != truth.shape or found.ndim != 2 or found.shape[1] != 3:
        raise ShapeError(f"Point errors compare two (P, 3) arrays, got {found.shape} and {truth.shape}.")
    if not len(found):
        return PointErrors(0, None, None)
    distance = np.linalg.norm(found - truth, axis=1)
    return PointErrors(len(distance), float(np.median(distance)), float(np.quantile(distance, 0.9)))
