"""The tracks to diagnose, of all cameras and frames, and the scene they are about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.tracking.tracks import TrackEnd


@dataclass(frozen=True, eq=False)
class TrackTable:
    """P tracks over F frames. A track has a position from its query on, but may pause."""

    cameras: tuple[str, ...]
    frames: tuple[int, ...]  # F frame indices, ascending
    ids: np.ndarray  # (P,) int64, unique
    camera: np.ndarray  # (P,) int16 index into ``cameras``
    query: np.ndarray  # (P, 3) float32: frame index and pixel x, y at which the track begins
    positions: np.ndarray  # (F, P, 2) float32 px, centres at +0.5; nan where there is none
    visibility: np.ndarray  # (F, P) float32 in [0, 1]
    confidence: np.ndarray  # (F, P) float32 in [0, 1]; nan where the tracks say nothing about it
    ends: np.ndarray  # (F, P) uint8, a TrackEnd: not ALIVE in the frame in which the track ends
    source: str = ""  # who made them, for people
    remarks: tuple[str, ...] = ()  # sentences: what was assumed or left out

    def __post_init__(self) -> None:
        count, frames = len(self.ids), len(self.frames)
        shapes: dict[str, tuple[int, ...]] = {
            "camera": (count,), "query": (count, 3), "positions": (frames, count, 2), "visibility": (frames, count),
            "confidence": (frames, count), "ends": (frames, count),
        }  # fmt: skip
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ShapeError(f"TrackTable.{name} must have shape {shape}, got {getattr(self, name).shape}.")

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, frames: tuple[int, ...]) -> TrackTable:
        """The tracks in these of its frames. Raises ValueError if one is missing."""
        rows = [self.frames.index(frame) for frame in frames]
        changed = {name: getattr(self, name)[rows] for name in ("positions", "visibility", "confidence", "ends")}
        return replace(self, frames=frames, **changed)

    @property
    def ended(self) -> np.ndarray:
        """(F, P) bool: the track ends in this frame."""
        return self.ends != TrackEnd.ALIVE


@dataclass(frozen=True, eq=False)
class Scene:
    """What the tracks are about. The capture's cameras are the truth about where the cameras are."""

    capture: Capture
    gaussians: Callable[[int], Gaussians]  # frame -> its Gaussians
    kept: Callable[[int, int], Tensor | None]  # (frame, earlier frame) -> (N,) bool Gaussians that are the same; None: no frame's are
