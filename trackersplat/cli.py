"""The command line, ``trackersplat COMMAND``. Exit codes: 0 done, 1 defect, 2 bad input, 130 stopped."""

from __future__ import annotations

import dataclasses
import io
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from trackersplat import __version__
from trackersplat.commands.bench import Bench
from trackersplat.commands.check import Check
from trackersplat.commands.doctor import Doctor
from trackersplat.commands.options import check_looks, check_numbers, with_held_out
from trackersplat.commands.outcome import exit_code, traceback_in
from trackersplat.commands.prepare import Prepare
from trackersplat.tracking.registry import DEFAULT_TRACKER

if TYPE_CHECKING:
    from trackersplat.pipelines.settings import ReconstructSettings
    from trackersplat.rendering.rasterizer import Rasterizer


@dataclass(frozen=True)
class Info:
    """Print what a capture is: cameras, frames, size, fps, held-out cameras, layout, warnings."""

    path: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CAPTURE")]
    """A capture folder, or "demo"."""

    def run(self) -> None:
        from trackersplat.captures.registry import open_capture
        from trackersplat.commands.terminal import print_capture

        print_capture(open_capture(self.path))


@dataclass(frozen=True)
class Reconstruct:
    """Reconstruct frames of a capture into a run folder; frames that are there already are kept."""

    capture: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CAPTURE")]
    """A capture folder, or "demo"."""
    frames: str = "all"
    """A:B (frames A to B, counted from 1, both included), one number, or all."""
    out: Path | None = None
    """Run folder; output/NAME in the working folder if absent."""
    tracker: str = DEFAULT_TRACKER
    """Point tracker, or "none": refine without moving first."""
    looks: int = 1
    """How often, at most, tracks in doubt are corrected by matching the moved scene with the images: 0 is faster, 2 may find more."""
    batch: int = 1
    """Target frames that share one base frame."""
    steps: int | None = None
    """Optimisation steps of a moved frame; 100 on a CPU, 200 on a GPU if absent."""
    first_steps: int | None = None
    """Optimisation steps of a frame that is fitted from scratch; 1000 if absent."""
    densify: Literal["error", "mcmc", "default"] = "error"
    """How that frame gets more Gaussians: where the picture is wrong; as samples of a Markov chain; as 3DGS does by gradients."""
    hold_out: str | None = None
    """Cameras (names, comma-separated) that are only measured; what the capture says if absent."""
    seed: int = 0
    """Of all random choices, 0 or more: same seed, same machine, same result."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU with gsplat where there is one, else the CPU."""
    compact: bool = False
    """At the end, turn the PLY files into one compact, quantised sequence."""
    events: Literal["text", "json"] = "text"
    """json: one event a line on standard output, for programs."""

    def run(self) -> None:
        from trackersplat.captures.readable import require_readable
        from trackersplat.captures.registry import open_capture
        from trackersplat.commands.terminal import JsonLines, TextProgress, print_frames
        from trackersplat.jobs.plan import parse_frames
        from trackersplat.jobs.reconstruct import reconstruct
        from trackersplat.jobs.versions import versions
        from trackersplat.rendering.choose import choose_rasterizer
        from trackersplat.store.run import Run, default_out

        capture = open_capture(self.capture)
        if self.hold_out is not None:
            capture = with_held_out(capture, self.hold_out)
        frames = parse_frames(self.frames, capture.frame_count)
        rasterizer = choose_rasterizer(None if self.device == "auto" else self.device)
        settings = self._settings(rasterizer)
        info = {"settings": settings.to_json(), **versions(rasterizer)}
        require_readable(capture, frames[0])  # before anything is written
        run = Run.create(self.out or default_out(capture), capture, info)
        reporter = JsonLines() if self.events == "json" else TextProgress(capture)
        with traceback_in(run.path / "run.log"), reporter:
            for event in reconstruct(capture, run, frames, settings, rasterizer):
                reporter.show(event)
        if self.compact:
            run.compact()
        if self.events == "text":
            print_frames(run, frames)

    def _settings(self, rasterizer: Rasterizer) -> ReconstructSettings:
        from trackersplat.pipelines.settings import ReconstructSettings
        from trackersplat.tracking.registry import create_tracker

        settings = ReconstructSettings.for_device(rasterizer.device.type)
        tracker = None if self.tracker == "none" else self.tracker
        if tracker is not None:
            create_tracker(tracker)  # an unknown name is said before anything is written
        check_numbers(self.seed, steps=self.steps, first_steps=self.first_steps, batch=self.batch)
        return dataclasses.replace(
            settings,
            tracker=tracker,
            looks=check_looks(self.looks),
            batch=self.batch,
            seed=self.seed,
            refine=dataclasses.replace(settings.refine, steps=self.steps or settings.refine.steps),
            first=dataclasses.replace(settings.first.with_strategy(self.densify), steps=self.first_steps or settings.first.steps),
        )


@dataclass(frozen=True)
class Compact:
    """Turn the PLY files of a run into one compact sequence (quantised; what never changes is stored once)."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder made by `trackersplat reconstruct`."""

    def run(self) -> None:
        from trackersplat.store.run import Run

        run = Run.open(self.folder)
        size = run.compact()
        print(f"{run.path}: {len(run.frames())} frames, {size / 1e6:.2f} MB")


_COMMANDS: dict[str, Callable[..., Any]] = {
    "info": Info,
    "check": Check,
    "prepare": Prepare,
    "reconstruct": Reconstruct,
    "compact": Compact,
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
