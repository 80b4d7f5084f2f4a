"""``trackersplat diagnose``: why tracks fail, as a table, CSV and JSON."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from trackersplat.commands.shown import printable
from trackersplat.errors import InputError

if TYPE_CHECKING:
    from trackersplat.store.run import Run


@dataclass(frozen=True)
class Diagnose:
    """Find the tracks of a run that fail, and why.

    Compares every track in every frame with the other views, the images and the Gaussians. Prints how many tracks fail for which reason,
    the worst of them, and what is wrong with cameras. Writes all tracks as CSV and a report as JSON.
    """

    run_folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder made by `trackersplat reconstruct`."""
    capture: str | None = None
    """The capture of the run: a folder, or "demo". Default: where it was when the run was made."""
    tracks: Path | None = None
    """Diagnose these tracks of the same capture: an .npz file, or the folder of another run. docs/diagnosis.md has the format."""
    frames: str = "all"
    """A:B (frames A to B, counted from 1, both included), one number, or all."""
    worst: int = 10
    """How many of the worst tracks are printed."""
    out: Path | None = None
    """Folder for diagnosis.csv and diagnosis.json. Default: the run folder."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if a back end for it works here, otherwise the CPU."""

    def run(self) -> None:
        from trackersplat.captures.registry import open_capture
        from trackersplat.commands.diagnose_report import TextDiagnosis
        from trackersplat.diagnosis.diagnosis import DIAGNOSIS_FILE, DiagnosisDone
        from trackersplat.diagnosis.settings import DiagnosisSettings
        from trackersplat.diagnosis.tables import csv_text, to_json, track_rows
        from trackersplat.files import write_json, write_text
        from trackersplat.jobs.diagnose import diagnose, key_of
        from trackersplat.jobs.plan import parse_frames
        from trackersplat.jobs.read_tracks import read_track_file
        from trackersplat.rendering.registry import choose_rasterizer
        from trackersplat.store.run import Run

        if self.worst < 0:
            raise InputError(f"--worst must be 0 or more, got {self.worst}.")
        run = Run.open(self.run_folder)
        folder = self.out or run.path
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise InputError(f"{folder} cannot be written: choose a folder that is there with --out.")
        capture = open_capture(self.capture or capture_of(run))
        try:
            table = None if self.tracks is None else read_track_file(self.tracks, capture)
            frames = None if self.frames == "all" else parse_frames(self.frames, capture.frame_count)
            rasterizer = choose_rasterizer(None if self.device == "auto" else self.device)
            with TextDiagnosis(capture.warnings) as reporter:
                for event in diagnose(run, capture, frames, rasterizer, table=table):
                    reporter.show(event)
        except KeyboardInterrupt:
            print("Stopped. Nothing was written.", file=sys.stderr)
            raise SystemExit(130) from None
        finally:
            capture.close()
        assert isinstance(event, DiagnosisDone), "the last event of a diagnosis"
        rows = track_rows(event.diagnosis)
        reporter.print_report(event.diagnosis, rows, self.worst)
        name = "diagnosis" if self.tracks is None else f"diagnosis-{re.sub(r'[^A-Za-z0-9_.-]', '_', self.tracks.stem)}"
        write_text(folder / f"{name}.csv", csv_text(rows))
        write_json(folder / f"{name}.json", to_json(event.diagnosis, rows, max(self.worst, 100)))
        print(printable(f"All {len(rows):,} tracks: {folder / f'{name}.csv'}; the report: {folder / f'{name}.json'}"))
        if table is None and frames is None and folder == run.path:
            event.diagnosis.to_npz(folder / DIAGNOSIS_FILE, key_of(run, DiagnosisSettings()))


def capture_of(run: Run) -> str:
    """Where the run says that its capture is, or "demo" if it was made from that, as the bundled run and its copies.

    Raises InputError if it does not say, or nothing is there.
    """

    about = run.info.get("capture")
    folder = about.get("folder") if isinstance(about, dict) else None
    if isinstance(folder, str) and folder and Path(folder).is_dir():
        return folder
    if _is_of_demo(run):
        return "demo"
    where = f"it was in {folder}, which is not there" if isinstance(folder, str) and folder else "the run does not say"
    raise InputError(f"The capture of {run.path} is not known ({where}): name it with --capture.")


def _is_of_demo(run: Run) -> bool:
    """By the hashes of cameras and images, which older runs do not have. No run is, where the installation lacks the demo."""
    from trackersplat.captures.registry import open_capture

    if not run.is_verifiable:
        return False
    try:
        capture = open_capture("demo")
    except InputError:
        return False
    try:
        return run.difference(capture) is None
    finally:
        capture.close()
