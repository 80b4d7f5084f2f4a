"""The jobs in the panel "Run": what the one at work says, the queue, and what each came to."""

from __future__ import annotations

from nicegui import ui

from trackersplat.events import FrameDone
from viewer.job_words import Report
from viewer.panels.parts import box, button, note, select
from viewer.reconstruction import Task
from viewer.tab import Tab
from viewer.views.plots import Line, by_frame, chart
from viewer.views.scores import Column, columns

ICONS = {
    "waiting": ("schedule", "muted"), "running": ("play_arrow", "warn"), "paused": ("pause", "warn"), "finished": ("check", "good"),
    "failed": ("error", "bad"), "cancelled": ("close", "muted"),
}  # fmt: skip


class JobCard:
    """Stands above the choice while a job is at work, else below it."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self._shown_tasks: tuple[Task, ...] = ()
        with ui.element("div").classes("ts-stack") as self._box:
            with ui.column().classes("w-full ts-stack ts-card") as self._card:
                with ui.row().classes("ts-row w-full no-wrap"):
                    self._head = ui.label("").classes("ts-title ts-ellipsis").style("flex:1").props('role="status"')
                    self._pause = button("", "pause", "Pause or resume: the worker is stopped where it is and keeps its memory", self._halt)
                    button("", "stop", "Cancel: finished frames are kept", lambda: self._tab.do("job.cancel"), props="color=red-4")
                    button("", "article", "Log of this job", lambda: self._tab.do("job.log"))
                self._bar = ui.linear_progress(0.0, show_value=False, size="6px").props(
                    "aria-label='Done share of the job' instant-feedback"
                )
                self._left = note("", "text")
                self._detail = note("")
                self._message = box("", "warning")
                self._elsewhere = ui.row().classes("ts-row w-full")
                with self._elsewhere:
                    note("Its frames are not on the screen: another run is shown.").style("flex:1")
                    button("Show them", "visibility", "Shows the run that is being made, and its pictures as they improve", self._watch)
                self._gpus = note("")
            self._result = note("", "text")
            self._loss = ui.echart(chart([], "step", "Loss")).classes("ts-plot")
            self._climb = ui.echart(chart([], "step", "PSNR held out, dB")).classes("ts-plot")
            with ui.column().classes("w-full ts-stack") as self._frames:
                self._metric = select("Frames of this job", "Which metric the curve shows", {}, None, self._draw_frames)
                self._quality = ui.echart(chart([], "frame", "")).classes("ts-plot")
            self._queue = ui.column().classes("w-full ts-stack")
            self._renderer = note("").classes("ts-small")
            self._done: tuple[FrameDone, ...] = ()
            for plot in (self._loss, self._climb, self._frames, self._card, self._result):
                plot.set_visibility(False)

    def show_renderer(self, name: str) -> None:
        self._renderer.set_text(f"Renderer of the page: {name}")

    def _halt(self) -> None:
        self._tab.do("job.pause")

    def _watch(self) -> None:
        self._tab.do("job.watch")

    def show(self, task: Task | None, report: Report) -> None:
        """``task``: the one at work."""
        self._card.set_visibility(task is not None)
        self._box.style(f"order:{-1 if task is not None else 0}")
        if task is not None:
            paused = task.state == "paused"
            self._head.set_text(report.head)
            self._bar.value = report.share
            self._left.set_text("Paused" if paused else report.left)
            self._detail.set_text(" · ".join(part for part in (report.detail, report.device) if part))
            self._message.set_text(task.message)
            self._message.set_visibility(bool(task.message))
            self._pause.props(f"icon={'play_arrow' if paused else 'pause'}")
            self._elsewhere.set_visibility(not task.watched and self._tab.shared.run != task.plan.target.path)
            self._gpus.set_text(" · ".join(gpu.words() for gpu in report.gpus))
            self._gpus.set_visibility(bool(report.gpus))
        self._result.set_text(report.last)
        self._result.set_visibility(bool(report.last))
        self._draw(self._loss, [Line("loss", report.loss, "#e69f00")], "Loss", 4)
        self._draw(self._climb, [Line("PSNR", report.climb, "#009e73")], "PSNR held out, dB", 2)
        if report.done != self._done:
            self._done = report.done
            found = _titles(report.done)
            self._metric.set_options(found, value=self._metric.value if self._metric.value in found else next(iter(found), None))
            self._frames.set_visibility(bool(found) and len(report.done) > 1)
            self._draw_frames()
        self._show_queue()

    def _draw(self, plot: ui.echart, lines: list[Line], name: str, digits: int) -> None:
        points = lines[0].points
        plot.set_visibility(len(points) > 1)
        new = chart(lines, "step", name, digits=digits, clickable=False)
        if len(points) > 1 and plot.options.get("series") != new["series"]:
            plot.options.clear()
            plot.options.update(new)
            plot.update()

    def _draw_frames(self) -> None:
        shown = [column for column in columns(self._done) if _group(column) == self._metric.value]
        if not shown:
            return
        lines = [
            Line(_stage(column), by_frame({done.frame: column.value(done) for done in self._done}), faint=_stage(column) != "refined")
            for column in reversed(shown)
        ]
        self._quality.options.clear()
        self._quality.options.update(chart(lines, "frame", str(self._metric.value), digits=shown[0].digits))
        self._quality.update()

    def _show_queue(self) -> None:
        work = self._tab.document.reconstruction
        tasks = work.tasks
        if tasks == self._shown_tasks:
            return
        self._shown_tasks = tasks
        self._queue.clear()
        with self._queue:
            if not tasks:
                return
            with ui.row().classes("ts-row w-full no-wrap"):
                ui.label("Jobs").classes("ts-title").style("flex:1")
                if any(not task.open for task in tasks):
                    button(
                        "Clear", "clear_all", "Takes the ended jobs from this list; their frames stay", lambda: self._tab.do("job.clear")
                    )
            if work.held:
                with ui.row().classes("ts-row w-full"):
                    box("A job failed, so those that wait were not started.", "warning").style("flex:1")
                    button("Start them", "play_arrow", "Starts what waits", lambda: self._tab.do("job.go_on"))
            for task in reversed(tasks):
                self._show_task(task)

    def _show_task(self, task: Task) -> None:
        icon, kind = ICONS[task.state]
        with ui.column().classes("w-full ts-task"):
            with ui.row().classes("ts-row w-full no-wrap"):
                ui.icon(icon).classes(f"ts-{kind}").props(f'aria-label="{task.state}"')
                ui.label(task.title()).classes("ts-ellipsis").style("flex:1")
                if task.state == "waiting":
                    button("", "close", "Takes this job from the queue", lambda: self._tab.do("job.cancel", number=task.number))
                else:
                    button("", "article", "Log of this job", lambda: self._tab.do("job.log", number=task.number))
            if task.message and task.state not in ("running", "paused"):
                box(task.message, "problem") if task.state == "failed" else note(task.message)


def _group(column: Column) -> str:
    """Columns that share an axis: one metric over one region."""
    return column.title.replace(", unmoved", "").replace(", moved", "")


def _stage(column: Column) -> str:
    return "do nothing" if column.score.startswith("unmoved_") else "moved" if column.score.startswith("moved_") else "refined"


def _titles(done: tuple[FrameDone, ...]) -> dict[str, str]:
    return {_group(column): _group(column) for column in columns(done)}
