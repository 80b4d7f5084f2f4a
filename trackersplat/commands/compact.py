"""``trackersplat compact``: the compact form in place of a run's PLY files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from trackersplat.commands.shown import printable


@dataclass(frozen=True)
class Compact:
    """Turn the PLY files of a run into the compact form (quantised; of what does not change nothing is stored again)."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder made by `trackersplat reconstruct`."""

    def run(self) -> None:
        from trackersplat.commands.terminal import print_warnings
        from trackersplat.store.run import Run

        run = Run.open(self.folder)
        size = run.compact()
        print(printable(f"{run.path}: {len(run.frames())} frames, {size / 1e6:.2f} MB"))
        print_warnings(run.remarks)
