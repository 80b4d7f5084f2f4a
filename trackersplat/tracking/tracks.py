"""2D point tracks of one view: sparse ones with lasting ids, and dense ones on the pixel grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from torch import Tensor

from trackersplat.errors import ShapeError


@dataclass(frozen=True)
class Provenance:
    """Where tracks come from."""

    tracker: str
    version: str = ""
    weights: str = ""  # SHA-256 of the weights, "" if there are none
    licence: str = ""
    size: tuple[int, int] | None = None  # width, height of the images that were tracked


class TrackEnd(IntEnum):
    """Why a track ends at a frame."""

    ALIVE = 0  # it does not
    LEFT_IMAGE = 1
    OCCLUDED = 2  # hidden for longer than it is followed
    UNRELIABLE = 3  # seen, but at a position that cannot be trusted
    CROSSED_MASK = 4  # between foreground and background
    REPLACED = 5  # the Gaussians that carried it made way for others
    BY_HAND = 6  # a person ended it


@dataclass(frozen=True, eq=False)
class Tracks:
    """P point tracks of one camera over F frames. A track keeps its id through the whole clip.

    Positions are pixels with centres at +0.5. Visibility and confidence are two probabilities and are stored apart: a hidden point
    may have a position that is known well.
    """

    camera: str
    ids: Tensor  # (P,) int64, unique over all cameras of a clip
    query: Tensor  # (P, 3) float32: frame index t and pixel x, y at which the track begins
    frames: tuple[int, ...]  # F frame indices
    positions: Tensor  # (F, P, 2) float32 px; nan where the track has no position
    visibility: Tensor  # (F, P) float32 in [0, 1]: the point is seen in the frame
    confidence: Tensor  # (F, P) float32 in [0, 1]: trust in the position
    ends: Tensor  # (F, P) uint8, a TrackEnd: not ALIVE in the frame where the track ends and after it
    provenance: Provenance

    def __post_init__(self) -> None:
        count, frames = self.ids.numel(), len(self.frames)
        shapes = {
            "ids": (count,), "query": (count, 3), "positions": (frames, count, 2),
            "visibility": (frames, count), "confidence": (frames, count), "ends": (frames, count),
        }  # fmt: skip
        for name, shape in shapes.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ShapeError(f"Tracks.{name} must have shape {shape}, got {tuple(getattr(self, name).shape)}.")

    def __len__(self) -> int:
        return self.ids.numel()


@dataclass(frozen=True, eq=False)
class DenseTracks:
    """Where every pixel of the base frame of one view goes in F target frames.

    Positions are pixels with centres at +0.5 (a pixel that stays has position (x + 0.5, y + 0.5)). All tensors are on one device.
    """

    base: int  # frame index
    targets: tuple[int, ...]  # F frame indices
    positions: Tensor  # (F, H, W, 2) float32
    visibility: Tensor  # (F, H, W) float32 in [0, 1]: the point is seen in the target frame
    confidence: Tensor  # (F, H, W) float32 in [0, 1]: trust in the position
    hidden_weight: float  # how much the position of a hidden point counts, next to that of a seen one
    provenance: Provenance
    remarks: tuple[str, ...] = ()  # what has to be said about how they were made, in sentences

    def __post_init__(self) -> None:
        if self.positions.ndim != 4 or self.positions.shape[0] != len(self.targets) or self.positions.shape[3] != 2:
            raise ShapeError(f"Track positions must be ({len(self.targets)}, H, W, 2), got {tuple(self.positions.shape)}.")
        for name in ("visibility", "confidence"):
            if getattr(self, name).shape != self.positions.shape[:3]:
                expected, got = tuple(self.positions.shape[:3]), tuple(getattr(self, name).shape)
                raise ShapeError(f"Track {name} must be {expected}, got {got}.")

    def only(self, targets: Sequence[int]) -> DenseTracks:
        """The tracks to these of the targets, in this order. Raises ValueError if one is missing."""
        if tuple(targets) == self.targets:
            return self
        places = [self.targets.index(target) for target in targets]
        # One after the other they are a part of what is there; a list would be copied to a GPU, which waits.
        at = slice(places[0], places[-1] + 1) if places and places == list(range(places[0], places[-1] + 1)) else places
        return replace(
            self, targets=tuple(targets), positions=self.positions[at], visibility=self.visibility[at], confidence=self.confidence[at]
        )

    def with_part(self, part: DenseTracks) -> DenseTracks:
        """These tracks with those of ``part`` to its targets. Raises ValueError if one of them is not among these."""
        if part.targets == self.targets:
            return replace(self, positions=part.positions, visibility=part.visibility, confidence=part.confidence)
        at = torch.tensor([self.targets.index(target) for target in part.targets], device=self.positions.device)
        return replace(
            self,
            positions=self.positions.index_copy(0, at, part.positions),
            visibility=self.visibility.index_copy(0, at, part.visibility),
            confidence=self.confidence.index_copy(0, at, part.confidence),
        )
