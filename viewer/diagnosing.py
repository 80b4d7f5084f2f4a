"""The diagnosis of the tracks of each run: read if it was made before, else made by a worker process of low priority."""

from __future__ import annotations

import contextlib
import logging
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trackersplat.captures.capture import Capture
from trackersplat.captures.demo import is_demo_run
from trackersplat.errors import InputError
from trackersplat.events import Event, Failed, Finished, Stage, from_json
from trackersplat.words import counted
from viewer.jobs import Job, Kind
from viewer.runs import Runs
from viewer.state import Store

if TYPE_CHECKING:
    from trackersplat.diagnosis.diagnosis import Diagnosis
    from viewer.views.table import TrackList

DIAGNOSIS: Kind[Event] = Kind("diagnosis", "nothing was changed", "press Diagnose to start again", from_json)
WAITING = "the tracks are diagnosed when the reconstruction ends"

# (run, capture, file of the result, its key, back end) -> command line of the worker
WorkerCommand = Callable[[Path, Path, Path, str, str | None], list[str]]

log = logging.getLogger(__name__)


def worker_command(run: Path, capture: Path, out: Path, key: str, backend: str | None) -> list[str]:
    command = [sys.executable, "-m", "viewer.diagnose_worker", str(run), str(capture), str(out), key]
    return command if backend is None else [*command, backend]


def key_of_run(runs: Runs, path: Path) -> str:
    """Changes when a frame of the run, or a setting of the diagnosis, does. Raises InputError."""
    from trackersplat.diagnosis.settings import DiagnosisSettings
    from trackersplat.jobs.diagnose import key_of

    return key_of(runs.get(path), DiagnosisSettings())


class Diagnosing:
    """Follows the run on the screen. Thread-safe; results are announced by ``Shared.diagnosed``, progress by ``Shared.diagnosing``.

    A run that changes is diagnosed anew once its job has ended; until then the last diagnosis stands.
    """

    def __init__(
        self,
        capture: Capture,
        store: Store,
        runs: Runs,
        backend: str | None = None,
        *,
        command: WorkerCommand = worker_command,
        key_of: Callable[[Runs, Path], str] = key_of_run,
    ) -> None:
        self._capture, self._store, self._runs, self._backend = capture, store, runs, backend
        self._command, self._key_of = command, key_of
        self._known: dict[Path, TrackList] = {}
        self._tried: dict[Path, str] = {}  # the key for which the last diagnosis failed or was stopped
        self._job: Job[Event] | None = None
        self._job_of: tuple[Path, str] | None = None
        self._elsewhere: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._closed = False
        store.subscribe(self._on_change)
        threading.Thread(target=self._follow, name="diagnose", daemon=True).start()

    def get(self, path: Path) -> TrackList | None:
        """The newest diagnosis of a run, perhaps of an earlier state of it; None if there is none yet."""
        with self._lock:
            return self._known.get(path)

    def put(self, path: Path, diagnosis: Diagnosis, key: str) -> None:
        from viewer.views.table import TrackList

        tracks = TrackList(diagnosis, key)
        _ = tracks.texts, tracks.row_of, tracks.page_rows, tracks.in_lanes  # here, and not on the event loop when a panel first asks
        with self._lock:
            self._known[path] = tracks
        self._store.set(diagnosed=self._store.shared.diagnosed + 1)

    def again(self) -> None:
        """Starts a diagnosis that failed or was stopped once more."""
        with self._lock:
            self._tried.clear()
        self._wake.set()

    def stop(self) -> None:
        with self._lock:
            job = self._job
        if job is not None:
            job.cancel()

    @property
    def running(self) -> bool:
        with self._lock:
            return self._job is not None and self._job.running

    def close(self) -> None:
        self._closed = True
        self._store.unsubscribe(self._on_change)
        self._wake.set()
        with self._lock:
            job, self._job = self._job, None
        if job is not None:
            job.close()
        if self._elsewhere is not None:
            with contextlib.suppress(OSError):
                self._elsewhere.cleanup()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _on_change(self, tab: str | None, changed: frozenset[str]) -> None:
        if tab is None and changed & {"run", "reconstructed", "revision", "ready", "working_on", "waiting"}:
            self._wake.set()

    def _follow(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            if self._closed:
                return
            try:
                self._step()
            except InputError as error:
                self._say(f"The tracks are not diagnosed: {error}")
            except Exception as error:
                log.exception("the tracks could not be diagnosed")
                self._say(f"The tracks are not diagnosed ({type(error).__name__}: {error}); the terminal shows where.")

    def _step(self) -> None:
        shared = self._store.shared
        path = shared.run
        if not self._capture.filmed:
            self._say("The frames were imported: there are no photographs, so there are no tracks to diagnose.")
            return
        if path is None or not shared.reconstructed:
            self._say("Reconstruct a frame: then its tracks are diagnosed." if shared.ready else "")
            return
        key = self._key_of(self._runs, path)
        with self._lock:
            known, job, job_of = self._known.get(path), self._job, self._job_of
        if job is not None and job.running:
            if job_of != (path, key):
                job.cancel()  # it is of another run, or of frames that are there no more; its end wakes this thread
            return
        if known is not None and known.key == key:
            self._say("")
            return
        if self._read(path, key) or self._tried.get(path) == key:
            return
        if shared.working_on is not None or shared.waiting:
            self._say(WAITING)
            return
        if shared.ready:
            self._start(path, key)

    def _read(self, path: Path, key: str) -> bool:
        """Takes what was found before. False if that was of other frames, or is not there."""
        from trackersplat.diagnosis.diagnosis import Diagnosis

        for file in (self._beside(path), self._out(path)):
            try:
                found = Diagnosis.from_npz(file, key)
            except InputError as error:  # a new one replaces it
                log.warning("%s", error)
                continue
            if found is not None:
                self.put(path, found, key)
                self._say("")
                return True
        return False

    def _beside(self, path: Path) -> Path:
        from trackersplat.diagnosis.diagnosis import DIAGNOSIS_FILE

        return path / DIAGNOSIS_FILE

    def _out(self, path: Path) -> Path:
        """Beside the run; that of the bundled one is kept only as long as the page runs."""
        if not is_demo_run(path):
            return self._beside(path)
        if self._elsewhere is None:
            self._elsewhere = tempfile.TemporaryDirectory(prefix="trackersplat-", ignore_cleanup_errors=True)
        return Path(self._elsewhere.name) / self._beside(path).name

    def _start(self, path: Path, key: str) -> None:
        total = len(self._store.shared.reconstructed)
        self._say(f"Diagnosing the tracks: starting, {counted(total, 'frame')} …")

        def on_event(event: Event) -> None:
            if isinstance(event, Stage):
                self._say(f"Diagnosing the tracks: frame {event.frame + 1} ({event.detail}) …")
            elif isinstance(event, (Finished, Failed)):
                self._ended(path, key, event)

        job = Job(self._command(path, self._capture.root, self._out(path), key, self._backend), on_event, DIAGNOSIS)
        with self._lock:
            self._job, self._job_of = job, (path, key)
            if self._closed:
                job.cancel()

    def _ended(self, path: Path, key: str, event: Finished | Failed) -> None:
        """On the job's thread, which has set its outcome before."""
        if self._closed:
            return
        if isinstance(event, Finished) and self._read(path, key):
            self._wake.set()
            return
        with self._lock:
            job = self._job
        message = event.message if isinstance(event, Failed) else "The diagnosis ended without a result."
        self._tried[path] = key
        self._say(
            "The diagnosis was stopped." if job is not None and job.outcome == "cancelled" else f"The tracks are not diagnosed: {message}"
        )
        self._wake.set()

    def _say(self, text: str) -> None:
        self._store.set(diagnosing=text)
