"""``trackersplat import``: files of Gaussians of others as a run."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from trackersplat.commands.shown import printable


@dataclass(frozen=True)
class Import:
    """Make a run of a file of Gaussians, or of numbered ones, so that it can be looked at, edited, rendered and exported.

    Read are PLY (of 3DGS, and compressed), SPZ, SOG and .splat, a zip of such files, and .4dgs. `trackersplat-view RUN` opens the run.
    Cameras are made around the scene.
    """

    path: Annotated[Path, tyro.conf.Positional]
    """A file, or a folder or zip of files of one format; the last numbers in their names order them."""
    out: Path
    """New folder for the run."""
    same: Literal["auto", "yes", "no"] = "auto"
    """Whether all frames hold the same Gaussians, row by row, so that edits reach all of them: yes, no, or auto, which compares them."""
    up: str = "-y"
    """Which direction of the scene is up: -y (as where poses come from COLMAP), y, z, -z, x or -x. The cameras stand around it."""
    fps: float | None = None
    """Frames per second. Default: what the file says, or else 30."""

    def run(self) -> None:
        from trackersplat.commands.export_words import size_sentence
        from trackersplat.commands.terminal import StepBar
        from trackersplat.files import remove_dead
        from trackersplat.jobs.export_events import FileDone, FrameWritten, Said
        from trackersplat.jobs.import_frames import ImportSettings, import_frames

        settings = ImportSettings(same=self.same, up=self.up, frames_per_second=self.fps)
        remove_dead(self.out)
        said: list[str] = []
        console = Console()
        with StepBar(console) if console.is_terminal else nullcontext() as bar:
            for event in import_frames(self.path, self.out, settings):
                match event:
                    case Said(text):
                        said.append(text)
                    case FrameWritten(done):
                        if bar is not None:
                            bar.show("importing frame", done, 0)
                    case FileDone(path, frames, size):
                        said.insert(0, f"{path}: {size_sentence(frames, size)}")
        for index, sentence in enumerate(said):
            print(printable(sentence if not index else f"note: {sentence}"))
