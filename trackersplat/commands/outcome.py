"""How a command ends: exit codes and the one sentence that goes with them."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from trackersplat.commands.shown import printable
from trackersplat.errors import InputError

BROKEN_PIPE = 141  # 128 + SIGPIPE, as a shell reports programs whose reader went away
# OpenCV and its FFmpeg write their own errors to standard error. Our readers detect the same errors and report each in one sentence.
_QUIET = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}


def exit_code(work: Callable[[], None]) -> int:
    """Runs ``work``, reports an error in one sentence, and returns the exit code. A defect's traceback goes into `default_log`.

    Everything that ``work`` prints is written when this returns.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    _watch_output()
    try:
        try:
            code = _outcome(work)
        except SystemExit as end:  # of --help, or of wrong arguments
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        return code
    except OutputLostError as error:
        _drop(sys.stdout)
        if error.number == errno.EPIPE:
            return BROKEN_PIPE
        _say(f"error: The output cannot be written ({error.reason}): free some space, or redirect it to another disk.")
        return 2


def _outcome(work: Callable[[], None]) -> int:
    try:
        with traceback_in(default_log()):
            work()
    except InputError as error:
        _say(f"error: {printable(str(error))}")
        return 2
    except KeyboardInterrupt:
        _say("Stopped. Finished frames are kept; the same command continues from there.")
        return 130
    except DefectError as error:
        _say(f"internal error: {printable(str(error))}")
        return 1
    return 0


def _say(sentence: str) -> None:
    try:
        print(sentence, file=sys.stderr, flush=True)
    except OSError:  # nobody reads it any more; the exit code stays the same
        _drop(sys.stderr)


def default_log() -> Path:
    """Where the traceback of a defect goes if there is no run to keep it: in the user's folder for the state of programs."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "trackersplat" / "trackersplat.log"


class DefectError(Exception):
    """One of our own errors, whose traceback has been written to a log."""


class OutputLostError(Exception):
    """Standard output cannot be written: its reader went away, or the disk is full."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.number = error.errno
        self.reason = error.strerror


@contextmanager
def traceback_in(log: Path) -> Iterator[None]:
    """Keeps the traceback of a defect in a file and replaces it by one sentence."""
    try:
        yield
    except (InputError, DefectError, OutputLostError):
        raise
    except Exception as error:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as file:
                traceback.print_exc(file=file)
            where = f"its traceback is in {log}"
        except OSError as unwritten:
            where = f"{log} cannot be written ({unwritten.strerror}), so there is no traceback"
        raise DefectError(f"{type(error).__name__}: {error}. This is a defect of trackersplat; {where}.") from error


class _Output(io.FileIO):
    """Standard output whose errors are told apart from those of other files."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputLostError(error) from error


def _watch_output() -> None:
    """Makes standard output raise `OutputLostError`, if it is that of the process and not one of a test."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the parent
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115, for as long as the process lives
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")  # names of files may hold what no terminal can show
    if out is not sys.__stdout__ or not isinstance(out, io.TextIOWrapper):
        return
    buffered = hasattr(out.buffer, "raw")  # not with python -u
    if type(out.buffer.raw if buffered else out.buffer) is io.FileIO:  # the console of Windows is none
        raw = _Output(out.fileno(), "wb", closefd=False)
        buffer: Any = io.BufferedWriter(raw) if buffered else raw
        sys.stdout = io.TextIOWrapper(buffer, out.encoding, out.errors, line_buffering=out.line_buffering, write_through=out.write_through)


def _drop(stream: TextIO) -> None:
    """What is still to be written goes nowhere, so that the end of the process does not fail on it once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
