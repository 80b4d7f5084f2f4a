"""The log of edits of the run on the screen, and which of its frames are out of date by it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from trackersplat.captures.demo import is_demo_run
from trackersplat.edits.edit import Edit
from trackersplat.edits.log import EditLog, change_log, read_log
from trackersplat.edits.stale import stale_frames
from trackersplat.errors import InputError
from viewer.state import Store


class RunEdits:
    """Follows the run on the screen; changes are announced by ``Shared.edits`` and ``Shared.stale``. Thread-safe."""

    def __init__(self, store: Store, why_fixed: Callable[[Path], str | None] = lambda run: None) -> None:
        """``why_fixed``: why the frames of a run cannot be made again, None if they can."""
        self._store = store
        self._why_fixed = why_fixed
        self._lock = threading.RLock()
        self._run: Path | None = None
        self._log = EditLog()
        store.subscribe(self._on_change)

    @property
    def log(self) -> EditLog:
        return self._log

    def close(self) -> None:
        self._store.unsubscribe(self._on_change)

    def add(self, edits: Sequence[Edit]) -> None:
        """Appends edits to the log of the run. Raises InputError if there is no run that can be edited, or the log cannot be written."""
        now = datetime.now().astimezone()
        run = self._store.shared.run
        why = None if run is None or is_demo_run(run) else self._why_fixed(run)
        if why is not None:  # its frames can never be made again
            raise InputError(
                f"{why} Its frames cannot be made again, so its tracks cannot be edited: reconstruct the capture anew, then edit that run."
            )

        def add_all(log: EditLog) -> EditLog:
            for edit in edits:
                log = log.added(edit, now)
            return log

        self._change(add_all)

    def undo(self) -> None:
        """Raises InputError if there is nothing to undo."""
        self._change(EditLog.undone)

    def redo(self) -> None:
        """Raises InputError if there is nothing to redo."""
        self._change(EditLog.redone)

    def _change(self, change: Callable[[EditLog], EditLog]) -> None:
        run = self._store.shared.run
        if run is None:
            raise InputError("There is no run to edit: reconstruct first.")
        if is_demo_run(run):
            out = self._store.shared.out
            raise InputError(f"The run that came with the program is not edited: reconstruct the capture into {out}, then edit that run.")
        with self._lock:
            log = change_log(run, change)
            self._run, self._log = run, log
        self._announce()

    def _on_change(self, tab: str | None, changed: frozenset[str]) -> None:
        if tab is not None or not changed & {"run", "records", "revision"}:
            return
        run = self._store.shared.run
        with self._lock:
            try:
                log = EditLog() if run is None else read_log(run)
            except InputError as error:
                log = EditLog()
                self._store.problem("edits", str(error))
            else:
                self._store.problem("edits", None)
            self._run, self._log = run, log
        self._announce()

    def _announce(self) -> None:
        shared = self._store.shared
        self._store.set(edits=shared.edits + 1, stale=stale_frames(self._log, shared.records) & frozenset(shared.reconstructed))
