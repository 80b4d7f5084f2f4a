"""The check of the capture that the page starts: one at a time, seen by all tabs. It knows no toolkit."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from trackersplat.checks.events import Checked, Step
from trackersplat.checks.findings import Report
from trackersplat.events import Event, Failed, Finished
from viewer.jobs import CHECK, Job, check_command
from viewer.state import Store

# Where each part of a check begins and ends, as shares of it: about what it takes.
PARTS = {"reading frames": (0.0, 0.6), "matching points": (0.6, 0.95), "measuring": (0.95, 1.0)}


@dataclass(frozen=True)
class CheckState:
    running: bool = False
    share: float = 0.0
    text: str = ""  # what is being done, or how it ended
    failed: bool = False
    report: Report | None = None  # of the last check that came to its end


class CaptureCheck:
    """Thread-safe. Every change grows ``Shared.job``."""

    def __init__(self, store: Store, source: str) -> None:
        self._store = store
        self._source = source
        self._job: Job[Event] | None = None
        self._state = CheckState()
        self._found: Report | None = None
        self._lock = threading.RLock()

    @property
    def state(self) -> CheckState:
        return self._state

    def start(self) -> None:
        """Starts the worker; does nothing while one is at work."""
        with self._lock:
            if self._state.running:
                return
            self._found = None
            self._state = CheckState(running=True, text="Starting the worker process …")
            try:
                self._job = Job(check_command(self._source), self._handle, CHECK)
            except OSError as error:
                self._state = CheckState(text=f"The check could not be started: {error}.", failed=True)
        self._store.grow("job")

    def cancel(self) -> None:
        with self._lock:
            if self._job is not None and self._state.running:
                self._state = replace(self._state, text="Cancelling …")
                self._job.cancel()
        self._store.grow("job")

    def close(self) -> None:
        if self._job is not None and self._job.running:
            self._job.close()

    def _handle(self, event: Event) -> None:
        """On the job's thread."""
        with self._lock:  # an end that comes at once must see its job
            match event:
                case Step(name=name, done=done, total=total):
                    first, last = PARTS.get(name, (0.0, 1.0))
                    share = first + (last - first) * done / max(total, 1)
                    self._state = replace(self._state, share=share, text=f"{name.capitalize()} …")
                case Checked(report=report):
                    self._found = report
                case Finished():
                    self._state = CheckState(report=self._found)
                case Failed(message=message):
                    cancelled = self._job is not None and self._job.outcome == "cancelled"
                    self._state = CheckState(text=message, failed=not cancelled)
        self._store.grow("job")
