"""The edits of a run: a list with a cursor, in ``edits.json`` of the run's folder.

Entries before the cursor are in effect. Undo moves the cursor back, redo forward; a new entry removes what is after the cursor. The file
is written as a whole, by one rename.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from trackersplat.edits.arguments import LONGEST_TEXT
from trackersplat.edits.edit import Edit
from trackersplat.edits.registry import make_edit
from trackersplat.errors import InputError
from trackersplat.files import JSON_LIMIT, has_file, read_json, write_text
from trackersplat.locks import hold

EDITS_FILE = "edits.json"
MOST_ENTRIES = 5000  # more are no work of a person
_FORMAT = 1
_LOCK = ".edits.json.lock"


@dataclass(frozen=True)
class Entry:
    """One edit, when it was made, and what it is in words."""

    edit: Edit
    time: str  # ISO 8601, with the offset to UTC
    label: str

    @property
    def kind(self) -> str:
        return self.edit.kind

    @cached_property
    def token(self) -> str:
        """A hash of what it does: the same for the same edit made twice."""
        return hashlib.sha256(json.dumps([self.kind, self.edit.to_json()], sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "arguments": self.edit.to_json(), "label": self.label, "time": self.time}

    @staticmethod
    def from_json(data: Any) -> Entry:
        """Raises InputError if it is no entry of ours."""
        if not isinstance(data, dict) or not isinstance(data.get("arguments"), dict):
            raise InputError("expected kind, arguments, label and time.")
        kind, label, time = (data.get(name) for name in ("kind", "label", "time"))
        if not isinstance(kind, str) or not isinstance(label, str) or not isinstance(time, str):
            raise InputError("kind, label and time must be texts.")
        try:
            datetime.fromisoformat(time)
        except ValueError as error:
            raise InputError(f"{time[:40]!r} is no time of ISO 8601.") from error
        if len(label) > LONGEST_TEXT:
            raise InputError(f"the label has {len(label)} characters, expected at most {LONGEST_TEXT}.")
        return Entry(make_edit(kind, data["arguments"]), time, label)


@dataclass(frozen=True)
class EditLog:
    """All entries in the order in which they were made, those that are undone at the end."""

    entries: tuple[Entry, ...] = ()
    cursor: int = 0  # entries in effect

    @property
    def active(self) -> tuple[Entry, ...]:
        """The entries in effect."""
        return self.entries[: self.cursor]

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in effect."""
        return tuple(entry.edit for entry in self.active)

    @property
    def can_undo(self) -> bool:
        return self.cursor > 0

    @property
    def can_redo(self) -> bool:
        return self.cursor < len(self.entries)

    def added(self, edit: Edit, time: datetime, label: str = "") -> EditLog:
        """With one more entry, in place of those that are undone. Raises InputError if there are too many."""
        if self.cursor >= MOST_ENTRIES:
            raise InputError(f"The run has {MOST_ENTRIES:,} edits, more are not kept: undo some, or start another run.")
        entry = Entry(edit, time.astimezone().isoformat(timespec="seconds"), (label or edit.label)[:LONGEST_TEXT])
        return EditLog((*self.active, entry), self.cursor + 1)

    def undone(self) -> EditLog:
        """Raises InputError if nothing is in effect."""
        if not self.can_undo:
            raise InputError("There is no edit to undo.")
        return replace(self, cursor=self.cursor - 1)

    def redone(self) -> EditLog:
        """Raises InputError if nothing is undone."""
        if not self.can_redo:
            raise InputError("There is no undone edit to redo.")
        return replace(self, cursor=self.cursor + 1)

    def to_json(self) -> dict[str, Any]:
        return {"format": _FORMAT, "cursor": self.cursor, "entries": [entry.to_json() for entry in self.entries]}


def read_log(run: Path) -> EditLog:
    """The log of the run in this folder; an empty one if it has none. Raises InputError if the file is damaged or of another version."""
    path = run / EDITS_FILE
    if not has_file(path):
        return EditLog()
    data = read_json(path)
    how = "restore the file, or remove it to undo all edits"
    if data.get("format") != _FORMAT:
        raise InputError(f"{path} has format {str(data.get('format'))[:40]}, this version reads {_FORMAT}: {how}.")
    listed, cursor = data.get("entries"), data.get("cursor")
    if not isinstance(listed, list) or len(listed) > MOST_ENTRIES:
        raise InputError(f"{path} holds no list of at most {MOST_ENTRIES:,} entries: {how}.")
    if isinstance(cursor, bool) or not isinstance(cursor, int) or not 0 <= cursor <= len(listed):
        raise InputError(f"{path} has the cursor {str(cursor)[:40]!r}, expected 0 to {len(listed)}: {how}.")
    entries = []
    for index, item in enumerate(listed):
        try:
            entries.append(Entry.from_json(item))
        except InputError as error:
            raise InputError(f"{path}, entry {index + 1} is damaged or of another version ({error}): {how}.") from error
    return EditLog(tuple(entries), cursor)


def change_log(run: Path, change: Callable[[EditLog], EditLog]) -> EditLog:
    """Reads the log, changes it, and writes it; nobody else changes it meanwhile.

    Raises what ``change`` raises; InputError if the file is damaged or cannot be written, or another process is changing it.
    """
    with hold(run / _LOCK, str(run / EDITS_FILE)):
        log = change(read_log(run))
        text = json.dumps(log.to_json(), indent=1) + "\n"
        if len(text) > JSON_LIMIT:
            raise InputError(f"The edits of {run} would take more than {JSON_LIMIT:,} bytes: undo some, or name fewer tracks.")
        write_text(run / EDITS_FILE, text)
    return log
