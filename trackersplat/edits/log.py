"""The edits of a run, in ``edits.json`` of the run's folder.

The file is written as a whole, by one rename. What it calls cursor is the position of the `History`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from trackersplat.edits.arguments import LONGEST_TEXT
from trackersplat.edits.edit import Edit
from trackersplat.edits.history import History, checked_time
from trackersplat.edits.registry import make_edit
from trackersplat.errors import InputError
from trackersplat.files import JSON_LIMIT, has_file, read_json, write_text
from trackersplat.locks import wait_and_hold

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
        checked_time(time)
        if len(label) > LONGEST_TEXT:
            raise InputError(f"the label has {len(label)} characters, expected at most {LONGEST_TEXT}.")
        return Entry(make_edit(kind, data["arguments"]), time, label)


@dataclass(frozen=True)
class EditLog(History[Entry]):
    """The history of a run's edits of tracks."""

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in effect."""
        return tuple(entry.edit for entry in self.active)

    def added(self, edit: Edit, time: datetime, label: str = "") -> EditLog:
        """With one more entry, in place of those that are undone. Raises InputError if there are too many."""
        if self.position >= MOST_ENTRIES:
            raise InputError(f"The run has {MOST_ENTRIES:,} edits, more are not kept: undo some, or start another run.")
        return self.with_entry(Entry(edit, time.astimezone().isoformat(timespec="seconds"), (label or edit.label)[:LONGEST_TEXT]))

    def to_json(self) -> dict[str, Any]:
        return {"format": _FORMAT, "cursor": self.position, "entries": [entry.to_json() for entry in self.entries]}


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
    with wait_and_hold(run / _LOCK, str(run / EDITS_FILE)):
        log = change(read_log(run))
        text = json.dumps(log.to_json(), indent=1) + "\n"
        if len(text) > JSON_LIMIT:
            raise InputError(f"The edits of {run} would take more than {JSON_LIMIT:,} bytes: undo some, or name fewer tracks.")
        write_text(run / EDITS_FILE, text)
    return log
