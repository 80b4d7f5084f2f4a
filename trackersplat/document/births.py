"""Whether the Gaussians that an edit names by ids are still those that were meant.

An id is a frame of birth and an index. If that frame is made again, other Gaussians may have the same ids. So the log keeps a mark of each
frame of birth that its edits name: where some of the Gaussians were that were born there. Ids of another birth are not applied.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from trackersplat.errors import InputError

SAMPLES = 32  # Gaussians of a mark
_CLOSE = 0.01  # of the extent of the sample: the compact form of a run moves Gaussians by less
_SAME = 0.9  # share of the sample that must be where it was
_MOST = 1 << 20  # marks of a log


@dataclass(frozen=True)
class BirthMark:
    """Of one frame of birth: a hash of its record in the run ("" without one), and where some of those born in it were."""

    birth: int  # index of the frame
    record: str
    count: int  # how many were born
    indices: tuple[int, ...]  # at most SAMPLES, evenly spread over those born there
    means: tuple[tuple[float, float, float], ...]  # world

    def to_json(self) -> dict[str, Any]:
        return {
            "birth": self.birth + 1,
            "record": self.record,
            "count": self.count,
            "indices": list(self.indices),
            "means": [list(mean) for mean in self.means],
        }

    @staticmethod
    def from_json(data: Any) -> BirthMark:
        """Raises InputError if it is none."""
        try:
            birth, count = int(data["birth"]) - 1, int(data["count"])
            indices = tuple(int(index) for index in data["indices"])
            means = np.array(data["means"], dtype=np.float64).reshape(len(indices), 3)
            if birth < 0 or count < len(indices) or len(indices) > SAMPLES or any(index < 0 for index in indices):
                raise ValueError("numbers out of range")
            if not np.isfinite(means).all():
                raise ValueError("a place is not finite")
            return BirthMark(birth, str(data["record"])[:64], count, indices, tuple((x, y, z) for x, y, z in means.tolist()))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"a mark of a frame of birth is damaged ({error})") from error

    @staticmethod
    def of(birth: int, record: str, indices: np.ndarray, means: np.ndarray) -> BirthMark:
        """``indices`` (B,), ascending: those born in the frame; ``means`` (N, 3): of all its Gaussians."""
        chosen = indices[np.unique(np.linspace(0, len(indices) - 1, min(SAMPLES, len(indices))).round().astype(np.int64))]
        places = tuple((float(x), float(y), float(z)) for x, y, z in means[chosen].tolist())
        return BirthMark(birth, record, len(indices), tuple(chosen.tolist()), places)

    def fits(self, indices: np.ndarray, means: np.ndarray) -> bool:
        """Whether those born in the frame now are the same ones."""
        if len(indices) != self.count:
            return False
        here = np.array(self.indices, np.int64)
        if not len(here):
            return True
        if here.max() >= len(means):
            return False
        before = np.array(self.means)
        extent = float(np.linalg.norm(before.max(0) - before.min(0) if len(before) > 1 else before[0]))
        apart = np.linalg.norm(means[here] - before, axis=1)
        return bool((apart <= _CLOSE * max(extent, 1e-12)).mean() >= _SAME)


@dataclass(frozen=True)
class BirthMarks:
    """All marks of a log, in the order in which they were written."""

    marks: tuple[BirthMark, ...] = ()

    def added(self, marks: tuple[BirthMark, ...]) -> BirthMarks:
        """Raises InputError if there are too many."""
        if len(self.marks) + len(marks) > _MOST:
            raise InputError(f"there are more than {_MOST:,} marks of frames of birth")
        return BirthMarks((*self.marks, *marks))

    def at(self, birth: int, count: int) -> BirthMark | None:
        """The last mark of a frame of birth among the first ``count`` ones."""
        return next((mark for mark in reversed(self.marks[:count]) if mark.birth == birth), None)


def record_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
