"""``trackersplat export``: frames of a run as files that other programs read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from trackersplat.commands.shown import printable
from trackersplat.errors import InputError


@dataclass(frozen=True)
class Export:
    """Write frames of a run in another format: ply (a numbered folder of 3DGS PLY files) or sequence (our compact form)."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder made by `trackersplat reconstruct`."""
    out: Path
    """New folder for the files."""
    format: str = "ply"
    """ply or sequence."""
    frames: str = "all"
    """A:B (frames A to B, counted from 1, both included), one number, or all."""

    def run(self) -> None:
        from trackersplat.commands.terminal import print_warnings
        from trackersplat.files import remove_dead
        from trackersplat.gaussians.exporters.exporter import Exported
        from trackersplat.gaussians.exporters.registry import EXPORTERS
        from trackersplat.jobs.plan import parse_frames
        from trackersplat.store.run import Run

        run = Run.open(self.folder)
        there = run.frames()
        if not there:
            raise InputError(f"The run {run.path} has no frames to export.")
        wanted = there if self.frames == "all" else tuple(parse_frames(self.frames, there[-1] + 1))
        missing = [str(frame + 1) for frame in wanted if frame not in there]
        if missing:
            raise InputError(f"The run {run.path} has no frame {', '.join(missing)}: choose among those that are there with --frames.")
        export = EXPORTERS.load(self.format)
        remove_dead(self.out)
        if self.out.exists():
            raise InputError(f"{self.out} is there already: choose a new folder with --out.")
        for event in export(((frame, run.read_frame(frame)) for frame in wanted), self.out):
            if isinstance(event, Exported):
                print(printable(f"{self.out}: {len(wanted)} frames, {event.bytes / 1e6:.2f} MB"))
        print_warnings((*run.lost(), *run.remarks))
