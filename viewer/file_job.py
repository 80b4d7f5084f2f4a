"""Work of the page that makes files in a worker process, such as videos: one at a time, seen by all tabs. It knows no toolkit."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trackersplat.errors import InputError
from trackersplat.events import Event, Failed, Finished
from viewer.jobs import Job, Kind
from viewer.progress import duration
from viewer.state import Store

KEPT = 20  # finished files that are offered
SETTLED = 3  # parts until the time left is said


@dataclass(frozen=True)
class Made:
    """A finished file or folder."""

    number: int
    file: Path
    bytes: int
    said: str = ""  # what else is to be known of it, in sentences

    def title(self) -> str:
        return f"{self.file.name}, {self.bytes / 1e6:.1f} MB"


@dataclass(frozen=True)
class FileJobState:
    running: bool = False
    share: float = 0.0
    text: str = ""  # what is being done, or how it ended
    left: str = ""  # "about 20 s left"
    failed: bool = False


class FileJob(ABC):
    """Thread-safe. Every change grows the counter of `Shared` with the name ``counter``."""

    counter: str
    busy: str  # why no other can be started meanwhile
    kind: Kind[Event]

    def __init__(
        self,
        store: Store,
        backend: str | None = None,
        *,
        start: Callable[..., Job[Event]] = Job,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``backend`` is the rendering back end of the worker; None: the first that works."""
        self._store, self._backend, self._start, self._clock = store, backend, start, clock
        self._job: Job[Event] | None = None
        self._state = FileJobState()
        self._made: list[Made] = []
        self._began: tuple[float, int] | None = None  # when a part was done, and how many were
        self._numbers = 0
        self._closed = False
        self._lock = threading.RLock()

    @property
    def state(self) -> FileJobState:
        return self._state

    @property
    def made(self) -> tuple[Made, ...]:
        """Those of this session, the newest first."""
        with self._lock:
            return tuple(reversed(self._made))

    def file(self, number: int) -> Path | None:
        """A finished file by its number; None if there is none, it is a folder, or it was removed since. Nothing else can be asked for."""
        with self._lock:
            found = next((made.file for made in self._made if made.number == number), None)
        return found if found is not None and found.is_file() else None

    def cancel(self) -> None:
        with self._lock:
            if self._job is not None and self._state.running:
                self._state = replace(self._state, text="Cancelling …", left="")
                self._job.cancel()
        self._store.grow(self.counter)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            job = self._job
        if job is not None and job.running:
            job.close()

    # -- for those who make a kind of file -----------------------------------------------------------------------------

    @abstractmethod
    def take(self, event: Event) -> None:
        """Follows an event of the work; the lock is held."""

    def require_free(self) -> Path:
        """The run on the screen. Raises InputError if another file is being made, or nothing is reconstructed."""
        shared = self._store.shared
        if self._state.running or self._closed:
            raise InputError(self.busy)
        if shared.run is None or not shared.reconstructed:
            raise InputError("Nothing is reconstructed yet: there is nothing to show.")
        return shared.run

    def launch(self, command: Sequence[str]) -> None:
        """Starts the worker; the lock is held."""
        chosen = [] if self._backend is None else ["--backend", self._backend]
        self._began = None
        self._state = FileJobState(running=True, text="Starting the worker process …")
        try:
            self._job = self._start([*command, *chosen], self._handle, self.kind)
        except OSError as error:
            self._state = FileJobState(text=f"The {self.kind.name} could not be started: {error}.", failed=True)

    def say(self, text: str) -> None:
        self._state = replace(self._state, text=text)

    def progress(self, done: int, total: int, part: str) -> None:
        """``part``: "picture"."""
        self._state = replace(self._state, share=done / max(total, 1), left=self._left(done, total, part))

    def add(self, file: Path, size: int, said: str = "") -> None:
        self._numbers += 1
        self._made = [*self._made, Made(self._numbers, file, size, said)][-KEPT:]

    def amend(self, sentence: str) -> None:
        """Says more of the file that was finished last."""
        last = self._made[-1]
        self._made[-1] = replace(last, said=f"{last.said} {sentence}".lstrip())

    # -- the job's thread ---------------------------------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        with self._lock:  # an end that comes at once must see its job
            match event:
                case Finished(seconds):
                    self._state = FileJobState(text=f"Done in {duration(seconds)}.")
                case Failed(message=message):
                    cancelled = self._job is not None and self._job.outcome == "cancelled"
                    self._state = FileJobState(text=message, failed=not cancelled)
                case _:
                    self.take(event)
        self._store.grow(self.counter)

    def _left(self, done: int, total: int, part: str) -> str:
        now = self._clock()
        if self._began is None or done <= self._began[1]:
            self._began = (now, done)
        since, first = self._began
        text = f"{part} {done} of {total}"
        if done - first < SETTLED:
            return text
        return f"{text} · about {duration((now - since) / (done - first) * (total - done))} left"


def free_name(folder: Path, name: str, suffix: str, others: Sequence[str] = ()) -> Path:
    """A numbered name in ``folder`` that nothing has, with this ending or one of ``others``."""
    number = 1
    while any((folder / f"{name}-{number:03d}{ending}").exists() for ending in (suffix, *others)):
        number += 1
    return folder / f"{name}-{number:03d}{suffix}"
