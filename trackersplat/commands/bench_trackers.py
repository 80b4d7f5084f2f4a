"""``trackersplat bench trackers``: every ready tracker on a capture with truth."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from trackersplat.commands.bench_motion import DISTANCES, check_run
from trackersplat.commands.evaluate import scores_json
from trackersplat.commands.shown import escape, printable
from trackersplat.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from trackersplat.benchmarks.trackers import TrackerDone
    from trackersplat.captures.capture import Capture
    from trackersplat.metrics.tracks.compared import TrackScores
    from trackersplat.pipelines.pipeline import ChainState
    from trackersplat.rendering.rasterizer import Rasterizer


@dataclass(frozen=True)
class BenchTrackers:
    """Measure every ready tracker on a capture with truth.

    Tracks all points of gt/tracks.npz that a camera sees in the first frame through the clip, in every camera, beside doing nothing and a
    plain chain of DIS flow. Scores are those of TAP-Vid: average Jaccard, points within 1 to 16 px, occlusion accuracy, in images of
    256 x 256 px, the mean over the cameras. 3D tracks are lifted from the training cameras and measured by the protocol of MVTracker with
    the thresholds of DexYCB, which take scene units for metres.
    """

    capture: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CAPTURE")]
    """A capture folder, or "demo", with gt/tracks.npz."""
    trackers: str | None = None
    """Comma-separated names. Default: all that are ready."""
    tracking: Literal["fast", "accurate"] = "fast"
    """accurate: another row for each tracker, with its tracks joined between the views by the places of the points in space."""
    frames: int | None = None
    """Only the first of so many frames."""
    reconstruct: bool = False
    """Reconstruct later frames with every tracker, too, and measure them on the held-out cameras. Needs --run."""
    run_folder: Annotated[Path | None, tyro.conf.arg(name="run")] = None
    """A run of the capture that has the first frame."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if a back end for it works here, otherwise the CPU."""
    json: Path | None = None
    """File for all numbers."""

    def run(self) -> None:
        from rich.console import Console

        from trackersplat.benchmarks.trackers import TrackerBenchSettings, TrackerDone, bench_trackers, ready_trackers
        from trackersplat.captures.registry import open_capture
        from trackersplat.files import write_json
        from trackersplat.rendering.registry import choose_rasterizer
        from trackersplat.tracking.registry import TRACKERS

        if self.json is not None and (not os.access(self.json.absolute().parent, os.W_OK) or self.json.is_dir()):
            raise InputError(f"{self.json} cannot be written: choose a file in a folder that is there with --json.")
        if self.frames is not None and self.frames < 2:
            raise InputError(f"--frames must be 2 or more, got {self.frames}.")
        rasterizer = choose_rasterizer(None if self.device == "auto" else self.device)
        names = ready_trackers() if self.trackers is None else tuple(name.strip() for name in self.trackers.split(","))
        for name in names:
            TRACKERS.facts(name)
        capture = open_capture(self.capture)
        base = self._base(capture, rasterizer)
        last = min(self.frames or capture.frame_count, capture.frame_count) - 1
        distances = tuple(distance for distance in DISTANCES if distance <= last) if self.reconstruct else ()
        joined = tuple(name for name in names if not TRACKERS.facts(name).stored) if self.tracking == "accurate" else ()
        settings = TrackerBenchSettings(names, self.frames, joined=joined, reconstruct=distances)
        rows: list[TrackerDone] = []
        console = Console(stderr=True, highlight=False)
        try:
            for event in bench_trackers(capture, settings, rasterizer, base):
                if isinstance(event, TrackerDone):
                    rows.append(event)
                    console.print(escape(f"{event.tracker}: {event.seconds:.1f} s" + (f", {event.failed}" if event.failed else "")))
        finally:
            capture.close()
        Console(highlight=False).print(tracker_table(f"{capture.name}: {_label(rows)}", rows), "", space_table(rows))
        if self.json is not None:
            write_json(self.json, {"bench": "trackers", "capture": capture.name, "rows": [_row_json(row) for row in rows]})
            print(printable(f"All numbers: {self.json}"))

    def _base(self, capture: Capture, rasterizer: Rasterizer) -> ChainState | None:
        from trackersplat.store.run import Run

        if not self.reconstruct:
            return None
        if self.run_folder is None or not capture.held_out_cameras:
            raise InputError("--reconstruct needs the first frame of a run, with --run, and a capture with held-out cameras.")
        run = Run.open(self.run_folder)
        check_run(run, capture, 0)
        return run.read_state(0, rasterizer.device)


def tracker_table(title: str, rows: list[TrackerDone]) -> Table:
    """One row per tracker: the scores of all points, and of those that move. It fits into 80 columns, as the other table does."""
    table = _table(title)
    for group in ("all", "moving"):
        for name in ("AJ", "delta", "OA"):
            table.add_column(f"{group}\n{name}", justify="right", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    table.add_column("MB", justify="right", no_wrap=True)
    for row in rows:
        memory = "-" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f}"
        table.add_row(escape(row.tracker), *_shown(row.all_points), *_shown(row.dynamic), f"{row.seconds:.1f}", memory)
    return table


def space_table(rows: list[TrackerDone]) -> Table:
    """One row per tracker: its 3D tracks, and the held-out PSNR of later frames that were reconstructed with it."""
    from trackersplat.benchmarks.motion import MOVED, MOVED_REFINED, UNMOVED

    label = next((row.space.label for row in rows if row.space is not None), "none")
    reconstructed = any(row.psnr for row in rows)
    title = f"3D tracks: {label}"
    table = _table(f"{title}. PSNR: later frames with these tracks, held out, dB" if reconstructed else title)
    for heading in ("MTE\ncm", "MTE\nmoving", "AJ\n%"):
        table.add_column(heading, justify="right", no_wrap=True)
    methods = {"unmoved": UNMOVED, "moved": MOVED, "refined": MOVED_REFINED} if reconstructed else {}
    for heading in methods:
        table.add_column(f"PSNR\n{heading}", justify="right", no_wrap=True)
    for row in rows:
        scores = _shown(row.space, ("MTE", "dynamic.MTE", "AJ"))
        table.add_row(escape(row.tracker), *scores, *(_number(row.psnr.get(method)) for method in methods.values()))
    return table


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", box=box.HORIZONTALS, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("tracker")
    return table


def _shown(scores: TrackScores | None, names: tuple[str, ...] = ("AJ", "delta_avg", "OA")) -> list[str]:
    return ["-"] * len(names) if scores is None else [_number(scores.values.get(name)) for name in names]


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.1f}"


def _label(rows: list[TrackerDone]) -> str:
    return next((row.all_points.label for row in rows if row.all_points is not None), "nothing could be measured")


def _row_json(row: TrackerDone) -> dict[str, Any]:
    return {
        "tracker": row.tracker,
        "all": None if row.all_points is None else scores_json(row.all_points),
        "dynamic": None if row.dynamic is None else scores_json(row.dynamic),
        "cameras": {name: scores_json(scores) for name, scores in row.cameras.items()},
        "space": None if row.space is None else scores_json(row.space),
        "psnr": row.psnr,
        "seconds": row.seconds,
        "peak_bytes": row.peak_bytes,
        "failed": row.failed,
    }
