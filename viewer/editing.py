"""The edits of the scene over the run on the screen: what is shown of a frame, and what people do to it.

All of what is done runs on one thread, in order, so that the page never waits; the store announces it by ``Shared.scene``.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trackersplat.captures.capture import Capture
from trackersplat.captures.demo import is_demo_run
from trackersplat.document.last_used import LastUsed
from trackersplat.errors import InputError
from trackersplat.files import atomic_folder
from trackersplat.store.begin import DOCUMENT
from viewer.camera_paths import folder_beside
from viewer.frame_cache import FrameCache
from viewer.notes import notes_file
from viewer.runs import Runs
from viewer.shared_rasterizer import SharedRasterizer
from viewer.state import FAILED, REFUSED, Store, TabClosed

if TYPE_CHECKING:
    import numpy as np

    from trackersplat.document.document import Document
    from trackersplat.document.selection import Selection
    from trackersplat.gaussians.gaussians import Gaussians
    from trackersplat.store.run import Run

KEPT_HIGHLIGHTS = 8  # frames
OF_THE_RUN = "Scores, tracks and errors are of the run as it was reconstructed, without your edits of the scene."
EDITED_ENDING = "-edited"  # of the folder of a copy of the bundled run

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SceneFrame:
    """What is shown of a frame."""

    gaussians: Gaussians
    ids: np.ndarray | None = None  # (N,) int64 lineage ids; None of a frame that is still being optimised
    rows: np.ndarray | None = None  # (N,) which rows of the run's own frame these are; None: they are all of them
    edited: bool = False  # whether this is not the run's own frame


class Editing:
    """Thread-safe."""

    def __init__(self, capture: Capture, store: Store, runs: Runs, frames: FrameCache, renderer: SharedRasterizer) -> None:
        self._capture, self._store, self._runs, self._frames, self._renderer = capture, store, runs, frames, renderer
        self._lock = threading.RLock()
        self._opened: tuple[Path, Document] | None = None
        self._broken: Path | None = None  # a run whose edits cannot be read, which was said
        self._highlights: LastUsed[tuple[Gaussians, Gaussians]] = LastUsed(KEPT_HIGHLIGHTS)
        self._waiting = 0  # works that are not done yet
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="editing")
        store.subscribe(self._on_change)

    def close(self) -> None:
        self._store.unsubscribe(self._on_change)
        self._worker.shutdown(wait=False, cancel_futures=True)

    # -- what is shown ------------------------------------------------------------------------------------------------

    def document(self) -> Document:
        """Of the run on the screen. Raises InputError if there is no run, or its edits cannot be read."""
        run = self._store.shared.run
        if run is None:
            raise InputError("Nothing is reconstructed yet, so there is nothing to edit: reconstruct first.")
        with self._lock:
            if self._opened is None or self._opened[0] != run:
                from trackersplat.document.document import Document

                opened = _cached_run(self._runs, self._frames, run)
                self._opened = (run, Document.open(opened, capture=self._capture, rasterizer=self._renderer.rasterizer))
                self._highlights.clear()
            return self._opened[1]

    def current(self) -> Document | None:
        """As `document`, but None if there is none; why is said on the page."""
        run = self._store.shared.run
        if run is None or not self._store.shared.ready or run == self._broken:
            return None
        try:
            found = self.document()
        except InputError as error:
            self._broken = run
            self._store.problem("scene edits", f"The edits of the scene are not shown: {error}")
            return None
        return found

    def frame(self, frame: int) -> SceneFrame | None:
        """What stands for a frame (`Shared.source_of`), with all edits; None if nothing is reconstructed. Raises InputError."""
        shared = self._store.shared
        original = self._frames.shown(frame)
        source = shared.source_of(frame)
        if original is None or source is None:
            return None
        document = self.current()
        if document is None or (shared.draft is not None and shared.draft.frame == source):
            return SceneFrame(original)
        scene = document.scene
        if not scene.edits:
            return SceneFrame(original, document.original_ids(source))
        state = scene.state(source)
        if state.gaussians is document.original(source) and state.shown.all():
            return SceneFrame(original, state.ids)
        import numpy as np

        return SceneFrame(scene.gaussians(source), scene.ids(source), np.flatnonzero(state.shown), True)

    @property
    def is_edited(self) -> bool:
        """Whether edits change what is shown: then scores, tracks and errors, which are of the run, are not of what is shown."""
        document = self.current()
        return document is not None and any(edit.changes_scene for edit in document.scene.edits)

    def highlight(self, shown: SceneFrame, selected: Selection | None) -> Gaussians | None:
        """What stands for the selected Gaussians of a frame in a highlight (`views.highlight`); None if nothing is selected."""
        ids = shown.ids
        if selected is None or ids is None:
            return None
        import torch

        from viewer.views.highlight import standing_in

        def make() -> tuple[Gaussians, Gaussians]:
            """The frame is kept with it, so that its identity stays its own."""
            return shown.gaussians, standing_in(shown.gaussians, torch.from_numpy(selected.rows(ids)))

        return self._highlights.find((id(shown.gaussians), selected.key), make)[1]

    # -- what is done -------------------------------------------------------------------------------------------------

    def run(self, what: str, work: Callable[[], Any], refuse: Callable[[str, str], None] | None = None) -> None:
        """Does something on the thread of the edits. ``what``: as an order, for the message if it cannot be done.

        ``refuse``: `Tab.refuse` of the tab that asked for it, which is told if it cannot be done, or fails.
        """
        tell = self._store.problem if refuse is None else refuse

        def tried() -> None:
            refused, failed = REFUSED + "editing", FAILED + "editing"
            try:
                work()
            except InputError as error:
                tell(refused, str(error))
            except TabClosed:
                return
            except Exception as error:
                log.exception("editing failed")
                tell(failed, f"{what}: this failed ({type(error).__name__}: {error}); the terminal shows where.")
            else:
                for source in (refused, failed):
                    self._store.problem(source, None)
            finally:
                with self._lock:
                    self._waiting -= 1

        with self._lock:
            self._waiting += 1
        self._worker.submit(tried)

    @property
    def busy(self) -> bool:
        return self._waiting > 0

    def do(self, *edits: dict[str, Any]) -> None:
        """Does edits now, on this thread, all or none (`Document.edit_of`). Raises InputError if they do not fit, or cannot be written."""
        self._own_copy()
        document = self.document()
        document.do_all([document.edit_of(edit) for edit in edits])
        self.announce()

    def announce(self) -> None:
        """Says that the scene is another one, and what of its edits does not fit the run."""
        document = self.document()
        warnings = document.warnings if document.history.position else ()
        self._store.problem("scene edits", " ".join(warnings) or None)
        self._store.grow("scene")

    def _own_copy(self) -> None:
        """The run that came with the program is not written: a copy of it is, which is shown from now on.

        The camera path and the notes that were made before come along.
        """
        shared = self._store.shared
        if shared.run is None or not is_demo_run(shared.run):
            return
        assert shared.out is not None
        copy = shared.out.with_name(shared.out.name + EDITED_ENDING)
        if not copy.exists():
            with atomic_folder(copy) as part:
                shutil.copytree(shared.run, part, dirs_exist_ok=True)
                document, notes = folder_beside(shared.run, shared.out, DOCUMENT), notes_file(shared.run, shared.out)
                if document.is_dir():
                    shutil.copytree(document, part / DOCUMENT)
                if notes.is_file() and not notes_file(copy, shared.out).exists():
                    shutil.copy(notes, notes_file(copy, shared.out))
        if not self._runs.show(copy):
            raise InputError(f"{copy} is no run of this capture, so edits cannot be kept there: move it away.")

    def _on_change(self, tab: str | None, changed: frozenset[str]) -> None:
        if tab is not None or not changed & {"run", "revision", "ready"}:
            return
        shared = self._store.shared
        if "run" in changed:
            self._broken = None
        if shared.run is not None and shared.ready:
            self.run("Read the edits of the scene", self._follow)

    def _follow(self) -> None:
        document = self.current()
        if document is not None:
            document.refresh()
            self.announce()


def _cached_run(runs: Runs, frames: FrameCache, path: Path) -> Run:
    """The run, with frames from the cache that pictures use, so that each is read and held once."""
    from trackersplat.store.run import Run

    class CachedRun(Run):
        def read_frame(self, frame: int) -> Gaussians:
            return frames.frame(path, frame)

    opened = runs.get(path)
    return CachedRun(opened.path, opened.info)
