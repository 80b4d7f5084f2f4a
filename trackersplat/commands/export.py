"""``trackersplat export``: frames of a run as files that other programs read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from trackersplat.commands.shown import printable
from trackersplat.errors import InputError
from trackersplat.gaussians.exporters.registry import EXPORTERS

if TYPE_CHECKING:
    from trackersplat.jobs.export import ExportDone


@dataclass(frozen=True)
class Export:
    """Write frames of a run in another format, read some back, and say how well they show what the run shows."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder made by `trackersplat reconstruct`."""
    out: Path
    """New folder, or new file where the format is one file."""
    format: Annotated[str, tyro.conf.arg(help="; ".join(f"{facts.name}: {facts.title}" for facts in EXPORTERS))] = "ply"
    frames: str = "all"
    """A:B (frames A to B, counted from 1, both included), one number, or all."""
    sh_degree: int | None = None
    """Write spherical harmonics up to this degree only, 0 to 3: smaller files, colours that depend less on the direction."""
    device: str | None = None
    """cpu, cuda or cuda:N: where what is read back is rendered."""

    def run(self) -> None:
        from trackersplat.commands.terminal import print_warnings
        from trackersplat.events import Note
        from trackersplat.files import remove_dead
        from trackersplat.jobs.export import ExportDone, export_run
        from trackersplat.jobs.plan import parse_frames
        from trackersplat.rendering.registry import choose_rasterizer
        from trackersplat.store.run import Run

        run = Run.open(self.folder)
        there = run.frames()
        if not there:
            raise InputError(f"The run {run.path} has no frames to export.")
        wanted = there if self.frames == "all" else tuple(parse_frames(self.frames, there[-1] + 1))
        missing = [str(frame + 1) for frame in wanted if frame not in there]
        if missing:
            raise InputError(f"The run {run.path} has no frame {', '.join(missing)}: choose among those that are there with --frames.")
        rasterizer = choose_rasterizer(self.device)
        remove_dead(self.out)
        if self.out.exists():
            raise InputError(f"{self.out} is there already: choose a new name with --out.")
        for event in export_run(run, wanted, self.out, rasterizer, format=self.format, sh_degree=self.sh_degree):
            if isinstance(event, Note):
                print(printable(f"note: {event.text}"))
            elif isinstance(event, ExportDone):
                print(printable(f"{self.out}: {_sizes(event)}"))
                if event.compared:
                    print(printable(_likeness(event)))
        print_warnings((*run.lost(), *run.remarks))


def _sizes(done: ExportDone) -> str:
    count = len(done.exported.frames)
    return f"{count} frames, {done.exported.bytes / 1e6:.2f} MB, {done.exported.bytes / count / 1e3:,.0f} kB per frame"


def _likeness(done: ExportDone) -> str:
    frames = ", ".join(str(one.frame + 1) for one in done.compared)
    worst = min(one.psnr for one in done.compared)
    what = "show exactly what the run shows" if worst == float("inf") else f"show what the run shows with at least {worst:.1f} dB"
    return f"read back: frames {frames} {what}"
