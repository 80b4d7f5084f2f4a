"""``trackersplat export``: frames of a run as files that other programs read, or its cameras."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from trackersplat.captures.camera_files.registry import CAMERA_FILES
from trackersplat.commands.export_words import left_out_sentence
from trackersplat.errors import InputError
from trackersplat.gaussians.exporters.registry import EXPORTERS
from trackersplat.jobs.tracks_format import TITLE, TRACKS

if TYPE_CHECKING:
    from trackersplat.commands.export_report import JsonExport, TextExport
    from trackersplat.jobs.export import ExportSource
    from trackersplat.rendering.rasterizer import Rasterizer

_FORMATS = "; ".join(f"{facts.name}: {facts.title}" for registry in (EXPORTERS, CAMERA_FILES) for facts in registry)
_FORMATS += f"; {TRACKS}: {TITLE}"


@dataclass(frozen=True)
class Export:
    """Write frames of a run in another format, read some back, and say how well they show what the run shows.

    What is exported is the run with the edits of its document. Some formats hold cameras or tracks instead of the frames.
    """

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder made by `trackersplat reconstruct` or `trackersplat import`."""
    out: Path
    """New folder, or new file where the format is one file."""
    format: Annotated[str, tyro.conf.arg(help=_FORMATS)] = "ply"
    frames: str = "all"
    """A:B (frames A to B, counted from 1, both included), one number, or all."""
    sh_degree: int | None = None
    """Write spherical harmonics up to this degree only, 0 to 3: smaller files, colours that depend less on the direction."""
    prune: float = 0.0
    """Leave out the faintest Gaussians, as many as together make this share of what the cameras of the run see: 0.01 is a hundredth."""
    edits: bool = True
    """Export with the edits of the run's document; --no-edits: as it was reconstructed."""
    fps: float | None = None
    """Frames per second, for formats that know time. Default: those of the capture."""
    device: str | None = None
    """cpu, cuda or cuda:N: where what is read back is rendered."""
    backend: str | None = None
    """Rendering back end. Default: the first that works here."""
    events: Literal["text", "json"] = "text"
    """json: one event a line on standard output, for programs."""

    def run(self) -> None:
        from trackersplat.commands.export_report import JsonExport, TextExport
        from trackersplat.jobs.export import of_run
        from trackersplat.rendering.registry import choose_rasterizer
        from trackersplat.store.run import Run

        with JsonExport() if self.events == "json" else TextExport() as reporter:
            source = of_run(Run.open(self.folder), self.edits)
            wanted, left_out = self._wanted(source)
            if left_out:
                reporter.warn(left_out_sentence(left_out))
            if self.format in CAMERA_FILES:
                self._cameras(source, wanted[0], reporter)
            elif self.format == TRACKS:
                self._tracks(source, wanted, choose_rasterizer(self.device, self.backend), reporter)
            else:
                self._frames(source, wanted, choose_rasterizer(self.device, self.backend), reporter)
            for remark in (*source.run.lost(), *source.run.remarks):
                reporter.warn(remark)

    def _wanted(self, source: ExportSource) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The frames that are exported, and those that were asked for and that the edits leave out."""
        from trackersplat.jobs.plan import parse_frames

        run, there = source.run, source.run.frames()
        if not there:
            raise InputError(f"The run {run.path} has no frames to export.")
        if not source.frames:
            raise InputError(f"No frame of {run.path} is in the clip as it is edited: give --no-edits, or undo what was trimmed.")
        if self.frames == "all":
            return source.frames, ()
        wanted = tuple(parse_frames(self.frames, there[-1] + 1))
        missing = [str(frame + 1) for frame in wanted if frame not in there]
        if missing:
            raise InputError(f"The run {run.path} has no frame {', '.join(missing)}: choose among those that are there with --frames.")
        left_out = tuple(frame for frame in wanted if frame not in source.frames)
        if len(left_out) == len(wanted):
            raise InputError(f"{left_out_sentence(left_out)} Choose others with --frames, or give --no-edits.")
        return tuple(frame for frame in wanted if frame in source.frames), left_out

    def _frames(self, source: ExportSource, wanted: tuple[int, ...], rasterizer: Rasterizer, reporter: JsonExport | TextExport) -> None:
        from trackersplat.files import remove_dead
        from trackersplat.jobs.export import ExportOptions, export_run

        options = ExportOptions(self.format, self.sh_degree, self.prune, self.fps)
        EXPORTERS.facts(self.format)
        remove_dead(self.out)
        if self.out.exists():
            raise InputError(f"{self.out} is there already: choose a new name with --out.")
        for event in export_run(source, wanted, self.out, rasterizer, options):
            reporter.show(event)

    def _tracks(self, source: ExportSource, wanted: tuple[int, ...], rasterizer: Rasterizer, reporter: JsonExport | TextExport) -> None:
        from trackersplat.jobs.export_tracks import export_tracks

        for event in export_tracks(source, wanted, self.out, rasterizer):
            reporter.show(event)

    def _cameras(self, source: ExportSource, frame: int, reporter: JsonExport | TextExport) -> None:
        from trackersplat.jobs.export_cameras import export_cameras

        for event in export_cameras(source, frame, self.out, self.format):
            reporter.show(event)
