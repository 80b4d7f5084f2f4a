"""What was done to a document, in order: a list with a position. Entries before it are in effect; undo moves it back, redo forward."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property

from trackersplat.document.scene_edit import SceneEdit
from trackersplat.errors import InputError


@dataclass(frozen=True)
class Entry:
    """One edit, when it was made, and what it is in words."""

    edit: SceneEdit
    time: str  # ISO 8601, with the offset to UTC
    label: str
    marks: int = 0  # how many birth marks of the log were written before it (`births.BirthMarks`)

    @cached_property
    def token(self) -> str:
        """A hash of what it does: the same for the same edit made twice."""
        return hashlib.sha256(json.dumps([self.edit.kind, self.edit.to_json(), self.marks], sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class History:
    entries: tuple[Entry, ...] = ()
    position: int = 0  # how many of the entries are in effect

    @property
    def active(self) -> tuple[Entry, ...]:
        return self.entries[: self.position]

    @property
    def labels(self) -> tuple[str, ...]:
        """Of all entries, those that are undone included."""
        return tuple(entry.label for entry in self.entries)

    def added(self, entry: Entry) -> History:
        """Entries that were undone are gone then."""
        return History((*self.active, entry), self.position + 1)

    def at(self, position: int) -> History:
        """Raises InputError if there is no such position."""
        if not 0 <= position <= len(self.entries):
            raise InputError(f"The history has positions 0 to {len(self.entries)}, there is no {position}.")
        return replace(self, position=position)

    def undone(self, count: int = 1) -> History:
        """Raises InputError if fewer edits are in effect."""
        if not 1 <= count <= self.position:
            raise InputError(f"{count:,} edits cannot be undone: {self.position:,} are in effect.")
        return self.at(self.position - count)

    def redone(self, count: int = 1) -> History:
        """Raises InputError if fewer edits are undone."""
        left = len(self.entries) - self.position
        if not 1 <= count <= left:
            raise InputError(f"{count:,} edits cannot be redone: {left:,} are undone.")
        return self.at(self.position + count)
