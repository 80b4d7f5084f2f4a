"""``trackersplat info``: what a capture is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Info:
    """Print what a capture is: cameras, frames, size, fps, held-out cameras, layout, warnings."""

    path: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CAPTURE")]
    """A capture folder, or "demo"."""

    def run(self) -> None:
        from trackersplat.captures.registry import open_capture
        from trackersplat.commands.terminal import print_capture

        print_capture(open_capture(self.path))
