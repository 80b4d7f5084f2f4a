"""``trackersplat-view`` in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from forked import Program

ROOT = Path(__file__).resolve().parents[2]
LOG = "server.log"
OPTIONS = ("--no-browser", "--no-autoplay", "--port", "0")


@contextmanager
def page_server(folder: Path, capture: str, options: Sequence[str | Path] = ()) -> Iterator[str]:
    """The address that it prints. It works in ``folder``, and is ended with Ctrl-C."""
    with Program("viewer.app", (capture, *OPTIONS, *options), folder) as program:
        yield _address(program.stdout)
        program.send_signal(signal.SIGINT)
        program.wait(20)


@contextmanager
def started_page_server(folder: Path, capture: str, options: Sequence[str | Path] = ()) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The same as people start it, and the process. What it says goes to `LOG` in the folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "viewer.app", capture, *OPTIONS, *options]
    with (
        open(folder / LOG, "w") as said,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            yield _address(process.stdout), process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()


def _address(printed: Iterable[str]) -> str:
    return next(line.split()[1] for line in printed if line.startswith("Open http"))
