"""Long work in a process of its own, so that neither the work nor its crash reaches the page."""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, Literal, TypeVar

import trackersplat
from trackersplat.checks.events import from_json as check_event
from trackersplat.events import Event, Failed, Finished, from_json

LONGEST_LINE = 1 << 20  # characters; an event has a few hundred
TAIL_LINES = 40  # of what the process said beside its events
NICENESS, NICEST = 10, 19  # above the page's own, which goes first
PATIENCE = 5.0  # seconds between asking a process to stop and killing it

E = TypeVar("E")  # what a job says beside Finished and Failed
Outcome = Literal["running", "finished", "failed", "cancelled"]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """By what the worker reconstructs; None leaves the choice to it."""

    backend: str | None = None
    pipeline: str | None = None


def reconstruct_command(
    capture: Path | str, frames: tuple[int, int], out: Path, recipe: Recipe = Recipe(), options: Sequence[str] = ()
) -> list[str]:
    """The command line that reconstructs frames first to last (indices from 0, both included) into ``out``."""
    span = f"{frames[0] + 1}:{frames[1] + 1}"
    command = [sys.executable, "-m", "trackersplat.cli", "reconstruct", str(capture)]
    command += ["--frames", span, "--out", str(out), "--events", "json"]
    for option, name in (("--backend", recipe.backend), ("--pipeline", recipe.pipeline)):
        if name is not None:
            command += [option, name]
    return [*command, *options]


def check_command(capture: Path | str) -> list[str]:
    """The command line that looks for what is wrong with a capture."""
    return [sys.executable, "-m", "trackersplat.cli", "check", str(capture), "--events", "json"]


@dataclass(frozen=True)
class Kind(Generic[E]):
    """What a job does, in the words of its messages, and what it says."""

    name: str
    kept: str  # what is left if it ends early
    again: str  # what to do then
    read: Callable[[dict[str, Any]], E]  # one event from JSON; ValueError, TypeError or KeyError if it is none


def _read_check(data: dict[str, Any]) -> Event:
    return from_json(data) if data.get("event") in ("Finished", "Failed") else check_event(data)


RECONSTRUCTION: Kind[Event] = Kind("reconstruction", "finished frames are kept", "press Start to go on", from_json)
CHECK: Kind[Event] = Kind("check", "nothing was changed", "press Check capture to start again", _read_check)


class Job(Generic[E]):
    """One worker process. ``on_event`` gets its events, in order, on a thread of the job; the last is Finished or Failed.

    Anything that is not an event (a library's print, half a line of a killed process) is kept for the error message and
    otherwise ignored. A cancelled job ends with Failed too; ``outcome`` tells the two apart.
    """

    def __init__(
        self, command: Sequence[str], on_event: Callable[[E | Finished | Failed], None], kind: Kind[E], *, patience: float = PATIENCE
    ) -> None:
        self.outcome: Outcome = "running"
        self._kind = kind
        self._on_event = on_event
        self._patience = patience
        self._cancelled = False
        self._tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
        # The worker runs the very package that this process runs, wherever it was started from.
        paths = [str(Path(trackersplat.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
        # Threads that spin while they wait take the cores from the page.
        environment = {
            "OMP_WAIT_POLICY": "PASSIVE",
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            start_new_session=True,  # a group of its own: Ctrl-C in the terminal and cancelling reach all of it, once
        )
        if hasattr(os, "setpriority"):
            with contextlib.suppress(OSError):  # already gone, which is reported like any other end
                niceness = min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS, NICEST)
                os.setpriority(os.PRIO_PROCESS, self._process.pid, niceness)
        self._errors = threading.Thread(target=self._collect_errors, name="job-stderr", daemon=True)
        self._errors.start()
        threading.Thread(target=self._sweep, name="job-sweep", daemon=True).start()
        self._thread = threading.Thread(target=self._follow, name="job", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self.outcome == "running"

    def cancel(self) -> None:
        """Asks the process to stop, kills it if it does not; returns at once."""
        if self.running and not self._cancelled:
            self._cancelled = True
            threading.Thread(target=self._stop, name="job-cancel", daemon=True).start()

    def close(self) -> None:
        """Stops the process and waits until it is gone."""
        self._cancelled = True
        self._stop()
        self._thread.join(self._patience)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for the end and the last event. False if it takes longer than ``timeout`` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # -- threads ------------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(self._patience)
        except subprocess.TimeoutExpired:
            self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def _signal(self, number: int) -> None:
        if self._process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):  # it ended in between
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, number)
            else:
                self._process.terminate()

    def _sweep(self) -> None:
        """What a dead worker leaves behind would hold its pipes open, and the end would never be announced."""
        self._process.wait()
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
                os.killpg(self._process.pid, signal.SIGKILL)

    def _collect_errors(self) -> None:
        for line in _lines(self._process.stderr):
            self._remember(line)

    def _remember(self, line: str) -> None:
        if line.strip():
            self._tail.append(line.rstrip()[:500])

    def _follow(self) -> None:
        last: Finished | Failed | None = None
        for line in _lines(self._process.stdout):
            event = self._parse(line)
            if event is None:
                self._remember(line)
            elif isinstance(event, (Finished, Failed)):
                last = event  # announced when the process is gone
            else:
                self._announce(event)
        code = self._process.wait()
        self._errors.join(2.0)  # a grandchild that left the group may hold stderr open
        if self._cancelled:
            self._end("cancelled", Failed(f"The {self._kind.name} was cancelled; {self._kind.kept}."))
        elif isinstance(last, Failed):
            self._end("failed", last)
        elif isinstance(last, Finished) and code == 0:
            self._end("finished", last)
        else:
            self._end("failed", Failed(_epitaph(self._kind, code, list(self._tail))))

    def _parse(self, line: str) -> E | None:
        try:
            data = json.loads(line)
            return self._kind.read(data) if isinstance(data, dict) else None
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    def _end(self, outcome: Outcome, event: Finished | Failed) -> None:
        self.outcome = outcome
        self._announce(event)

    def _announce(self, event: E | Finished | Failed) -> None:
        try:
            self._on_event(event)
        except Exception:  # the listener's defect must not stop the reading, or the process would block
            log.exception("an event of the %s could not be shown", self._kind.name)


def _lines(stream: IO[str] | None) -> Sequence[str] | collections.abc.Iterator[str]:
    """Lines of bounded length until the stream ends."""
    assert stream is not None
    return iter(lambda: stream.readline(LONGEST_LINE), "")


def _epitaph(kind: Kind[Any], code: int, tail: list[str]) -> str:
    """One sentence on a process that ended without an event that says why."""
    if code > 0 and tail and tail[-1].startswith("error: "):
        return tail[-1].removeprefix("error: ")  # the command line's own sentence on bad input
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        cause = f"The {kind.name} process was killed ({name}"
        cause += ", perhaps for want of memory)" if name == "SIGKILL" else ")"
    else:
        cause = f"The {kind.name} process ended with exit code {code}"
    said = f"; it last said: {tail[-1]}" if tail else ""
    return f"{cause}; {kind.kept}, {kind.again}{said}"
