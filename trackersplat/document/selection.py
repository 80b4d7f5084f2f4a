"""A selection: a set of Gaussians by their lineage ids, so that it is the same things in every frame."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from trackersplat.errors import InputError
from trackersplat.gaussians.lineage import INDEX_BITS
from trackersplat.words import counted

MOST_GAUSSIANS = 1 << 26  # of one selection: a bound for memory


@dataclass(frozen=True, eq=False)
class Selection:
    """Lineage ids (`gaussians.lineage.Lineage.ids`), each once and ascending. What is not in a frame is simply not there in it."""

    ids: np.ndarray  # (M,) int64, not writable

    @staticmethod
    def of(ids: Iterable[int] | np.ndarray) -> Selection:
        """Any ids, in any order. Raises InputError if one is negative or there are too many."""
        found = np.array(ids if isinstance(ids, np.ndarray) else list(ids), dtype=np.int64)
        if len(found) > 1 and not (found[1:] > found[:-1]).all():
            found = np.unique(found)
        if len(found) > MOST_GAUSSIANS or (len(found) and found[0] < 0):
            raise InputError(f"A selection holds at most {MOST_GAUSSIANS:,} ids of Gaussians, none below 0.")
        found.setflags(write=False)
        return Selection(found)

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selection) and np.array_equal(self.ids, other.ids)

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def words(self) -> str:
        """ "1,204 Gaussians"."""
        return counted(len(self.ids), "Gaussian")

    @cached_property
    def key(self) -> str:
        """A hash of the ids: the same for the same selection."""
        return hashlib.sha256(np.ascontiguousarray(self.ids, dtype="<i8").tobytes()).hexdigest()[:32]

    @cached_property
    def births(self) -> tuple[int, ...]:
        """Frames in which the Gaussians were born: that of the fit, and those in which some made way for others."""
        return tuple(np.unique(self.ids >> INDEX_BITS).tolist())

    # -- sets ---------------------------------------------------------------------------------------------------------

    def union(self, other: Selection) -> Selection:
        return _sorted(np.union1d(self.ids, other.ids))

    def subtract(self, other: Selection) -> Selection:
        return _sorted(np.setdiff1d(self.ids, other.ids, assume_unique=True))

    def intersect(self, other: Selection) -> Selection:
        return _sorted(np.intersect1d(self.ids, other.ids, assume_unique=True))

    def invert(self, within: Selection) -> Selection:
        """All of ``within`` that are not selected."""
        return within.subtract(self)

    def combine(self, other: Selection, how: str) -> Selection:
        """``how``: "replace", "add", "subtract" or "intersect" with the ``other``, as the keys of every tool do.

        Raises InputError if it is none of these.
        """
        ways = {"replace": lambda: other, "add": lambda: self.union(other)}
        ways |= {"subtract": lambda: self.subtract(other), "intersect": lambda: self.intersect(other)}
        if how not in ways:
            raise InputError(f"Selections are not combined by {how[:40]!r}; expected one of {', '.join(ways)}.")
        return ways[how]()

    # -- in a frame ---------------------------------------------------------------------------------------------------

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """(K,) int64, ascending: which rows of a frame with these ``ids`` (N,), one for each row, are selected.

        A Gaussian mostly stands at the row that its id names; rows that were added stand behind those and are searched.
        """
        return np.flatnonzero(self.mask(ids))

    def mask(self, ids: np.ndarray) -> np.ndarray:
        """(N,) bool: which of the Gaussians of a frame, with ids (N,), are selected."""
        found = np.zeros(len(ids), bool)
        row = self.ids & ((1 << INDEX_BITS) - 1)
        near = row < len(ids)
        row, wanted = (row, self.ids) if near.all() else (row[near], self.ids[near])
        here = ids[row] == wanted
        found[row if here.all() else row[here]] = True
        if len(self.ids) and not (len(here) == len(self.ids) and here.all()):
            moved = np.flatnonzero((ids & ((1 << INDEX_BITS) - 1)) != np.arange(len(ids)))
            found[moved[np.isin(ids[moved], self.ids)]] = True
        return found

    # -- as a file ----------------------------------------------------------------------------------------------------

    def packed(self) -> dict[str, np.ndarray]:
        """Compact: for each frame of birth, which indices are selected, as bits."""
        index, born = self.ids & ((1 << INDEX_BITS) - 1), self.ids >> INDEX_BITS
        arrays: dict[str, np.ndarray] = {"count": np.array(len(self.ids), np.int64)}
        for birth in self.births:
            mine = index[born == birth]
            bits = np.zeros(int(mine[-1]) + 1, bool)
            bits[mine] = True
            arrays[f"born{birth}"] = np.packbits(bits)
        return arrays

    @staticmethod
    def unpacked(arrays: dict[str, Any]) -> Selection:
        """From what `packed` gives. Raises ValueError if it is not that."""
        parts, count = [], 0
        for name, bits in arrays.items():
            if name == "count":
                continue
            birth = int(name.removeprefix("born"))
            if not name.startswith("born") or birth < 0 or bits.dtype != np.uint8 or bits.ndim != 1 or 8 * len(bits) > MOST_GAUSSIANS + 8:
                raise ValueError(f"{name} is no set of bits")
            chosen = np.unpackbits(bits)
            count += np.count_nonzero(chosen)
            if count > MOST_GAUSSIANS:
                raise ValueError(f"it has more than {MOST_GAUSSIANS:,} ids")
            parts.append(np.flatnonzero(chosen).astype(np.int64) + (birth << INDEX_BITS))
        found = _sorted(np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.int64))
        if len(found) != int(arrays["count"]):
            raise ValueError(f"{int(arrays['count'])} ids were said to be there, found {len(found)}")
        return found


def rows_of(ids: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) int64: the row of each of ``ids`` (N,) among ``others`` (M,), each there once; -1 where it is not there."""
    shared = min(len(ids), len(others))
    same = ids[:shared] == others[:shared]  # in two frames of a run, most are in the same rows
    found = np.full(len(ids), -1)
    found[:shared][same] = np.flatnonzero(same)
    asked, among = (np.concatenate((np.flatnonzero(~same), np.arange(shared, count))) for count in (len(ids), len(others)))
    if not len(asked) or not len(among):
        return found
    among = among[np.argsort(others[among], kind="stable")]
    place = among[np.minimum(np.searchsorted(others[among], ids[asked]), len(among) - 1)]
    found[asked] = np.where(others[place] == ids[asked], place, -1)
    return found


def _sorted(ids: np.ndarray) -> Selection:
    ids = ids.astype(np.int64, copy=False)
    ids.setflags(write=False)
    return Selection(ids)


NOTHING = Selection.of(())
