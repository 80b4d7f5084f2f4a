"""The command line, ``trackersplat COMMAND``. Exit codes: 0 done, 1 defect, 2 bad input, 130 stopped."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import tyro

from trackersplat import __version__
from trackersplat.commands.bench import Bench
from trackersplat.commands.check import Check
from trackersplat.commands.compact import Compact
from trackersplat.commands.doctor import Doctor
from trackersplat.commands.export import Export
from trackersplat.commands.info import Info
from trackersplat.commands.outcome import exit_code
from trackersplat.commands.prepare import Prepare
from trackersplat.commands.reconstruct import Reconstruct

_COMMANDS: dict[str, Callable[..., Any]] = {
    "info": Info,
    "check": Check,
    "prepare": Prepare,
    "reconstruct": Reconstruct,
    "compact": Compact,
    "export": Export,
    "bench": Bench,
    "doctor": Doctor,
}


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:
        print(f"trackersplat {__version__}")
        return
    command = tyro.extras.subcommand_cli_from_dict(
        _COMMANDS,
        prog="trackersplat",
        description="Dynamic 3D Gaussian scenes from multi-view video. --version prints the version.",
        args=arguments,
    )
    signal.signal(signal.SIGTERM, _stop)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold what no terminal can show
    sys.exit(exit_code(command.run))


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
