"""The output of a diagnosis: a bar while it works, then what fails and why."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from trackersplat.commands.shown import escape
from trackersplat.commands.terminal import StepBar, print_warnings
from trackersplat.diagnosis.categories import Category
from trackersplat.diagnosis.diagnosis import Diagnosis, FrameExamined
from trackersplat.diagnosis.tables import camera_rows
from trackersplat.events import Event


class TextDiagnosis:
    """A progress bar for people, then the tables."""

    def __init__(self, warnings: Sequence[str]) -> None:
        self._console = Console(highlight=False)
        self._warnings = warnings
        self._bar = StepBar(self._console)

    def __enter__(self) -> TextDiagnosis:
        print_warnings(self._warnings, self._console)
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def show(self, event: Event) -> None:
        if isinstance(event, FrameExamined):
            self._bar.show(f"frame {event.frame + 1} examined", event.done, event.total)

    def print_report(self, diagnosis: Diagnosis, rows: Sequence[dict[str, Any]], worst: int) -> None:
        """Categories, cameras, findings, the worst tracks."""
        console = self._console
        counts = diagnosis.counts()
        table = _table("tracks", "", "what helps", right=("tracks",))
        for category, count in sorted(counts.items(), key=lambda item: (item[0] == Category.NONE, -item[1])):
            table.add_row(f"{count:,}", category.title, category.action)
        console.print(table)
        cameras = _table("camera", "tracks", "failed", "other views px", "Gaussians px", "picture px", right=("tracks", "failed"))
        for row in camera_rows(diagnosis):
            medians = [row.get(f"median_{name}_px") for name in ("leave_one_out", "rendered_gap", "render_offset")]
            cameras.add_row(escape(row["camera"]), f"{row['tracks']:,}", f"{row['failed']:,}", *(_px(value) for value in medians))
        console.print(cameras)
        failed = [row for row in rows if row["category"] != Category.NONE.title][:worst]
        if failed:
            tracks = _table("track", "camera", "frame", "score", "category", "reprojection px", "forward-backward px", right=("score",))
            for row in failed:
                numbers = (row["max_reprojection_px"], row["forward_backward_px"])
                score = "" if row["max_score"] is None else f"{row['max_score']:.2f}"
                name = (str(row["track"]), escape(row["camera"]), str(row["worst_frame"]))
                tracks.add_row(*name, score, row["category"], *(_px(value) for value in numbers))
            console.print(tracks)
        for finding in diagnosis.cameras_found:
            console.print(f"[red]{'camera':<8}[/red] {escape(finding.sentence)}")
            console.print(Padding(f"[dim]{escape(finding.action)}[/dim]", (0, 0, 0, 9)))
        for remark in diagnosis.remarks:
            console.print(f"[cyan]{'note':<8}[/cyan] {escape(remark)}")


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=box.HORIZONTALS, show_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right or column.endswith("px") else "left")
    return table


def _px(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
