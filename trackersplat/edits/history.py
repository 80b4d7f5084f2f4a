"""What was done, in order, with undo and redo: a list with a position. For edits of tracks (`edits.log`) and of the scene
(`document.log`), which keep it on the disk each in its own form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from trackersplat.errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Self


class Labelled(Protocol):
    @property
    def label(self) -> str: ...


E = TypeVar("E", bound=Labelled)


@dataclass(frozen=True)
class History(Generic[E]):
    """All entries in the order in which they were made, those that are undone at the end."""

    entries: tuple[E, ...] = ()
    position: int = 0  # how many of the entries are in effect

    @property
    def active(self) -> tuple[E, ...]:
        """The entries in effect."""
        return self.entries[: self.position]

    @property
    def labels(self) -> tuple[str, ...]:
        """Of all entries, those that are undone included."""
        return tuple(entry.label for entry in self.entries)

    @property
    def can_undo(self) -> bool:
        return self.position > 0

    @property
    def can_redo(self) -> bool:
        return self.position < len(self.entries)

    def with_entry(self, entry: E) -> Self:
        """With one more entry, in place of those that are undone."""
        return replace(self, entries=(*self.active, entry), position=self.position + 1)

    def at(self, position: int) -> Self:
        """Raises InputError if there is no such position."""
        if not 0 <= position <= len(self.entries):
            raise InputError(f"The history has positions 0 to {len(self.entries)}, there is no {position}.")
        return replace(self, position=position)

    def undone(self, count: int = 1) -> Self:
        """Raises InputError if fewer edits are in effect."""
        if not self.can_undo:
            raise InputError("There is no edit to undo.")
        if not 1 <= count <= self.position:
            raise InputError(f"{count:,} edits cannot be undone: {self.position:,} are in effect.")
        return self.at(self.position - count)

    def redone(self, count: int = 1) -> Self:
        """Raises InputError if fewer edits are undone."""
        left = len(self.entries) - self.position
        if not left:
            raise InputError("There is no undone edit to redo.")
        if not 1 <= count <= left:
            raise InputError(f"{count:,} edits cannot be redone: {left:,} are undone.")
        return self.at(self.position + count)


def checked_time(value: Any) -> str:
    """A time of ISO 8601, as entries have it. Raises InputError if it is none."""
    try:
        return datetime.fromisoformat(str(value)).isoformat()
    except ValueError as error:
        raise InputError(f"{str(value)[:40]!r} is no time of ISO 8601") from error
