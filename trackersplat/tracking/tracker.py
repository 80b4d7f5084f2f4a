"""Dense 2D point tracks and the interface of everything that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
from torch import Tensor

from trackersplat.errors import ShapeError

Array: TypeAlias = np.ndarray | Tensor  # a tensor where the tracker runs on a device, and may stay there


@dataclass(frozen=True)
class TrackerInfo:
    """Facts about a tracker; listed without importing what it needs."""

    name: str  # as on the command line
    title: str
    licence: str
    needs: str  # what must be installed, "" if nothing
    hidden: float = 0.1  # how much its position of a point that is hidden counts, next to that of a seen one
    leg: int | None = None  # frames that it is best asked for from one base, in the order of time; None: as many as there are


@dataclass(frozen=True)
class DenseTracks:
    """Where every pixel of the base frame of one view goes in F target frames.

    Positions are pixels with centres at +0.5 (a pixel that stays has position (x + 0.5, y + 0.5)). The three fields are NumPy
    arrays, or tensors on the device of a tracker that runs there; ``as_array`` brings either to NumPy.
    """

    base: int  # frame index
    targets: tuple[int, ...]  # F frame indices
    positions: Array  # (F, H, W, 2) float32
    visibility: Array  # (F, H, W) float32 probability in [0, 1] that the point is seen in the target frame
    confidence: Array  # (F, H, W) float32 in [0, 1]: trust in the position
    tracker: TrackerInfo

    def __post_init__(self) -> None:
        if self.positions.ndim != 4 or self.positions.shape[0] != len(self.targets) or self.positions.shape[3] != 2:
            raise ShapeError(f"Track positions must be ({len(self.targets)}, H, W, 2), got {tuple(self.positions.shape)}.")
        for name in ("visibility", "confidence"):
            if getattr(self, name).shape != self.positions.shape[:3]:
                expected, got = tuple(self.positions.shape[:3]), tuple(getattr(self, name).shape)
                raise ShapeError(f"Track {name} must be {expected}, got {got}.")

    def only(self, targets: Sequence[int]) -> DenseTracks:
        """The tracks to these of the targets, in this order. Raises ValueError if one is missing."""
        at = [self.targets.index(target) for target in targets]
        return replace(
            self, targets=tuple(targets), positions=self.positions[at], visibility=self.visibility[at], confidence=self.confidence[at]
        )

    def replaced(self, part: DenseTracks) -> DenseTracks:
        """These tracks, in NumPy, with those of ``part`` to its targets. Raises ValueError if one is not among these."""
        at = [self.targets.index(target) for target in part.targets]

        def merged(ours: Array, theirs: Array) -> np.ndarray:
            values = as_array(ours).copy()
            values[at] = as_array(theirs)
            return values

        return replace(
            self,
            positions=merged(self.positions, part.positions),
            visibility=merged(self.visibility, part.visibility),
            confidence=merged(self.confidence, part.confidence),
        )


def as_array(values: Array) -> np.ndarray:
    """The values in NumPy, of the same shape and type; only what lies on a device is copied."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else values


class Tracker(Protocol):
    """Tracks every pixel of the first image of a single-view clip into the others."""

    info: TrackerInfo

    def track(self, images: Sequence[np.ndarray], frames: Sequence[int]) -> DenseTracks:
        """``images``: (H, W, 3) uint8 RGB, the base first, then the targets; ``frames``: their indices. Thread-safe."""
        ...
