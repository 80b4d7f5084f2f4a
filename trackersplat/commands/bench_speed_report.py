"""How the bench of speed shows itself: what is being done, and a table at the end."""

from __future__ import annotations

from types import TracebackType

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from trackersplat.benchmarks.speed import BESIDE, FULL, NOTHING, STAGES, RunCost, RunMeasured, SpeedDone, spread
from trackersplat.commands.shown import escape
from trackersplat.commands.terminal import STAGES as STAGE_NAMES
from trackersplat.commands.terminal import StepBar, print_warnings
from trackersplat.events import FrameDone, Remark, Stage, StepDone

_SCORES = {"psnr": "PSNR held out, dB", "moved_psnr": "moved only, dB", "dynamic_psnr": "on dynamic pixels, dB"}


class SpeedTable:
    """Shows the events of the bench, and its table when it is done."""

    def __init__(self, title: str) -> None:
        self._console, self._title = Console(highlight=False), title
        self._bars = StepBar(self._console)
        self._live = Live(console=self._console, get_renderable=lambda: self._bars, transient=True, refresh_per_second=4)
        self._stage, self._told = "", set[str]()
        self._result: SpeedDone | None = None

    def __enter__(self) -> SpeedTable:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()
        if self._result is not None:
            self._console.print(speed_table(self._title, self._result))

    def say(self, text: str) -> None:
        self._bars.show(text, 0, 0)

    def add(self, run: RunMeasured) -> None:
        self._live.console.print(f"{run.method}: {run.cost.seconds:.2f} s per frame")

    def show(self, event: object) -> None:
        match event:
            case Remark(text=text) if text not in self._told:
                self._told.add(text)
                print_warnings([text], self._live.console)
            case Stage(frame=frame, name=name, detail=detail):
                self._stage = STAGE_NAMES.get(name, name)
                self._bars.show(f"frame {frame + 1} {self._stage}", 0, 0, detail)
            case StepDone(frame=frame, step=step, steps=steps):
                self._bars.show(f"frame {frame + 1} {self._stage}", step, steps)
            case FrameDone(frame=0):
                self._live.console.print(f"frame 1 fitted in {event.total_seconds:.1f} s")
            case SpeedDone():
                self._result = event
            case _:
                return


def speed_table(title: str, result: SpeedDone) -> Table:
    """Seconds per moved frame and what else it costs, with and without motion and refinement."""
    first = result.first
    busy = "" if result.busy is None else f"The GPU works {result.busy:.0%} of the time. "
    caption = (
        f"{busy}First frame: {first.seconds:.1f} s, {first.gaussians:,} Gaussians, {first.scores.get('psnr', float('nan')):.2f} dB, "
        f"{first.gib:.1f} GiB. Decode and write: in other threads, all of them together. Medians of the runs (from - to)."
    )
    table = Table(
        title=escape(title), title_justify="left", caption=escape(caption), caption_justify="left", box=box.HORIZONTALS, show_edge=False
    )
    table.add_column("per moved frame")
    table.add_column(FULL, justify="right")
    table.add_column(NOTHING, justify="right")

    def row(name: str, *cells: str) -> None:
        table.add_row(name, *cells)

    full, nothing = result.runs[FULL], result.runs[NOTHING]
    row("all in, s", *(spread([cost.seconds for cost in costs]) for costs in (full, nothing)))
    for stage in (*STAGES, *BESIDE):
        row(f"  {stage}", *(_stage(costs, stage) for costs in (full, nothing)))
    for score, label in _SCORES.items():
        row(label, *(_score(costs, score) for costs in (full, nothing)))
    row("memory, GiB", *(spread([cost.gib for cost in costs]) for costs in (full, nothing)))
    row("MB on disk", *(spread([cost.megabytes for cost in costs]) for costs in (full, nothing)))
    return table


def _stage(costs: list[RunCost], stage: str) -> str:
    values = [cost.stages[stage] for cost in costs]
    return spread(values) if any(values) else "-"


def _score(costs: list[RunCost], score: str) -> str:
    values = [cost.scores[score] for cost in costs if score in cost.scores]
    return f"{sum(values) / len(values):.2f}" if values else "-"
