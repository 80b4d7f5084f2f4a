"""The command line, ``trackersplat COMMAND``. Exit codes: 0 done, 1 defect, 2 bad input, 130 stopped, 141 reader gone."""

from __future__ import annotations

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
from trackersplat.commands.diagnose import Diagnose
from trackersplat.commands.doctor import Doctor
from trackersplat.commands.edit import EditScene
from trackersplat.commands.edits import Edits
from trackersplat.commands.evaluate import Evaluate
from trackersplat.commands.export import Export
from trackersplat.commands.import_command import Import
from trackersplat.commands.info import Info
from trackersplat.commands.outcome import exit_code
from trackersplat.commands.prepare import Prepare
from trackersplat.commands.reconstruct import Reconstruct
from trackersplat.commands.render import Render
from trackersplat.commands.trackers import Trackers
from trackersplat.commands.tracks import MakeTracks

_COMMANDS: dict[str, Callable[..., Any]] = {
    "info": Info,
    "check": Check,
    "prepare": Prepare,
    "reconstruct": Reconstruct,
    "diagnose": Diagnose,
    "edit": EditScene,
    "edits": Edits,
    "compact": Compact,
    "export": Export,
    "import": Import,
    "render": Render,
    "tracks": MakeTracks,
    "evaluate": Evaluate,
    "bench": Bench,
    "trackers": Trackers,
    "doctor": Doctor,
}


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits."""
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(exit_code(lambda: _run(given)))


def _run(arguments: list[str]) -> None:
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
    command.run()


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
