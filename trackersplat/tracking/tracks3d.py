"""3D point tracks of a clip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trackersplat.errors import ShapeError

if TYPE_CHECKING:  # such tracks can be read and measured without PyTorch
    from trackersplat.tracking.tracks import Provenance


@dataclass(frozen=True, eq=False)
class Tracks3D:
    """P point tracks over F frames, in the world of a capture (or of a file that says nothing about its cameras).

    Visibility and confidence are two probabilities and are stored apart. A track has no position before its query unless whoever made
    it follows points back in time.

    Raises ShapeError if an array has the wrong shape, ids are not unique, frames do not ascend, or a query is not finite.
    """

    ids: np.ndarray  # (P,) int64, unique
    query: np.ndarray  # (P, 4) float64: frame index t and world x, y, z at which the track begins
    frames: tuple[int, ...]  # F frame indices, ascending
    positions: np.ndarray  # (F, P, 3) float64 world; nan where the track has no position
    visibility: np.ndarray  # (F, P) float32 in [0, 1]: the point is seen in at least one view
    confidence: np.ndarray  # (F, P) float32 in [0, 1]: trust in the position
    provenance: Provenance
    cameras: tuple[str, ...] = ()  # V names, of the views that ``view_visibility`` tells about
    view_visibility: np.ndarray | None = None  # (V, F, P) float32 in [0, 1]: the point is seen in that view; None: not known

    def __post_init__(self) -> None:
        count, frames = len(self.ids), len(self.frames)
        kinds: dict[str, tuple[tuple[int, ...], type]] = {
            "ids": ((count,), np.int64), "query": ((count, 4), np.float64), "positions": ((frames, count, 3), np.float64),
            "visibility": ((frames, count), np.float32), "confidence": ((frames, count), np.float32),
        }  # fmt: skip
        if self.view_visibility is not None:
            kinds["view_visibility"] = ((len(self.cameras), frames, count), np.float32)
        elif self.cameras:
            raise ShapeError("Tracks3D names cameras but has no view_visibility.")
        for name, (shape, kind) in kinds.items():
            array: np.ndarray = np.array(getattr(self, name), kind)
            if array.shape != shape:
                raise ShapeError(f"Tracks3D.{name} must have shape {shape}, got {array.shape}.")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if len(np.unique(self.ids)) != count:
            raise ShapeError("Tracks3D.ids must be different.")
        if list(self.frames) != sorted(set(self.frames)) or any(frame < 0 for frame in self.frames):
            raise ShapeError(f"Tracks3D.frames must be different indices from 0, ascending, got {self.frames}.")
        if not np.isfinite(self.query).all():
            raise ShapeError("Tracks3D.query must be finite.")

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, chosen: np.ndarray | slice) -> Tracks3D:
        """A subset by boolean mask, indices or a slice of the tracks."""
        return replace(
            self,
            ids=self.ids[chosen],
            query=self.query[chosen],
            positions=self.positions[:, chosen],
            visibility=self.visibility[:, chosen],
            confidence=self.confidence[:, chosen],
            view_visibility=None if self.view_visibility is None else self.view_visibility[:, :, chosen],
        )

    @property
    def known(self) -> np.ndarray:
        """(F, P) bool: the track has a position."""
        found: np.ndarray = np.isfinite(self.positions).all(-1)
        return found

    @property
    def query_frames(self) -> np.ndarray:
        """(P,) int64 frame indices."""
        return np.rint(self.query[:, 0]).astype(np.int64)

    def at(self, frame: int) -> np.ndarray:
        """(P, 3) world positions at a frame index, nan where there is none. Raises ValueError if it is not among the frames."""
        found: np.ndarray = self.positions[self.frames.index(frame)]
        return found
