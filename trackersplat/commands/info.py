"""``trackersplat info``: what a capture is, or a file of Gaussians."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Info:
    """Print what a capture is: cameras, frames, size, fps, held-out cameras, layout, warnings. Also of a file of Gaussians."""

    path: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CAPTURE")]
    """A capture folder, "demo", or a file of Gaussians (PLY, SPZ, SOG, .splat)."""

    def run(self) -> None:
        from trackersplat.captures.registry import open_capture
        from trackersplat.commands.terminal import print_capture, print_gaussians
        from trackersplat.gaussians.readers.registry import is_gaussian_file

        path = Path(os.path.expanduser(self.path))  # which leaves a name of no user as it is
        if is_gaussian_file(path):
            print_gaussians(path)
            return
        print_capture(open_capture(self.path))
