"""The history of a document on the disk: read once, followed when another process adds to it, and added to line by line."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from trackersplat.document.births import BirthMark, BirthMarks
from trackersplat.document.history import Entry, History
from trackersplat.document.log_file import append_line, read_lines
from trackersplat.document.registry import make_scene_edit
from trackersplat.document.run_frames import RunFrames
from trackersplat.document.scene_edit import SceneEdit
from trackersplat.document.selection import Selection
from trackersplat.document.selection_files import read_selection, write_selection
from trackersplat.edits.arguments import LONGEST_TEXT
from trackersplat.edits.history import checked_time
from trackersplat.errors import InputError
from trackersplat.files import unwritable
from trackersplat.locks import wait_and_hold

FILE, SELECTIONS = "history.jsonl", "selections"
MOST_ENTRIES = 100_000  # of a history; more are no work of a person
_LOCK = ".history.lock"
_FORMAT = 1


class Log:
    """Lines: ``format``, ``births`` (marks of frames of birth), ``do`` (one edit or several), ``position`` (undo and redo)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE
        self.history = History()
        self.marks = BirthMarks()
        self.broken = False  # whether the last line is incomplete
        self._end = 0
        self._held = 0
        self._selections: dict[str, Selection] = {}
        self._lock = threading.RLock()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Nobody else adds a line meanwhile. Raises InputError if the folder cannot be written, or another process does not let go."""
        with self._lock:
            if self._held:
                yield
                return
            try:
                self.folder.mkdir(exist_ok=True)
            except OSError as error:
                raise unwritable(self.folder.parent, error) from error
            with wait_and_hold(self.folder / _LOCK, f"The document {self.folder}"):
                self._held += 1
                try:
                    yield
                finally:
                    self._held -= 1

    def refresh(self) -> bool:
        """Reads the lines that were added since; whether there were some.

        Raises InputError if the log is damaged or of another version; then what was read before stays.
        """
        with self._lock:
            lines = read_lines(self.path, self._end)
            history, marks = self.history, self.marks
            for number, entry in enumerate(lines.entries):
                try:
                    history, marks = self._after(history, marks, entry)
                except InputError as error:
                    place = f"{self.path}, {number + 1} lines after byte {self._end}" if self._end else f"{self.path}, line {number + 1}"
                    raise InputError(f"{place}, is damaged or of another version ({error}): restore the file.") from error
            if self._end == 0 and lines.entries and lines.entries[0].get("op") != "format":
                raise InputError(f"{self.path} does not begin with its format: restore the file.")
            self.history, self.marks, self._end, self.broken = history, marks, lines.end, lines.broken
            return bool(lines.entries)

    def add(self, edits: Sequence[SceneEdit], marks: tuple[BirthMark, ...], time: datetime) -> None:
        """Writes edits down, and before them what they select. Raises InputError if it cannot be written."""
        with self.writing():
            if self.history.position + len(edits) > MOST_ENTRIES:
                raise InputError(f"The history has {MOST_ENTRIES:,} edits, and no more can be added.")
            for selection in (each for edit in edits for each in edit.selections):
                write_selection(self.folder / SELECTIONS, selection)
                self._selections[selection.key] = selection
            if marks:
                self._append({"op": "births", "births": [mark.to_json() for mark in marks]})
            listed = [{"edit": edit.kind, **edit.to_json()} for edit in edits]
            when = time.isoformat(timespec="seconds")
            self._append({"op": "do", "edits": listed, "labels": [edit.label for edit in edits], "time": when})

    def move(self, position: int) -> None:
        """Writes undo or redo down."""
        with self.writing():
            self._append({"op": "position", "position": self.history.at(position).position})

    def missing_marks(self, births: Collection[int], frames: RunFrames) -> tuple[BirthMark, ...]:
        """Marks of frames of birth that the log does not have as they are now."""
        found = []
        for birth in sorted(births):
            if birth not in frames.frames:
                continue
            last = self.marks.at(birth, len(self.marks.marks))
            if last is None or frames.fits(last) is False:
                found.append(frames.mark(birth))
        return tuple(found)

    def stored(self, key: str) -> Selection:
        """A selection that was written before. Raises InputError if there is none, or it is damaged."""
        if key not in self._selections:
            self._selections[key] = read_selection(self.folder / SELECTIONS, key)
        return self._selections[key]

    def _append(self, entry: dict[str, Any]) -> None:
        if self._end == 0:
            self._write({"op": "format", "format": _FORMAT})
        self._write(entry)

    def _write(self, entry: dict[str, Any]) -> None:
        after = self._after(self.history, self.marks, entry)  # what would not be read is not written
        self._end = append_line(self.path, self._end, entry)
        self.history, self.marks = after
        self.broken = False

    def _after(self, history: History, marks: BirthMarks, entry: dict[str, Any]) -> tuple[History, BirthMarks]:
        """Raises InputError if the line is not ours."""
        op = entry.get("op")
        if op == "format":
            if entry.get("format") != _FORMAT:
                raise InputError(f"it has format {str(entry.get('format'))[:40]}, this version reads {_FORMAT}")
            return history, marks
        if op == "births" and isinstance(entry.get("births"), list):
            return history, marks.added(tuple(map(BirthMark.from_json, entry["births"])))
        if op == "position" and isinstance(entry.get("position"), int):
            return history.at(entry["position"]), marks
        edits, labels, time = entry.get("edits"), entry.get("labels"), entry.get("time")
        if op != "do" or not isinstance(edits, list) or not isinstance(labels, list) or len(edits) != len(labels):
            raise InputError(f"{str(op)[:40]!r} is no step of a history")
        when = checked_time(time)
        for data, label in zip(edits, labels, strict=True):
            if not isinstance(data, dict) or not isinstance(label, str):
                raise InputError("an edit or its label is missing")
            values = {name: value for name, value in data.items() if name != "edit"}
            edit = make_scene_edit(str(data.get("edit")), values, self._stored_selection)
            history = history.with_entry(Entry(edit, when, label[:LONGEST_TEXT], len(marks.marks)))
        if len(history.entries) > MOST_ENTRIES:
            raise InputError(f"there are more than {MOST_ENTRIES:,} edits")
        return history, marks

    def _stored_selection(self, data: Any) -> Selection:
        if not isinstance(data, dict) or not isinstance(data.get("stored"), str):
            raise InputError("an edit names no stored selection")
        return self.stored(data["stored"])
