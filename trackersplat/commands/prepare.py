"""``trackersplat prepare``: what is done once for a capture, into a folder of its own that then opens in place of the capture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

if TYPE_CHECKING:
    from rich.console import Console

    from trackersplat.sfm.prepare import Prepared


@dataclass(frozen=True)
class Prepare:
    """Find points, and if wanted poses, of a capture's first frame once, in a folder that then opens in place of the capture.

    The folder refers to the data, which are only read. Videos or images of several cameras without any calibration can be
    prepared too: their poses are estimated. Needs pycolmap (pip install '.[sfm]' in the clone), unless the points are a network's and
    the poses given.
    """

    capture: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CAPTURE")]
    """A capture folder, a folder of videos or images without calibration, or "demo"."""
    out: Path | None = None
    """Folder to prepare; prepared/NAME in the working folder if absent."""
    poses: Literal["keep", "refine", "estimate"] | None = None
    """keep the given ones; refine them; or estimate them without (then brought into the given frame and scale). If absent: keep them where
    there are any, else estimate."""
    intrinsics: Literal["given", "each", "shared"] | None = None
    """Keep the given lenses; or find one of each camera; or one that all share. If absent: given where there are any, else each."""
    hold_out: str | None = None
    """Cameras (names, comma-separated) that are only measured; what the capture says if absent."""
    scale: float | None = None
    """Make the images this much smaller when the folder is opened, above 0 and at most 1."""
    points: Literal["features", "dust3r", "mast3r", "vggt"] = "features"
    """Triangulate features; or take the points of a network, run through the package instantsplat on a CUDA GPU. `trackersplat doctor`
    says which are there and what their licences are."""
    weights: Path = Path("checkpoints")
    """Folder with the weights of the network, under their published names."""

    def run(self) -> None:
        from trackersplat.captures.settings import camera_names, positive_number
        from trackersplat.commands.terminal import StepBar
        from trackersplat.sfm.prepare import Prepared, PrepareSettings, prepare

        held_out = None
        if self.hold_out is not None:
            held_out = camera_names([name.strip() for name in self.hold_out.split(",") if name.strip()], "--hold-out")
        scale = None if self.scale is None else positive_number(self.scale, 1.0, "--scale")
        settings = PrepareSettings(self.poses, self.intrinsics, held_out, scale, self.points, self.weights)
        with StepBar() as bar:
            for step in prepare(self.capture, self.out or default_folder(self.capture), settings):
                if isinstance(step, Prepared):
                    result = step
                else:
                    bar.show(step.what, step.done, step.total)
        print_report(result)


def default_folder(capture: str) -> Path:
    """``prepared/NAME`` below the working folder, NAME being that of the capture's folder without what could lead elsewhere."""
    name = re.sub(r"[^\w.\- ]", "_", Path(capture).expanduser().resolve().name).lstrip(".").strip()
    return Path("prepared") / (name or "capture")


def print_report(prepared: Prepared) -> None:
    """What was found, per camera, and how to go on."""
    from rich.console import Console
    from rich.markup import escape
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
        console.print(f"{escape(str(prepared.folder))} was prepared in this way already.")
    poses = {"keep": "poses as given", "refine": "poses refined", "estimate": "poses estimated"}[record.poses]
    error = _cell(report, "error_px", ".3f")
    network = report.get("initialiser")
    by = ", mean error" if not isinstance(network, dict) else f" by {escape(str(network.get('title')))}, median error"
    console.print(f"{_cell(report, 'points', ',')} points{by} {error} px, {poses}, {_cell(report, 'seconds', '.1f')} s.")
    if isinstance(network, dict):
        _print_network(console, network)
    if not report.get("points"):
        console.print("[yellow]warning:[/yellow] no point was found: the views have too little in common for features; the sweep will do.")
    for key, what in (
        ("left_out", "no pose was found, so they are left out"),
        ("unrefined", "too little is seen, so they keep their poses"),
    ):
        names = report.get(key)
        if isinstance(names, list) and names:
            console.print(f"[yellow]warning:[/yellow] {what}: {escape(', '.join(map(str, names)))}")
    console.print(f"Open {escape(str(prepared.folder))} in place of the capture: trackersplat-view {escape(str(prepared.folder))}")


def _print_network(console: Console, network: dict[str, Any]) -> None:
    """How well its cameras fit, and on what terms it may be used."""
    from rich.markup import escape

    title, licence, weights = (escape(str(network.get(key))) for key in ("title", "licence", "weights_licence"))
    off = f"{_cell(network, 'off_deg', '.3f')}° and {_cell(network, 'off', '.4g')} units"
    console.print(f"{title}'s cameras are {off} off the known ones (median); it found {_cell(network, 'found', ',')} points.")
    console.print(f"{title} may be used on these terms: code {licence}; weights {weights}.")
    names = network.get("disagreeing")
    if isinstance(names, list) and names:
        console.print(f"[yellow]warning:[/yellow] {title} sees these cameras elsewhere: {escape(', '.join(map(str, names)))}")


def _cell(entry: object, key: str, form: str) -> str:
    """A number of a report, which may have been edited; "-" for anything else."""
    value = entry.get(key) if isinstance(entry, dict) else None
    return "-" if isinstance(value, bool) or not isinstance(value, (int, float)) else format(value, form)
