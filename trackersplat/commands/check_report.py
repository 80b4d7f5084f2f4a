"""The output of a check: a bar while it works, then a table of the cameras, and the findings below it."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from trackersplat.checks.events import Checked, Step
from trackersplat.checks.findings import Report, name_frames
from trackersplat.checks.summary import CAPTION, COLUMNS, cells
from trackersplat.commands.shown import escape
from trackersplat.commands.terminal import StepBar
from trackersplat.events import Event

COLOURS = {"problem": "red", "warning": "yellow", "note": "cyan"}


class TextCheck:
    """A progress bar for people, then the table."""

    def __init__(self, warnings: Sequence[str]) -> None:
        self._console = Console(highlight=False)
        self._warnings = warnings
        self._bar = StepBar(self._console)

    def __enter__(self) -> TextCheck:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def show(self, event: Event) -> None:
        match event:
            case Step(name, done, total):
                self._bar.show(name, done, total)
            case Checked(report):
                self._bar.stop()
                print_report(self._console, report, self._warnings)


def print_report(console: Console, report: Report, warnings: Sequence[str] = ()) -> None:
    """The cameras, then the findings, the worst first."""
    console.print(camera_table(report))
    for warning in warnings:
        console.print(f"[yellow]{'warning':<8}[/yellow] {escape(warning)}")
    for finding in report.findings:
        colour = COLOURS[finding.severity]
        console.print(f"[{colour}]{finding.severity:<8}[/{colour}] {escape(finding.what)}")
        console.print(Padding(f"[dim]{escape(finding.advice)}[/dim]", (0, 0, 0, 9)))
    seen = name_frames(report.frames)
    console.print(f"{escape(report.capture)}, {seen}: [bold]{report.verdict()}[/bold] ({report.seconds:.1f} s)")


def camera_table(report: Report) -> Table:
    """One row per camera, with the worst severity of its findings in the last column."""
    table = Table(caption=CAPTION, caption_justify="left", caption_style="dim", box=box.HORIZONTALS, show_edge=False, padding=(0, 1, 0, 0))
    for column in (*COLUMNS, ""):
        table.add_column(column, justify="left" if column in ("camera", "") else "right", no_wrap=True)
    for measures in report.cameras:
        found = {finding.severity for finding in report.findings if finding.camera == measures.camera}
        worst = next((severity for severity in COLOURS if severity in found), None)
        table.add_row(*(escape(cell) for cell in cells(measures)), f"[{COLOURS[worst]}]{worst}[/]" if worst else "")
    return table
