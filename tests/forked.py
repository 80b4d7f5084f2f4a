"""Programs in processes that are forked from one which has imported what they import: it takes seconds, often more than all else.

Where the start is what is tested, a test starts Python itself.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import FileIO, TextIOWrapper
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

# Imported once, and nothing that a program is started by: it would be there twice.
PRELOADED = [
    "nicegui", "viser", "trackersplat.jobs.reconstruct", "trackersplat.jobs.edits", "trackersplat.training.first_frame.fit",
    "trackersplat.rendering.backends.portable", "trackersplat.tracking.trackers.dis.tracker", "viewer.web", "viewer.stage.stage",
    "tyro", "trackersplat.commands.reconstruct", "trackersplat.pipelines.base_propagate", "trackersplat.captures.layouts.n3dv",
    "trackersplat.training.points.strategies.patches", "trackersplat.training.refine.on_device",
    "numba.typed.typeddict", "numba.typed.typedlist",
]  # fmt: skip


class Program:
    """A module, or a file whose name ends with ``.py``, as the main program of a process, which is killed at the end of a ``with``."""

    def __init__(
        self,
        program: str,
        arguments: Sequence[str | Path] = (),
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        errors: Path | None = None,
    ) -> None:
        """``folder``: where it works; ``errors``: a file for what it says there. What it prints is read from ``stdout``, by lines."""
        processes = multiprocessing.get_context("forkserver")
        processes.set_forkserver_preload(PRELOADED)
        printed, prints = processes.Pipe(duplex=False)
        what = (program, [str(argument) for argument in arguments], folder or Path.cwd(), dict(environment or {}), errors, prints)
        self._process = processes.Process(target=_run, args=what)
        self._process.start()
        prints.close()
        self.stdout = os.fdopen(os.dup(printed.fileno()), encoding="utf-8")
        printed.close()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stdout.close()
        self._process.kill()
        self._process.join()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def send_signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it has ended
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """The exit code, negative for a signal. Raises TimeoutError if it does not end."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise TimeoutError(f"It has not ended within {seconds} s.")
        return self._process.exitcode


def _run(program: str, arguments: list[str], folder: Path, environment: dict[str, str], errors: Path | None, prints: Connection) -> None:
    said = os.open(errors or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(prints.fileno(), 1)
    os.dup2(said, 2)
    os.close(said)
    prints.close()
    sys.stdout, sys.stderr = (TextIOWrapper(FileIO(number, "w", closefd=False), "utf-8") for number in (1, 2))  # not those of a file
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [program, *arguments]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
