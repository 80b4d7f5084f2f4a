"""Flags and notes of frames and tracks: kept as JSON beside the run, exported as a table. It knows no toolkit."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trackersplat.captures.demo import is_demo_run
from trackersplat.errors import InputError
from trackersplat.files import read_json, write_json
from viewer.state import Store

FORMAT = 1
ENDING = ".notes.json"
LONGEST = 2000  # characters of a note
MOST = 20_000  # notes of a run
HIGHEST = 2**53  # of the number of a track: what JSON holds exactly


@dataclass(frozen=True)
class Note:
    """About a frame (index from 0), and about one track in it if ``track`` is given."""

    frame: int
    track: int | None = None
    flag: bool = False
    text: str = ""

    @property
    def empty(self) -> bool:
        return not self.flag and not self.text


def notes_file(run: Path, out: Path | None) -> Path:
    """Beside the folder of the run. The bundled run has its notes where results go, which ``out`` tells."""
    folder = out.parent if out is not None and is_demo_run(run) else run.parent
    return folder / (run.name + ENDING)


class Notes:
    """Those of the run on the screen, or of the run that is to come. Thread-safe. Every change grows ``Shared.notes``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._path: Path | None = None  # of the file that ``_notes`` are those of
        self._notes: dict[tuple[int, int | None], Note] = {}
        self._damaged: str | None = None  # why the file cannot be read; it is not written over
        self._lock = threading.RLock()

    def path(self) -> Path | None:
        """Of the run on the screen, or of the one that is to come; None if neither is known."""
        shared = self._store.shared
        run = shared.run or shared.out
        return None if run is None else notes_file(run, shared.out)

    def all(self) -> tuple[Note, ...]:
        """By frame, the note of the frame itself before those of its tracks."""
        with self._lock:
            self._load()
            return tuple(sorted(self._notes.values(), key=lambda note: (note.frame, -1 if note.track is None else note.track)))

    def get(self, frame: int, track: int | None = None) -> Note:
        """An empty one if there is none."""
        with self._lock:
            self._load()
            return self._notes.get((frame, track), Note(frame, track))

    def flagged(self) -> frozenset[int]:
        """The frames with a flag, of their own or of one of their tracks."""
        return frozenset(note.frame for note in self.all() if note.flag)

    def toggle(self, frame: int, track: int | None = None) -> None:
        note = self.get(frame, track)
        self._put(replace(note, flag=not note.flag))

    def write(self, frame: int, track: int | None, text: str) -> None:
        """Raises InputError if it is too long or the file cannot be written."""
        if len(text) > LONGEST:
            raise InputError(f"A note has at most {LONGEST} characters, this one has {len(text)}: shorten it.")
        self._put(replace(self.get(frame, track), text=text.strip()))

    def remove(self, frame: int, track: int | None = None) -> None:
        self._put(Note(frame, track))

    def csv(self) -> str:
        """Frames from 1. Text that a spreadsheet would take for a formula begins with an apostrophe."""
        file = io.StringIO()
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("frame", "track", "flag", "note"))
        for note in self.all():
            text = "'" + note.text if note.text[:1] in ("=", "+", "-", "@", "\t") else note.text
            table.writerow((note.frame + 1, "" if note.track is None else note.track, int(note.flag), text))
        return file.getvalue()

    # -- private ------------------------------------------------------------------------------------------------------

    def _put(self, note: Note) -> None:
        with self._lock:
            self._load()
            path = self._path
            if path is None:
                raise InputError("There is no run yet that a note could be kept with.")
            if self._damaged is not None:
                raise InputError(self._damaged)
            notes = dict(self._notes)
            key = (note.frame, note.track)
            if note.empty:
                notes.pop(key, None)
            else:
                notes[key] = note
            if len(notes) > MOST:
                raise InputError(f"A run has at most {MOST} notes: remove some.")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_json(path, {"format": FORMAT, "notes": [_to_json(known) for known in notes.values()]})
            except OSError as error:
                raise InputError(
                    f"The notes cannot be written to {path} ({error.strerror}): check its folder and the free space."
                ) from error
            self._notes = notes
        self._store.grow("notes")

    def _load(self) -> None:
        path = self.path()
        if path == self._path:
            return
        self._path, self._notes, self._damaged = path, {}, None
        if path is None or not path.exists():
            return
        try:
            self._notes = _read(path)
        except InputError as error:
            self._damaged = str(error)
            self._store.problem("notes", self._damaged)


def _to_json(note: Note) -> dict[str, Any]:
    return {**asdict(note), "frame": note.frame + 1}


def _read(path: Path) -> dict[tuple[int, int | None], Note]:
    """Raises InputError if the file is not one of ours."""
    data = read_json(path)
    entries = data.get("notes")
    if data.get("format") != FORMAT or not isinstance(entries, list) or len(entries) > MOST:
        raise InputError(f"{path} holds no notes of this version: rename it to begin anew.")
    found = (_note(entry, path) for entry in entries)
    return {(note.frame, note.track): note for note in found}


def _note(entry: Any, path: Path) -> Note:
    if isinstance(entry, Mapping):
        frame, track, flag, text = (entry.get(name) for name in ("frame", "track", "flag", "text"))
        if _whole(frame, 1) and (track is None or _whole(track, 0)) and isinstance(flag, bool) and isinstance(text, str):
            return Note(int(frame) - 1, track, flag, text[:LONGEST])  # type: ignore[arg-type]
    raise InputError(f"{path} has an entry that is no note ({str(entry)[:80]}): mend or rename it.")


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= HIGHEST
