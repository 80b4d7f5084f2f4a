"""A document: a run, never written, and the edits of the scene that lie over it.

    <run>/document/history.jsonl      what was done, undone and redone, one line each (log_file.py)
    <run>/document/selections/*.npz   what was selected, as sets of ids (selection_files.py)

Every step is on the disk when the call that made it returns, so a process that is killed loses nothing that was confirmed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.document.births import BirthMark, BirthMarks
from trackersplat.document.edited_scene import EditedScene, StateCache, applied
from trackersplat.document.history import Entry, History
from trackersplat.document.last_used import LastUsed
from trackersplat.document.log import FILE as LOG_FILE
from trackersplat.document.log import Log
from trackersplat.document.made_without import MadeWithout
from trackersplat.document.reading import read_edit, read_selection, read_way
from trackersplat.document.run_frames import RunFrames
from trackersplat.document.scene_edit import Group, SceneEdit
from trackersplat.document.seen_scene import KEPT_VALUES, SeenScene
from trackersplat.document.selecting.way import Way
from trackersplat.document.selection import Selection
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import INDEX_BITS
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.store.begin import DOCUMENT
from trackersplat.store.run import Run
from trackersplat.words import counted


def has_document(run: Path) -> bool:
    """Whether edits of the scene were made in the run in this folder."""
    return (run / DOCUMENT / LOG_FILE).is_file()


class Document:
    """Cheap to open; frames are read when they are asked for. Thread-safe. Frames are indices of the run's frames, from 0."""

    def __init__(self, run: Run, capture: Capture | None = None, rasterizer: Rasterizer | None = None) -> None:
        """See `open`."""
        self.run = run
        self._capture, self._rasterizer = capture, rasterizer
        self._cameras: tuple[Camera, ...] | None = tuple(capture.cameras) if capture is not None else None
        self._lock = threading.RLock()
        self._frames = RunFrames(run)
        self._states, self._values = StateCache(), LastUsed[np.ndarray](KEPT_VALUES)
        self._log = Log(run.path / DOCUMENT)
        self._unfit: dict[BirthMark, bool] = {}  # whether those born in a frame are others now
        self._scene, self._misfits = EditedScene(self._frames), dict[int, str]()
        self._log.refresh()
        self._replay()

    @staticmethod
    def open(run: Path | str | Run, *, capture: Capture | None = None, rasterizer: Rasterizer | None = None) -> Document:
        """Opens the document of a run; one without edits if it has none yet. Nothing is written until the first edit.

        ``capture`` gives the cameras, if the run does not name them, and photographs, for errors. ``rasterizer`` finds what is visible; if
        absent, one is chosen when it is needed.

        Raises InputError if there is no run, or its log of edits is damaged or of another version.
        """
        return Document(run if isinstance(run, Run) else Run.open(Path(run)), capture, rasterizer)

    # -- history ------------------------------------------------------------------------------------------------------

    @property
    def history(self) -> History:
        """All entries with their labels, and the position: how many are in effect."""
        return self._log.history

    def do(self, edit: SceneEdit) -> None:
        """Does an edit and writes it down. Edits that were undone are gone then.

        Raises InputError if it does not fit the document, or cannot be written; then nothing has changed.
        """
        self.do_all([edit])

    def do_all(self, edits: Sequence[SceneEdit]) -> None:
        """Does several edits, each an entry of its own, all or none. Raises as `do`."""
        with self._lock, self._log.writing():
            self._follow()
            scene, last = self._scene, max(self._frames.frames, default=-1)
            for index, edit in enumerate(edits):
                if (named := edit.named_frames) is not None and named.first > last:
                    raise InputError(f"The run has frames up to {last + 1}: {edit.label} would do nothing.")
                scene = scene.edited(edit, str(index))
            marks = self._log.missing_marks({birth for edit in edits for each in edit.selections for birth in each.births}, self._frames)
            self._log.add(edits, marks, datetime.now(timezone.utc))
            self._replay()

    def undo(self, count: int = 1) -> None:
        """Takes the last edits back. Raises InputError if fewer are in effect, or it cannot be written down."""
        self._move(lambda history: history.undone(count))

    def redo(self, count: int = 1) -> None:
        """Puts edits that were undone into effect again. Raises InputError if there are fewer, or it cannot be written down."""
        self._move(lambda history: history.redone(count))

    def go_to(self, position: int) -> None:
        """So many edits are in effect then. Raises InputError if there is no such position, or it cannot be written down."""
        self._move(lambda history: history.at(position))

    def refresh(self) -> bool:
        """Finds what other processes did: edits, frames that were made or made again. Whether something is otherwise now."""
        with self._lock:
            before = self._scene.token
            self._follow()
            return self._scene.token != before

    # -- what it is now -----------------------------------------------------------------------------------------------

    @property
    def scene(self) -> EditedScene:
        """The scene as it is now; it stays so when the document goes on."""
        return self._scene

    @property
    def token(self) -> str:
        """A hash of all that is shown: pictures that were made with the same token are the same."""
        return self._scene.token

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames of the run in the order in which they are played: all of them, or what trimming and retiming leave."""
        return self._scene.clip.frames

    @property
    def groups(self) -> Mapping[str, Group]:
        """By name."""
        return self._scene.clip.groups

    def gaussians(self, frame: int) -> Gaussians:
        """What is shown of a frame, with all edits, on the CPU; the run's own where no edit acts on it.

        Raises InputError if the run does not have the frame, or it is broken.
        """
        return self._scene.gaussians(frame)

    def ids(self, frame: int) -> np.ndarray:
        """(N,) int64 lineage ids of `gaussians`: the same number is the same Gaussian in every frame."""
        return self._scene.ids(frame)

    def original(self, frame: int) -> Gaussians:
        """The frame as the run has it. Raises as `gaussians`."""
        return self._frames.original(frame)

    def original_ids(self, frame: int) -> np.ndarray:
        """(N,) int64 lineage ids of `original`."""
        return self._frames.ids(frame)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences: what does not fit the run any more, and what is assumed."""
        with self._lock:
            return tuple(self._warnings())

    def made_without(self) -> MadeWithout:
        """What is deleted now of what the frames of the run were made without, as far as their records say that there was something."""
        found = MadeWithout(self.left_out)
        for frame, done in sorted(self.run.records().items()):
            if done.left_out and done.base in self._frames.frames:
                found.of(frame, done.base, self._frames.ids(done.base))
        return found

    # -- selecting ----------------------------------------------------------------------------------------------------

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """Of the capture, or those that the run names; none if neither is there."""
        if self._cameras is None:
            self._cameras = self.run.read_cameras()
        return self._cameras

    @property
    def seen(self) -> SeenScene:
        """The scene as it is now, with what looks at it."""
        return self._seen(self._scene)

    def select(self, way: Way) -> Selection:
        """What a way of selecting (`selecting.registry`) gives in the scene as it is now. Raises InputError if it does not fit it."""
        return way.select(self.seen)

    def selection_of(self, data: Any) -> Selection:
        """A selection from JSON: ``{"way": NAME, ...}``, ``{"ids": [...]}``, ``{"group": NAME}`` or a stored one.

        Raises InputError if it is none of these.
        """
        return read_selection(data, self.seen, self._log.stored)

    def way_of(self, data: Any) -> Way:
        """A way of selecting from JSON. Raises InputError if it is none."""
        return read_way(data, self.seen, self._log.stored)

    def edit_of(self, data: Any) -> SceneEdit:
        """An edit from JSON: ``{"edit": KIND, ...}`` with its arguments. Raises InputError if it is none, or does not fit."""
        return read_edit(data, self.seen, self._log.stored)

    def apply(self, data: Iterable[Any]) -> tuple[str, ...]:
        """Does all edits of a list as JSON has them, or none. Each is read in the scene that those before it leave. Returns their labels.

        Raises InputError if one is not understood or does not fit; the message says which.
        """
        with self._lock, self._log.writing():
            self._follow()
            scene, edits = self._scene, list[SceneEdit]()
            for index, item in enumerate(data):
                try:
                    edit = read_edit(item, self._seen(scene), self._log.stored)
                    scene = scene.edited(edit, f"trial {index} {edit.to_json()}")
                except InputError as error:
                    raise InputError(f"Edit {index + 1} of the list: {error}") from error
                edits.append(edit)
            self.do_all(edits)
            return tuple(edit.label for edit in edits)

    def left_out(self, frame: int) -> Selection:
        """What is deleted in this and all later frames: it is left out when they are reconstructed."""
        return self._scene.left_out(frame)

    # -- private ------------------------------------------------------------------------------------------------------

    def _move(self, change: Callable[[History], History]) -> None:
        with self._lock, self._log.writing():
            self._follow()
            self._log.move(change(self._log.history).position)
            self._replay()

    def _follow(self) -> None:
        new_frames = self._frames.refresh()
        if self._log.refresh() or new_frames:
            if new_frames:
                self._unfit.clear()
            self._replay()

    def _replay(self) -> None:
        """The scene after the entries in effect, without the ids whose frame of birth holds others now."""
        history, marks = self._log.history, self._log.marks
        effective = []
        for entry in history.active:
            unfit = frozenset(birth for each in entry.edit.selections for birth in each.births if self._is_unfit(birth, entry, marks))
            edit = entry.edit.with_selections(partial(_without, births=unfit)) if unfit else entry.edit
            effective.append((edit, f"{entry.token} {sorted(unfit)}"))
        self._scene, self._misfits = applied(self._frames, effective, self._states)

    def _is_unfit(self, birth: int, entry: Entry, marks: BirthMarks) -> bool:
        found = marks.at(birth, entry.marks)
        if found is None:
            return False
        if found not in self._unfit:
            self._unfit[found] = self._frames.fits(found) is False
        return self._unfit[found]

    def _seen(self, scene: EditedScene) -> SeenScene:
        return SeenScene(scene, self.cameras, self._choose_rasterizer, self._open_capture, self._values)

    def _choose_rasterizer(self) -> Rasterizer:
        if self._rasterizer is None:
            self._rasterizer = choose_rasterizer()
        return self._rasterizer

    def _open_capture(self) -> Capture:
        if self._capture is None:
            raise InputError("This needs the photographs: open the document with the capture of the run.")
        return self._capture

    def _warnings(self) -> Iterable[str]:
        history, marks = self._log.history, self._log.marks
        if self._log.broken:
            yield (
                f"The last line of {self._log.path} is incomplete, as after a crash while it was written: that edit was not confirmed and "
                "is not applied."
            )
        unknown = [frame for frame in self._frames.frames if not self._frames.is_known(frame)]
        if unknown:
            yield (
                f"The run does not say which Gaussian is which in {len(unknown):,} of its frames: the same row is taken for the same "
                "Gaussian where there are equally many, and frames of other counts are edited on their own."
            )
        last = max(self._frames.frames, default=-1)
        for index, entry in enumerate(history.active):
            name = f"Edit {index + 1} ({entry.label})"
            if index in self._misfits:
                yield f"{name} is not applied: {self._misfits[index]}"
            if (frames := entry.edit.named_frames) is not None and frames.last is not None and frames.last > last:
                yield f"{name} names frames up to {frames.last + 1}, the run has frames up to {last + 1}."
            for selection in entry.edit.selections:
                yield from self._misfits_of(name, selection, entry, marks)

        without = self.made_without()
        for frame, done in self.run.records().items():
            if back := max(done.left_out - without.count(frame), 0):
                yield (
                    f"Frame {frame + 1} was reconstructed without {counted(done.left_out, 'Gaussian')} that "
                    f"{'were' if done.left_out > 1 else 'was'} deleted then. Not deleted any more: {back:,}. "
                    f"Reconstruct it again to have {'them' if back > 1 else 'it'}."
                )

    def _misfits_of(self, name: str, selection: Selection, entry: Entry, marks: BirthMarks) -> Iterable[str]:
        born = selection.ids >> INDEX_BITS
        for birth in selection.births:
            mine = selection.ids[born == birth]
            whole = f"{len(mine):,} of its {len(selection):,} Gaussians"
            if birth not in self._frames.frames:
                yield f"{name}: {whole} are of frame {birth + 1}, which is not in the run."
            elif self._is_unfit(birth, entry, marks):
                yield f"{name}: {whole} are of frame {birth + 1}, which was made again with other Gaussians; it does not act on them."
            elif missing := len(mine) - len(Selection.of(mine).rows(self._frames.ids(birth))):
                yield f"{name}: {missing:,} of its {len(selection):,} Gaussians do not exist any more."


def _without(selection: Selection, births: frozenset[int]) -> Selection:
    keep = ~np.isin(selection.ids >> INDEX_BITS, list(births))
    return Selection.of(selection.ids[keep])
