"""The export that the page asks for, in a worker process (see `file_job`). It knows no toolkit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from trackersplat.captures.camera_files.registry import CAMERA_FILES
from trackersplat.commands.export_words import (
    compared_sentence,
    left_out_sentence,
    pruned_sentence,
    size_sentence,
)
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.gaussians.exporters.registry import EXPORTERS
from trackersplat.jobs.export_events import (
    EVENTS,
    CamerasRead,
    ExportStarted,
    FileDone,
    FrameCompared,
    FrameWeighed,
    FrameWritten,
    Pruned,
    Said,
)
from trackersplat.jobs.tracks_format import SUFFIX, TRACKS
from viewer.camera_paths import folder_beside
from viewer.file_job import FileJob, free_name
from viewer.jobs import WORKER, Kind

FOLDER = "exports"  # in the folder of the run


@dataclass(frozen=True)
class ExportChoice:
    """As on the command line of ``trackersplat export``."""

    format: str = "html"
    first: int | None = None  # frame, index from 0; None: the run's first
    last: int | None = None  # likewise
    sh_degree: int | None = None
    prune: float = 0.0
    edits: bool = True
    fps: float | None = None

    def arguments(self, frames: tuple[int, ...], played: Collection[int] | None = None) -> list[str]:
        """``frames``: those of the run, ascending; ``played``: those of the clip as it is edited, None: all.

        Raises InputError if none of them is asked for, or a range with a gap.
        """
        wanted = [frame for frame in frames if (self.first or 0) <= frame <= (frames[-1] if self.last is None else self.last)]
        if not wanted:
            raise InputError("No frame between in and out point is reconstructed.")
        if len(wanted) < len(frames) and len(wanted) <= wanted[-1] - wanted[0]:
            missing = next(frame for frame in range(wanted[0], wanted[-1]) if frame not in wanted)
            raise InputError(f"Frame {missing + 1} is not reconstructed: choose in and out points with no gap between them.")
        if self.edits and played is not None and not set(wanted) & set(played):
            raise InputError(
                f"{left_out_sentence(wanted)} Choose other in and out points, undo the trimming, or export without the edits of the scene."
            )
        found = ["--format", self.format]
        if len(wanted) < len(frames):
            found += ["--frames", f"{wanted[0] + 1}:{wanted[-1] + 1}"]
        if self.sh_degree is not None:
            found += ["--sh-degree", str(self.sh_degree)]
        if self.prune:
            found += ["--prune", f"{self.prune:g}"]
        if not self.edits:
            found.append("--no-edits")
        return found if self.fps is None else [*found, "--fps", f"{self.fps:g}"]


def suffix_of(format: str) -> str:
    """Of the file; "" if a folder is written."""
    if format == TRACKS:
        return SUFFIX
    return "" if format in CAMERA_FILES else EXPORTERS.facts(format).suffix


EXPORT: Kind[Event] = Kind("export", "nothing of it is kept", "press Export to start again", EVENTS.from_json)


class ExportJob(FileJob):
    """Every change grows ``Shared.export``."""

    counter = "export"
    busy = "An export is being written: wait until it is finished, or cancel it."
    kind = EXPORT

    # Of the export that was started last.
    _frames: int
    _compared: list[FrameCompared]
    _said: list[str]
    _written: bool

    def start(self, choice: ExportChoice, played: Collection[int] | None = None) -> None:
        """Exports the run on the screen. ``played``: the frames of its clip as it is edited; None: all.

        Raises InputError if that cannot be done.
        """
        with self._lock:
            run = self.require_free()
            suffix = suffix_of(choice.format)
            folder = folder_beside(run, self._store.shared.out, FOLDER)
            out = free_name(folder, choice.format, suffix)
            arguments = choice.arguments(self._store.shared.reconstructed, played)
            command = [*WORKER, "export", str(run), "--out", str(out), "--events", "json", *arguments]
            self._frames, self._compared, self._said, self._written = 0, [], [], False
            self.launch(command)
        self._store.grow("export")

    def take(self, event: Event) -> None:
        match event:
            case ExportStarted(frames):
                self._frames = frames
                self.say("Writing …")
            case FrameWeighed(_, done):
                self.say("Weighing the Gaussians …")
                self.progress(done, self._frames, "frame")
            case FrameWritten(done):
                self.say("Writing …")
                self.progress(done, self._frames, "frame")
            case FrameCompared():
                self.say("Reading back …")
                self._compared.append(event)
            case Pruned():
                self._said.append(_sentence(pruned_sentence(event)))
            case CamerasRead(cameras):
                self._said.append(f"All {cameras} cameras were read back and are the same.")
            case Said(text) if self._written:
                self.amend(text)
            case Said(text):
                self._said.append(text)
            case FileDone(path, frames, size):
                self._written = True
                compared = [_sentence(compared_sentence(self._compared))] if self._compared else []
                self.add(Path(path), size, " ".join([_sentence(size_sentence(frames, size)), *compared, *self._said]))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
