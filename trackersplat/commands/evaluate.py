"""``trackersplat evaluate``: measures results beside the truth."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from trackersplat.commands.shown import escape, printable
from trackersplat.errors import InputError

if TYPE_CHECKING:
    from trackersplat.metrics.tracks.compared import TrackScores
    from trackersplat.tracking.files.track_file import TrackFile


GROUPS = ("dynamic", "static", "mean")  # of the tracks, as far as a protocol splits them


@dataclass(frozen=True)
class Evaluate:
    """Measure point tracks in a file beside the truth, by the protocols of published benchmarks.

    Reads TAPVid-3D, TAPIP3D, SpatialTrackerV2, MVTracker, TAP-Vid and CoTracker files; docs/tracks.md says what each must hold, and how
    each protocol counts. The tracks of both must be those of the same queries, in the same order.
    """

    what: Annotated[Literal["tracks"], tyro.conf.Positional]
    """What to measure."""
    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """Tracks: an .npz, or a .pt of CoTracker."""
    truth: Path
    """The true tracks: a file of the same kind, or a capture folder with gt/tracks.npz."""
    protocol: str | None = None
    """Comma-separated, of tapvid-first, tapvid-strided, tapvid3d, mvtracker-kubric, mvtracker-dexycb, mvtracker-panoptic. Default: those
    that the truth allows, with the thresholds of DexYCB."""
    alignment: str = "median"
    """Of tapvid3d, how predictions are brought to the scale of the truth: median, mean, median_on_queries, per_trajectory,
    local_neighborhood, reproduce_2d, none."""
    fixed_thresholds: bool = False
    """Of tapvid3d: 0.01 to 2.56 m instead of 1 to 16 px at the depth of the point."""
    leave_out_query: bool = False
    """Of mvtracker: leave the frame of the query out of MTE and ATE, where the error is 0. The published code counts it."""
    camera: str | None = None
    """Where the truth is a capture: the camera in whose frame tapvid3d measures."""
    size: str | None = None
    """WIDTHxHEIGHT of the images, where no file tells it."""
    format: str | None = None
    """Format of FILE: tapvid3d, tapip3d, spatracker2, mvtracker, tapvid, cotracker. Default: what its arrays tell."""
    json: Path | None = None
    """Write all scores to this file."""

    def run(self) -> None:
        from trackersplat.files import write_json
        from trackersplat.metrics.tracks.registry import PROTOCOLS, create_protocol
        from trackersplat.metrics.tracks.tapvid3d import ALIGNMENTS
        from trackersplat.tracking.compare import compared
        from trackersplat.tracking.files.registry import read_tracks_of

        if self.alignment not in ALIGNMENTS:
            raise InputError(f"--alignment must be one of {', '.join(ALIGNMENTS)}, got {self.alignment!r}.")
        size = None if self.size is None else parse_size(self.size)
        truth = self._truth(size)
        found = read_tracks_of(self.file, self.format, size=size)
        names = tuple(self.protocol.split(",")) if self.protocol else _possible(truth)
        for name in names:
            PROTOCOLS.facts(name)
        options: dict[str, dict[str, Any]] = {
            "tapvid3d": {"alignment": self.alignment, "fixed_thresholds": self.fixed_thresholds},
            **{name: {"include_query": not self.leave_out_query} for name in PROTOCOLS.names() if name.startswith("mvtracker")},
        }
        scores = {name: create_protocol(name, **options.get(name, {})).scores(compared(found, truth, name)) for name in names}
        for text in (*found.remarks, *truth.remarks):
            print(printable(f"note: {text}"))
        print_scores(scores)
        if self.json is not None:
            write_json(
                self.json, {"file": str(self.file), "truth": str(self.truth), "scores": {n: scores_json(s) for n, s in scores.items()}}
            )
            print(printable(f"All numbers: {self.json}"))

    def _truth(self, size: tuple[int, int] | None) -> TrackFile:
        from trackersplat.tracking.files.registry import read_tracks_of

        if not self.truth.is_dir():
            return read_tracks_of(self.truth, truth=True, size=size)
        from trackersplat.captures.registry import open_capture
        from trackersplat.tracking.truth_tracks import truth_file

        capture = open_capture(str(self.truth))
        try:
            return truth_file(capture, None if self.camera is None else capture.camera_index(self.camera))
        finally:
            capture.close()


def _possible(truth: TrackFile) -> tuple[str, ...]:
    if truth.tracks2d is not None:
        return ("tapvid-first",)
    return ("mvtracker-dexycb",) if truth.camera is None or truth.size is None else ("tapvid3d", "mvtracker-dexycb")


def parse_size(text: str) -> tuple[int, int]:
    """(width, height). Raises InputError if the text is not WIDTHxHEIGHT."""
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if match is None:
        raise InputError(f"--size must be WIDTHxHEIGHT, such as 640x480, got {text!r}.")
    return int(match[1]), int(match[2])


def print_scores(scores: dict[str, TrackScores]) -> None:
    """One table per protocol, under its label."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from trackersplat.metrics.tracks.registry import PROTOCOLS

    console = Console(highlight=False)
    for name, found in scores.items():
        missing = f", {found.missing:.1%} of the positions missing and held" if found.missing else ""
        console.print(escape(f"{found.label}: {found.tracks:,} tracks{missing}"), soft_wrap=True)
        table = Table(box=box.HORIZONTALS, show_edge=False)
        shown = PROTOCOLS.facts(name).main
        table.add_column("")
        for key in shown:
            table.add_column(f"{key}\n({found.units[key]})", justify="right", no_wrap=True)
        for group in ("", *GROUPS):
            values = [found.values.get(f"{group}.{key}" if group else key, math.nan) for key in shown]
            if not group or not all(map(math.isnan, values)):
                table.add_row(group or "all", *("-" if math.isnan(value) else f"{value:.2f}" for value in values))
        console.print(table)


def scores_json(scores: TrackScores) -> dict[str, Any]:
    """With None for what could not be measured."""
    values = {name: None if math.isnan(value) else value for name, value in scores.values.items()}
    return {"protocol": scores.label, "tracks": scores.tracks, "missing": scores.missing, "units": scores.units, "values": values}
