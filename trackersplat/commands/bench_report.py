"""How a bench shows itself: a table that grows under a line that says what is being done."""

from __future__ import annotations

from types import TracebackType

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from trackersplat.benchmarks.motion import METHODS, MOVED, BaseDone, BenchDone, DistanceDone
from trackersplat.commands.shown import escape
from trackersplat.commands.terminal import STAGES, StepBar, print_warnings
from trackersplat.events import FrameDone, Remark, Stage, Started, StepDone
from trackersplat.metrics.points import PointErrors

_COLUMNS = ("away", " share", " ", "PSNR", "SSIM", "dyn.\nPSNR", "3D\nmedian", "3D\n90 %", "s")
_LEFT = (" share", " ")


class MotionTable:
    """Shows the events of a motion bench, and of the first frame before it."""

    def __init__(self, title: str) -> None:
        self._console = Console(highlight=False)
        self._title = title
        self._rows: list[DistanceDone] = []
        self._stage = ""
        self._bars = StepBar(self._console)
        self._live = Live(console=self._console, get_renderable=self._picture, transient=True, refresh_per_second=4)

    def __enter__(self) -> MotionTable:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()
        if self._rows:
            self._console.print(motion_table(self._title, self._rows))

    def show(self, event: object) -> None:
        match event:
            case Started(frames=frames, device=device) if frames:
                self._live.console.print(f"frame {frames[0] + 1} is fitted first, on {escape(device)}")
            case Remark(text=text):
                print_warnings([text], self._live.console)
            case Stage(frame=frame, name=name, detail=detail):
                self._stage = STAGES.get(name, name)
                self._bars.show(f"frame {frame + 1} {self._stage}", 0, 0, detail)
            case StepDone(frame=frame, step=step, steps=steps):
                self._bars.show(f"frame {frame + 1} {self._stage}", step, steps)
            case FrameDone(frame=frame):
                self._live.console.print(f"frame {frame + 1} fitted in {event.total_seconds:.1f} s")
            case BaseDone(frame=frame, gaussians=count, psnr=score):
                self._live.console.print(f"frame {frame + 1} itself: held out {_number(score, 2)} dB, {count:,} Gaussians")
            case DistanceDone():
                self._rows.append(event)
            case BenchDone(mean=mean):
                self._rows.append(mean)
            case _:
                return

    def _picture(self) -> RenderableType:
        return Group(motion_table(self._title, self._rows), self._bars) if self._rows else self._bars


def motion_table(title: str, rows: list[DistanceDone]) -> Table:
    """One row of four lines per distance, a line for each method; the last distance may be the mean of all."""
    points = any(score.points for row in rows for score in row.methods.values())
    columns = [name for name in _COLUMNS if points or not name.startswith("3D")]
    table = Table(
        title=escape(title), title_justify="left", caption=_caption(rows, points), caption_justify="left",
        box=box.HORIZONTALS, show_lines=True, show_edge=False, padding=0,
    )  # fmt: skip
    for name in columns:
        table.add_column(name, justify="left" if name in _LEFT else "right", no_wrap=True)
    for row in rows:
        scores = [row.methods[method] for method in METHODS]
        shares = {"dyn. px": row.dynamic_share, "measured": row.measured, "propag.": row.propagated, "static": row.static}
        cells = [
            "mean" if row.distance is None else str(row.distance),
            "\n".join(f" {name:<8}{value:4.0%} " for name, value in shares.items()),
            "\n".join(METHODS),
            "\n".join(_number(score.psnr, 2) for score in scores),
            "\n".join(_number(score.ssim, 3) for score in scores),
            "\n".join(_number(score.dynamic_psnr, 2) for score in scores),
        ]
        if points:
            errors = [score.points.get("dynamic", PointErrors(0, None, None)) for score in scores]
            cells.append("\n".join(_number(error.median, 4) for error in errors))
            cells.append("\n".join(_number(error.p90, 4) for error in errors))
        table.add_row(*cells, "\n".join(f"{row.seconds.of(method):.2f}" for method in METHODS))
    return table


def _caption(rows: list[DistanceDone], points: bool) -> str:
    """What the columns mean, and what is the same for all methods."""
    seconds = rows[-1].seconds
    text = "On the held-out cameras; dyn.: on the pixels that changed. "
    text += f"Seconds are per target frame: tracking {seconds.tracking:.2f}, motion {seconds.motion:.2f}, and refinement."
    if points:
        moving, static = (rows[-1].methods[MOVED].points[group] for group in ("dynamic", "static"))
        text += f" 3D: errors, in scene units, of {moving.count:,} moving truth points that a training camera sees in the base frame; "
        text += f"of {static.count:,} static ones, moved only, 90 % are within {_number(static.p90, 4)}."
    return escape(text)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
