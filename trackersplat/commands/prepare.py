"""``trackersplat prepare``: finds points and poses once, in a folder that then opens in place of the capture."""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from trackersplat.commands.options import HoldOut
from trackersplat.commands.shown import escape, printable

if TYPE_CHECKING:
    from rich.console import Console

    from trackersplat.sfm.prepare import Prepared


@dataclass(frozen=True)
class Prepare:
    """Find points, and if wanted poses, from the first frame of a capture, and write them to a folder that opens in place of the capture.

    The folder refers to the data, which are only read. Videos or images of several cameras without calibration can be prepared too: their
    poses are estimated. Needs pycolmap (pip install '.[sfm]' in the clone), unless a network gives the points and the poses are kept.
    """

    capture: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CAPTURE")]
    """A capture folder, a folder of videos or images without calibration, a ZIP archive of one, or "demo"."""
    out: Path | None = None
    """Folder to prepare; if absent, prepared/NAME in the working folder, or prepared/NAME-HASH if that holds something else."""
    poses: Literal["keep", "refine", "estimate"] | None = None
    """keep the given poses; refine them; or estimate poses without them, then aligned with the given ones. If absent: keep where poses are
    given, else estimate."""
    intrinsics: Literal["given", "each", "shared"] | None = None
    """Lenses: given ones are kept; each camera gets its own; or all cameras share one. If absent: given where there are any, else each."""
    hold_out: HoldOut = ()
    """Cameras that are held out for measuring (comma-separated names, or the option several times); those of the capture if absent."""
    scale: float | None = None
    """Scale the images by this factor when the folder is opened; above 0, at most 1."""
    points: Literal["features", "dust3r", "mast3r", "vggt"] = "features"
    """Triangulate features; or take the points of a network, which the package instantsplat runs on a CUDA GPU. `trackersplat doctor` lists
    the networks and their licences."""
    weights: Path = Path("checkpoints")
    """Folder with the weights of the network, in files of their published names."""

    def run(self) -> None:
        from trackersplat.captures.settings import camera_names, positive_number
        from trackersplat.commands.terminal import StepBar
        from trackersplat.sfm.events import Step
        from trackersplat.sfm.prepare import Prepared, prepare
        from trackersplat.sfm.settings import PrepareSettings

        held_out = camera_names([name for name in self.hold_out if name.strip()], "--hold-out") if self.hold_out else None
        scale = None if self.scale is None else positive_number(self.scale, 1.0, "--scale")
        settings = PrepareSettings(
            poses=self.poses, intrinsics=self.intrinsics, held_out=held_out, scale=scale, points=self.points, weights=self.weights
        )
        out = self.out or default_folder(self.capture)
        if self.out is None and out != plain_folder(self.capture):
            print(printable(f"note: {plain_folder(self.capture)} holds something else, so the result goes into {out}."), file=sys.stderr)
        with StepBar() as bar:
            for event in prepare(self.capture, out, settings):
                if isinstance(event, Step):
                    bar.show(event.name, event.done, event.total)
        assert isinstance(event, Prepared), "the last event of a preparation"
        print_report(event)


def plain_folder(capture: str) -> Path:
    """``prepared/NAME`` below the working folder. NAME is that of the capture's folder, with other than plain characters replaced."""
    name = re.sub(r"[^\w.\- ]", "_", Path(capture).expanduser().resolve().name).lstrip(".").strip()
    return Path("prepared") / (name or "capture")


def default_folder(capture: str) -> Path:
    """`plain_folder`, or, if other data were prepared there, that with a hash behind the name."""
    from trackersplat.sfm.prepare import archive_of, hash_of_archive, made_from

    source = capture if capture == "demo" else str(Path(capture).expanduser().resolve())
    archive = None if capture == "demo" else archive_of(Path(source))
    key = source if archive is None else hash_of_archive(archive)
    plain = plain_folder(capture)
    if made_from(plain) in (None, key):
        return plain
    return plain.with_name(f"{plain.name}-{hashlib.blake2b(key.encode(), digest_size=4).hexdigest()}")


def print_report(prepared: Prepared) -> None:
    """What was found, per camera, and the next command."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    record, report = prepared.record, prepared.record.report
    entries = [entry for entry in report.get("cameras", ()) if isinstance(entry, dict)] if isinstance(report.get("cameras"), list) else []
    moved = any("turned_deg" in entry for entry in entries)
    table = Table(title="Cameras (frame 1; errors in pixels of its images)", title_justify="left")
    for column in ("name", "features", "points seen", "error px", *(("turned °", "moved", "focal %") if moved else ())):
        table.add_column(column, justify="left" if column == "name" else "right")
    for entry in entries:
        numbers = [_cell(entry, "features", ","), _cell(entry, "points", ","), _cell(entry, "error_px", ".3f")]
        if moved:
            numbers += [_cell(entry, "turned_deg", ".3f"), _cell(entry, "moved", ".4g"), _cell(entry, "focal_change", "+.2%")]
        table.add_row(escape(str(entry.get("name"))), *numbers)
    console.print(table)
    if prepared.reused:
        console.print(f"{escape(str(prepared.folder))} was prepared in this way before.")
    poses = {"keep": "poses as given", "refine": "poses refined", "estimate": "poses estimated"}[record.poses]
    error = _cell(report, "error_px", ".3f")
    network = report.get("initialiser")
    by = ", mean error" if not isinstance(network, dict) else f" by {escape(str(network.get('title')))}, median error"
    console.print(f"{_cell(report, 'points', ',')} points{by} {error} px, {poses}, {_cell(report, 'seconds', '.1f')} s.")
    if isinstance(network, dict):
        _print_network(console, network)
    if not report.get("points"):
        console.print("[yellow]warning:[/yellow] no point was found, as the views share too few features: reconstruction finds its own.")
    for key, what in (
        ("left_out", "left out, because no pose was found"),
        ("unrefined", "keep their poses, because they share too little with the others"),
    ):
        names = report.get(key)
        if isinstance(names, list) and names:
            console.print(f"[yellow]warning:[/yellow] {what}: {escape(', '.join(map(str, names)))}")
    console.print(f"Open {escape(str(prepared.folder))} in place of the capture: trackersplat-view {escape(str(prepared.folder))}")


def _print_network(console: Console, network: dict[str, Any]) -> None:
    """How well the cameras of the network fit, and its licences."""

    title, licence, weights = (escape(str(network.get(key))) for key in ("title", "licence", "weights_licence"))
    off = f"{_cell(network, 'off_deg', '.3f')}° and {_cell(network, 'off', '.4g')} units"
    console.print(f"{title}'s cameras differ from the known ones by {off} (median); it found {_cell(network, 'found', ',')} points.")
    console.print(f"{title} may be used under these licences: code {licence}; weights {weights}.")
    names = network.get("disagreeing")
    if isinstance(names, list) and names:
        console.print(f"[yellow]warning:[/yellow] these cameras do not fit those of {title}: {escape(', '.join(map(str, names)))}")


def _cell(entry: object, key: str, form: str) -> str:
    """A number of a report as text, "-" if it is none: the file may have been edited."""
    value = entry.get(key) if isinstance(entry, dict) else None
    return "-" if isinstance(value, bool) or not isinstance(value, (int, float)) else format(value, form)
