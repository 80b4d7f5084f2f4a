"""What the command line prints: a capture, how far a job is, the progress of a reconstruction, the table at its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from trackersplat.captures.capture import Capture
from trackersplat.captures.summary import describe
from trackersplat.commands.shown import escape, printable
from trackersplat.edits.log import read_log
from trackersplat.edits.registry import EDITS
from trackersplat.edits.stale import stale_frames
from trackersplat.events import Event, Failed, Finished, FrameDone, Note, Remark, Stage, Stale, Started, StepDone, to_json
from trackersplat.metrics.registry import METRICS

if TYPE_CHECKING:
    from typing_extensions import Self

    from trackersplat.store.run import Run  # with torch, which what is said of a capture does not need

STAGES = {
    "compile": "compiling kernels (once per machine)",
    "check": "checking poses",
    "points": "first points",
    "optimise": "optimising",
    "track": "tracking",
    "move": "moving",
    "match": "rendering and matching",
    "refine": "refining",
    "measure": "measuring",
}


class Reporter(Protocol):
    """Shows events to somebody."""

    def __enter__(self) -> Reporter: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def show(self, event: Event) -> None: ...


class JsonLines:
    """One event a line on standard output; an exception becomes a last event, Failed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, Exception):
            self.show(Failed(str(error) or type(error).__name__))

    def show(self, event: Event) -> None:
        print(json.dumps(to_json(event)), flush=True)


class JsonWork(JsonLines):
    """Likewise, for work with events of its own; where no exception came, the last event is Finished."""

    def __init__(self, to_json: Callable[[Event], dict[str, Any]]) -> None:
        self._to_json, self._began = to_json, time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        super().__exit__(kind, error, trace)
        if kind is None:
            super().show(Finished(time.perf_counter() - self._began))

    def show(self, event: Event) -> None:
        if isinstance(event, Failed):
            super().show(event)
        else:
            print(json.dumps(self._to_json(event)), flush=True)


class StepBar(Progress):
    """A line that says what is being done and how far it is; it shows between `start` and `stop` and leaves nothing behind.

    As a context manager it starts and stops itself. Other tasks of rich's may be added beside.
    """

    def __init__(self, console: Console | None = None) -> None:
        what = TextColumn("{task.description}", markup=False)  # names of files may look like markup
        note = TextColumn("{task.fields[note]}", markup=False)
        super().__init__(what, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), note, console=console, transient=True)
        self._now = self.add_task("", total=None, note="")

    def show(self, what: str, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` steps; a total of 0 is one that is not known."""
        bar = next(task for task in self.tasks if task.id == self._now)
        bar.total, bar.finished_time = total or None, None  # `update` takes back neither a known total nor the end of an earlier step
        self.update(bar.id, description=printable(what), completed=done, note=printable(note))


class TextProgress:
    """A progress bar for people, with one line left behind per finished frame."""

    def __init__(self, capture: Capture) -> None:
        self._console = Console(highlight=False)
        self._capture = capture
        self._stage = ""
        self._bars = StepBar(self._console)
        self._all: TaskID | None = None
        self._remarks: set[str] = set()  # that were shown: one for many frames is shown once during the run, and with its frames at the end

    def __enter__(self) -> TextProgress:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def show(self, event: Event) -> None:
        match event:
            case Started(frames=frames, device=device):
                count = f"{len(frames)} frame{'' if len(frames) == 1 else 's'}"
                self._console.print(f"{escape(self._capture.name)}: {count} to reconstruct on {escape(device)}")
                self._all = self._bars.add_task("frames", total=len(frames), note="")
            case Remark(text=text):
                self._remarks.add(text)
                print_warnings([text], self._console)
            case Stage(frame=frame, name=name, detail=detail):
                self._stage = STAGES.get(name, name)
                self._bars.show(f"frame {frame + 1} {self._stage}", 0, 0, detail)
            case StepDone(frame=frame, step=step, steps=steps, loss=loss, gaussians=count, psnr=psnr):
                note = f"loss {loss:.4f}, {count:,} Gaussians" + (f", held out {psnr:.2f} dB" if psnr is not None else "")
                self._bars.show(f"frame {frame + 1} {self._stage}", step, steps, note)
            case Note(frame=frame, text=text):
                self._console.print(f"  frame {frame + 1:>4}  {escape(text)}")
            case FrameDone():
                self._console.print(f"  frame {event.frame + 1:>4}  {frame_sentence(event)}")
                new = [remark for remark in event.remarks if remark not in self._remarks]
                self._remarks.update(new)
                print_warnings(new, self._console)
                if self._all is not None:
                    self._bars.advance(self._all)
            case Stale(frames=frames):
                print_warnings([stale_sentence(frames)], self._console)
            case Finished(seconds=seconds):
                self._console.print(f"Finished in {seconds:.1f} s.")
            case _:
                return


def stale_sentence(frames: Sequence[int]) -> str:
    """Which frames are stale, and what to do."""
    are = "is" if len(frames) == 1 else "are"
    return (
        f"{_frames_in_words([frame + 1 for frame in frames])} {are} stale: edits, or frames that they come from, have changed since. "
        "`trackersplat reconstruct CAPTURE --redo stale` makes them again."
    )


def frame_sentence(done: FrameDone) -> str:
    """One line about a finished frame."""
    scores = done.scores
    if "psnr" not in scores:
        quality = f"{done.gaussians:,} Gaussians" + ("" if done.base is None else f", {done.static:.0%} static")
    elif done.base is None:
        quality = f"held out {scores['psnr']:.2f} dB, {done.gaussians:,} Gaussians"
    else:
        parts = (("do nothing", "unmoved_psnr"), ("moved", "moved_psnr"), ("refined", "psnr"))
        quality = "  ".join(f"{label} {_cell(scores.get(name), 2)}" for label, name in parts) + " dB"
    return f"{done.total_seconds:6.1f} s  {quality}"


def print_frames(run: Run, frames: Iterable[int]) -> None:
    """The table at the end: PSNR of doing nothing and of moving alone, then every metric of the result, on the held-out cameras."""
    records = {frame: done for frame, done in run.records().items() if frame in set(frames)}
    metrics = [facts for facts in METRICS if any(facts.name in done.scores for done in records.values())]
    console = Console(highlight=False)
    title = "On the held-out cameras, all pixels"
    if not metrics:
        title = "No camera is held out, so quality is not measured. Start a new run with --hold-out CAMERA"
    table = Table(title=f"{title} ({escape(str(run.path))})", title_justify="left")
    units = [f"{facts.label}\n{facts.unit}" for facts in metrics]
    for column in ("frame", "from", "do\nnothing", "moved\nonly", *units, "tracked", "static", "s"):
        table.add_column(column, justify="right", no_wrap=True)
    for frame, done in records.items():
        base = "-" if done.base is None else str(done.base + 1)
        cells = [_cell(done.scores.get(name), 2) for name in ("unmoved_psnr", "moved_psnr")]
        cells += [_cell(done.scores.get(facts.name), facts.digits) for facts in metrics]
        shares = ["-", "-"] if done.base is None else [f"{done.measured:.0%}", f"{done.static:.0%}"]
        table.add_row(str(frame + 1), base, *cells, *shares, f"{done.total_seconds:.1f}")
    console.print(table)
    for facts in metrics:
        if facts.how:
            console.print(f"{facts.label}: {facts.how}")
    print_warnings(frame_remarks(records.values()), console)
    missing = {name: why for done in records.values() for name, why in done.unavailable.items()}
    for name, why in missing.items():
        console.print(f"{METRICS.facts(name).label if name in METRICS else escape(name)} not available: {escape(why)}")


def frame_remarks(records: Iterable[FrameDone]) -> list[str]:
    """Each remark about frames once, with the frames that have it."""
    frames: dict[str, list[int]] = {}
    for done in records:
        for remark in done.remarks:
            frames.setdefault(remark, []).append(done.frame + 1)
    return [f"{_frames_in_words(found)}: {remark}" for remark, found in frames.items()]


def _frames_in_words(frames: Sequence[int]) -> str:
    if len(frames) == 1:
        return f"Frame {frames[0]}"
    return f"{len(frames)} frames, from {min(frames)} to {max(frames)}"


def print_capture(capture: Capture) -> None:
    """What `trackersplat info` says."""
    facts = describe(capture)
    console = Console(highlight=False, soft_wrap=True)
    sizes = ", ".join(f"{width}x{height}" for width, height in facts.sizes)
    lines = {
        "layout": facts.layout,
        "folder": facts.path,
        "cameras": str(len(facts.cameras)),
        "frames": f"{facts.frame_count}, {facts.seconds:.2f} s at {facts.fps:g} fps",
        "size": sizes,
        "held out": ", ".join(facts.held_out) or "none",
        "points": "none" if facts.point_count is None else f"{facts.point_count:,}",
    }
    console.print(f"[bold]{escape(facts.name)}[/bold]")
    for label, value in lines.items():
        console.print(f"  {label:<9} {escape(value)}")
    table = Table(title="Cameras (pixels; positions in scene units)", title_justify="left")
    for column in ("name", "size", "fx", "fy", "x", "y", "z", ""):
        table.add_column(column, justify="left" if column in ("name", "") else "right")
    for camera in facts.cameras:
        position = [f"{value:.3f}" for value in camera.position]
        size = f"{camera.width}x{camera.height}"
        table.add_row(escape(camera.name), size, f"{camera.fx:.1f}", f"{camera.fy:.1f}", *position, "held out" if camera.held_out else "")
    console.print(table)
    print_warnings(facts.warnings, console)


def print_gaussians(path: Path) -> None:
    """What a file of Gaussians holds. Raises InputError if it cannot be read."""
    from trackersplat.gaussians.readers.reader import read_gaussians

    file = read_gaussians(path)
    console = Console(highlight=False)
    degree = file.gaussians.sh_degree
    console.print(f"[bold]{escape(path.name)}[/bold]")
    console.print(f"  format    {escape(file.format.title)}")
    console.print(f"  Gaussians {len(file.gaussians):,}, spherical harmonics of degree {degree}")
    print_warnings(file.remarks, console)


def print_warnings(warnings: Sequence[str], console: Console | None = None) -> None:
    console = console or Console(highlight=False)
    for warning in warnings:
        console.print(f"[yellow]warning:[/yellow] {escape(warning)}")


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def print_edits(run: Run) -> None:
    """The log of edits, what is in effect, and which frames are stale."""
    log, console = read_log(run.path), Console(highlight=False, soft_wrap=True)
    if not log.entries:
        console.print(f"{escape(str(run.path))} has no edits.")
    for index, entry in enumerate(log.entries):
        state = "" if index < log.position else "  (undone)"
        console.print(f"  {index + 1:>4}  {escape(entry.time)}  {entry.kind:<13}  {escape(entry.label)}{state}")
    if stale := stale_frames(log, run.records()):
        print_warnings([stale_sentence(sorted(stale))], console)


def print_edit_kinds() -> None:
    """What `trackersplat edits --add` takes."""
    console = Console(highlight=False, soft_wrap=True)
    for facts in EDITS:
        console.print(f"{escape(facts.name)} {escape(facts.arguments)}\n    {escape(facts.title)}")
