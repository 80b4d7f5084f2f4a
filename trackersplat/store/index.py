"""Which frames a run has, in which folders, and what is known about them: read once, then kept up to date."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trackersplat.files import restore
from trackersplat.store.begin import DOCUMENT
from trackersplat.store.compact_frames import COMPACT_FILE
from trackersplat.store.record import RECORD, FrameRecord, read_record

FRAME_FOLDER = re.compile(r"frame([1-9]\d{0,8})")
_ASIDE = re.compile(r"\.(frame([1-9]\d{0,8}))\.old")  # as `files.aside` names a frame while another one takes its place
_ITERATION_FOLDER = re.compile(r"iteration_(\d{1,9})")


@dataclass(frozen=True)
class FrameEntry:
    """A frame's folder as it was found. ``inode`` tells whether another one has taken its place; ``cloud`` is its PLY, ``compact`` its
    compact form, if it has one."""

    folder: Path
    inode: int
    cloud: Path | None
    compact: Path | None

    @staticmethod
    def of(folder: Path) -> FrameEntry:
        compact = folder / COMPACT_FILE
        return FrameEntry(folder, folder.stat().st_ino, find_cloud(folder), compact if compact.is_file() else None)


@dataclass
class RunIndex:
    """The frames of a run folder. `refresh` lists folder names and reads the records of new frames alone."""

    root: Path
    own: Path  # folder of the pipeline that this run writes with; a frame there wins over others of the same number
    entries: dict[int, FrameEntry] = field(default_factory=dict)
    _records: dict[int, FrameRecord | None] = field(default_factory=dict)

    def refresh(self) -> None:
        """Finds frames that appeared, changed or went since the last time."""
        found: dict[int, FrameEntry] = {}
        for parent in self.parents():
            for number, entry in _frames_in(parent):
                found[number] = entry
        for frame, entry in found.items():
            before = self.entries.get(frame)
            if before is None or (before.folder, before.inode) != (entry.folder, entry.inode):
                self._records.pop(frame, None)
        for frame in set(self._records) - set(found):
            del self._records[frame]
        self.entries = dict(sorted(found.items()))

    def add(self, frame: int, folder: Path, record: FrameRecord) -> None:
        """A frame that has just been written."""
        self.entries[frame] = FrameEntry.of(folder)
        self.entries = dict(sorted(self.entries.items()))
        self._records[frame] = record

    def look_again(self, frame: int) -> None:
        """At the files of a frame, some of which were written or removed."""
        self.entries[frame] = FrameEntry.of(self.entries[frame].folder)

    def record(self, frame: int) -> FrameRecord | None:
        """Read at the first call. None for a frame of the published system or an old run. Raises InputError if the file is damaged."""
        if frame not in self._records:
            entry = self.entries.get(frame)
            path = entry.folder / RECORD if entry is not None else None
            self._records[frame] = read_record(path) if path is not None and path.is_file() else None
        return self._records[frame]

    def first_record(self) -> FrameRecord | None:
        """The record of the first frame that has one."""
        return next((record for frame in self.entries if (record := self.record(frame)) is not None), None)

    def compact_files(self) -> dict[int, Path]:
        """Frame -> its compact form."""
        return {frame: entry.compact for frame, entry in self.entries.items() if entry.compact is not None}

    def records(self) -> dict[int, FrameRecord]:
        """By frame, ascending; frames without a record are left out."""
        known = ((frame, self.record(frame)) for frame in self.entries)
        return {frame: record for frame, record in known if record is not None}

    def restore(self) -> None:
        """Completes every exchange of a frame for another one that was killed. Nobody else may be writing."""
        for parent in self.parents():
            for child in list(parent.iterdir()):
                if match := _ASIDE.fullmatch(child.name):
                    restore(parent / match[1])

    def parents(self) -> list[Path]:
        """The folders that frames may be in."""
        parents = [path for path in (self.root, *sorted(self.root.glob("*/*"))) if path != self.own and self._may_hold_frames(path)]
        return [*parents, self.own] if self.own.is_dir() and self.own != self.root else parents

    def files(self) -> dict[int, Path]:
        """Files, and links to nothing, that have the name of a frame's folder, where no folder of that frame is."""
        named = ((FRAME_FOLDER.fullmatch(child.name), child) for parent in self.parents() for child in parent.iterdir())
        found = {int(match[1]) - 1: child for match, child in named if match and not child.is_dir()}
        return {frame: child for frame, child in found.items() if frame not in self.entries}

    def own_folders(self) -> Iterator[tuple[int, Path]]:
        """Frames whose files belong to this run: those of a linked frame are another run's."""
        for frame, entry in self.entries.items():
            if self.is_own(frame):
                yield frame, entry.folder

    def is_own(self, frame: int) -> bool:
        return self.entries[frame].folder.resolve().is_relative_to(self.root.resolve())

    def _may_hold_frames(self, path: Path) -> bool:
        """Folders inside a frame or the document do not, nor do those that begin with a dot: a frame is written there until it is
        complete."""
        names = path.relative_to(self.root).parts
        if DOCUMENT in names[:1]:
            return False
        return path.is_dir() and not any(name.startswith(".") or FRAME_FOLDER.fullmatch(name) for name in names)


def find_cloud(folder: Path) -> Path | None:
    """The PLY of the last iteration in a frame's folder; None where there is none, as in one that was compacted."""
    try:
        children = list((folder / "point_cloud").iterdir())
    except OSError:
        return None
    numbered = [(int(match[1]), child) for child in children if (match := _ITERATION_FOLDER.fullmatch(child.name))]
    paths = [child / "point_cloud.ply" for _, child in sorted(numbered, reverse=True)]
    return next((path for path in paths if path.is_file()), None)


def _frames_in(parent: Path) -> list[tuple[int, FrameEntry]]:
    found: dict[int, FrameEntry] = {}
    replaced: dict[int, FrameEntry] = {}
    with os.scandir(parent) as children:
        for child in children:
            match, old = FRAME_FOLDER.fullmatch(child.name), _ASIDE.fullmatch(child.name)
            if (match or old) and child.is_dir():
                entry = FrameEntry.of(Path(child.path))
                if match:
                    found[int(match[1]) - 1] = entry
                elif old:
                    replaced[int(old[2]) - 1] = entry
    return list({**replaced, **found}.items())
