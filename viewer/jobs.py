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
from concurrent.futures import Future
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import IO, Any, Generic, Literal, TypeVar

import trackersplat
from trackersplat.checks.events import from_json as check_event
from trackersplat.events import Event, Failed, Finished, from_json

LONGEST_LINE = 1 << 20  # characters; an event has a few hundred
TAIL_LINES = 200  # of what the process said beside its events
NICENESS, NICEST = 10, 19  # above the page's own, which goes first
PATIENCE = 5.0  # seconds between asking a process to stop and killing it
LOOK = 0.25  # seconds between looks whether the process was stopped or continued by somebody else
WORKER = (sys.executable, "-m", "viewer.worker")

ENDS = ("Finished", "Failed")  # the last event of any job

E = TypeVar("E")  # what a job says beside Finished and Failed
Outcome = Literal["running", "finished", "failed", "cancelled"]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """By what the worker reconstructs; None leaves the choice to it. The names are those of `trackersplat reconstruct`."""

    backend: str | None = None
    pipeline: str | None = None
    tracker: str | None = None
    tracking: str | None = None
    steps: int | None = None
    first_steps: int | None = None
    batch: int | None = None
    match_rounds: int | None = None
    seed: int | None = None
    points: str | None = None
    densify: str | None = None
    refinement: str | None = None
    hold_out: str | None = None

    def arguments(self) -> list[str]:
        """As on the command line."""
        found: list[str] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                found += [f"--{field.name.replace('_', '-')}", str(value)]
        return found


def reconstruct_command(
    capture: Path | str, frames: tuple[int, int], out: Path, options: Options = Options(), more: Sequence[str] = (), redo: bool = False
) -> list[str]:
    """The command line that reconstructs frames first to last (indices from 0, both included) into ``out``.

    ``redo``: it makes those of them again that are out of date, and no others.
    """
    span = f"{frames[0] + 1}:{frames[1] + 1}"
    command = [*WORKER, "reconstruct", str(capture), "--frames", span, "--out", str(out), "--events", "json"]
    return [*command, *(("--redo", "stale") if redo else ()), *options.arguments(), *more]


def check_command(capture: Path | str) -> list[str]:
    """The command line that looks for what is wrong with a capture."""
    return [*WORKER, "check", str(capture), "--events", "json"]


@dataclass(frozen=True)
class Kind(Generic[E]):
    """What a job does, in the words of its messages, and what it says."""

    name: str
    kept: str  # what is left if it ends early
    again: str  # what to do then
    read: Callable[[dict[str, Any]], E]  # one event from JSON, but Finished and Failed; ValueError, TypeError or KeyError if it is none


RECONSTRUCTION: Kind[Event] = Kind("reconstruction", "finished frames are kept", "press Reconstruct to go on", from_json)
CHECK: Kind[Event] = Kind("check", "nothing was changed", "press Check capture to start again", check_event)


class Job(Generic[E]):
    """One worker process. ``on_event`` gets its events, in order, on a thread of the job; the last is Finished or Failed.

    Anything that is not an event (a library's print, half a line of a killed process) is kept for the error message and
    otherwise ignored. A cancelled job ends with Failed too; ``outcome`` tells the two apart. ``on_halt`` is called, on another thread,
    with True when the process was stopped (by `pause` or by somebody else) and with False when it goes on.

    Raises OSError if the process cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        on_event: Callable[[E | Finished | Failed], None],
        kind: Kind[E],
        *,
        on_halt: Callable[[bool], None] = lambda halted: None,
        patience: float = PATIENCE,
    ) -> None:
        self.outcome: Outcome = "running"
        self.halted = False  # the process is stopped
        self._kind = kind
        self._on_event = on_event
        self._on_halt = on_halt
        self._patience = patience
        self._cancelled = False
        self._ended = threading.Event()
        self._tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
        started: Future[subprocess.Popen[str]] = Future()
        # The process is started by the thread that lives as long as it does: see `worker.end_with_the_page`.
        self._thread = threading.Thread(target=self._live, args=(list(command), started), name="job", daemon=True)
        self._thread.start()
        self._process = started.result()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self.outcome == "running"

    def tail(self) -> tuple[str, ...]:
        """What the process said last beside its events."""
        return tuple(self._tail)

    def pause(self) -> bool:
        """Stops the process and its children where they are; it keeps its memory. False where the system has no such signal."""
        if not hasattr(signal, "SIGSTOP"):
            return False
        self._signal(signal.SIGSTOP)
        return True

    def resume(self) -> None:
        if hasattr(signal, "SIGCONT"):
            self._signal(signal.SIGCONT)

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
        self.resume()  # a stopped process does not hear what it is asked
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

    def _live(self, command: list[str], started: Future[subprocess.Popen[str]]) -> None:
        try:
            process = _start(command)
        except OSError as error:
            started.set_exception(error)
            return
        self._process = process
        started.set_result(process)
        self._errors = threading.Thread(target=self._collect_errors, name="job-stderr", daemon=True)
        self._errors.start()
        threading.Thread(target=self._sweep, name="job-sweep", daemon=True).start()
        if hasattr(os, "waitid"):
            threading.Thread(target=self._watch, name="job-watch", daemon=True).start()
        self._follow()

    def _watch(self) -> None:
        """Notices that the process is stopped or goes on, whoever sent the signal."""
        while not self._ended.wait(LOOK):
            try:
                found = os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WCONTINUED | os.WNOHANG)
            except ChildProcessError:  # it has ended
                return
            if found is not None and found.si_code in (os.CLD_STOPPED, os.CLD_CONTINUED):
                self._set_halted(found.si_code == os.CLD_STOPPED)

    def _set_halted(self, halted: bool) -> None:
        if halted != self.halted:
            self.halted = halted
            self._on_halt(halted)

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
        self._ended.set()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._errors.join(2.0)  # a grandchild that left the group may hold stderr open
        if self._cancelled:
            self._end("cancelled", Failed(f"The {self._kind.name} was cancelled; {self._kind.kept}."))
        elif isinstance(last, Failed):
            self._end("failed", replace(last, message=in_words(last.message)))
        elif isinstance(last, Finished) and code == 0:
            self._end("finished", last)
        else:
            self._end("failed", Failed(_epitaph(self._kind, code, list(self._tail))))

    def _parse(self, line: str) -> E | Finished | Failed | None:
        try:
            data = json.loads(line)
            if not isinstance(data, dict):
                return None
            if data.get("event") not in ENDS:
                return self._kind.read(data)
            end = from_json(data)
            assert isinstance(end, (Finished, Failed))
            return end
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


def _start(command: list[str]) -> subprocess.Popen[str]:
    """Raises OSError."""
    # The worker runs the very package that this process runs, wherever it was started from.
    paths = [str(Path(trackersplat.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    # Threads that spin while they wait take the cores from the page.
    environment = {
        "OMP_WAIT_POLICY": "PASSIVE",
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # never written: its end tells the worker that the page is gone
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
            os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
    return process


def in_words(message: str) -> str:
    """What a library says about a lack of memory or room, with what to do."""
    low, first = message.lower(), f"({message.strip().partition(chr(10))[0][:200]})"
    if "cuda out of memory" in low:
        return f"The GPU has too little memory left: close other programs that use it, then press Reconstruct to go on {first}."
    if "out of memory" in low or "not enough memory" in low or "unable to allocate" in low or message == "MemoryError":
        return f"This machine has too little memory left: close other programs, then press Reconstruct to go on {first}."
    if "no space left on device" in low and "check its permissions" not in low:
        return f"The disk is full: make room, then press Reconstruct to go on {first}."
    return message


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
