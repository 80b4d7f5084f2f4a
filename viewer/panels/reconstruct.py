"""The "Reconstruct" tab: starts a worker process and shows what it says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import viser

from trackersplat.events import Event, Failed, Finished, FrameDone, Preview, Stage, Started, StepDone
from viewer.jobs import RECONSTRUCTION, Job, Recipe, reconstruct_command
from viewer.panels.choice import Choice, offers
from viewer.panels.html import BAD, GOOD, MUTED, box, note, text
from viewer.panels.panel import Panel, PanelContext
from viewer.panels.plots import Plot
from viewer.panels.widgets import assign
from viewer.state import Draft, State

THIS, RANGE, ALL = "This frame", "Range", "All frames"

STAGES = {
    "compile": "compiling kernels (once per machine)",
    "points": "finding first points",
    "optimise": "optimising",
    "track": "tracking points",
    "move": "moving the Gaussians",
    "match": "matching renderings with the images",
    "refine": "refining",
    "measure": "measuring on held-out cameras",
    "write": "writing",
}


# What the PSNR of a finished frame is compared with: the frame it started from, as it was and moved by tracks.
BEFORE = (("unmoved", "unmoved_psnr"), ("moved", "moved_psnr"))


class ReconstructPanel(Panel):
    """One job at a time. Each finished frame is shown at once."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        gui, capture, store = context.gui, context.capture, context.store
        self._context = context
        self._job: Job[Event] | None = None
        self.progress = Progress()
        self._drafts = 0
        self._starting = threading.Lock()  # two tabs, or a double click

        self._renderer = gui.add_html(note("Renderer: starting …"))
        self._what = gui.add_dropdown("Frames", (THIS, RANGE, ALL), initial_value=THIS)
        last = max(capture.frame_count, 2)
        self._range = gui.add_multi_slider("From – to", 1, last, 1, (1, min(capture.frame_count, 6)), visible=False)
        self._backend = Choice(gui, "Back end", "What renders while the worker optimises")
        self._pipeline = Choice(gui, "Pipeline", "How frames follow from each other")
        self._start = gui.add_button("Reconstruct", icon=viser.Icon.PLAYER_PLAY, disabled=True)
        self._cancel = gui.add_button("Cancel", icon=viser.Icon.PLAYER_STOP, color="red", visible=False)
        self._bar = gui.add_progress_bar(0.0, visible=False)
        self._status = gui.add_html("")
        self._loss = Plot(gui, "step", ("loss",), ("#e0a458",))
        self._climb = Plot(gui, "step", ("PSNR held out, dB",), ("#5fb37a",))
        self._quality = Plot(gui, "frame", ("PSNR held out, dB",), ("#5fb37a",))
        self._what.on_update(lambda _: self._show_range())
        self._start.on_click(lambda _: self.start())
        self._cancel.on_click(lambda _: self.cancel())
        gui.add_command("Reconstruct this frame").on_trigger(lambda _: self.start((store.state.frame, store.state.frame)))
        store.subscribe(self._on_change)

    def _on_change(self, state: State, changed: frozenset[str]) -> None:
        if "renderer" in changed:
            self._renderer.content = note(f"Renderer: {state.renderer}")
        if "out" in changed and state.out is not None:
            self._offer_choices()
            self._status.content = note(f"Results go to {state.out}")
            self._start.disabled = False

    def _offer_choices(self) -> None:
        from trackersplat.pipelines.registry import PIPELINES
        from trackersplat.rendering.registry import BACKENDS

        self._backend.offer(*offers(BACKENDS, automatic=True), self._context.arguments.backend)
        self._pipeline.offer(*offers(PIPELINES), self._context.arguments.pipeline)

    @property
    def job(self) -> Job[Event] | None:
        return self._job

    @property
    def running(self) -> bool:
        return self._job is not None and self._job.running

    # -- actions ------------------------------------------------------------------------------------------------------

    def start(self, frames: tuple[int, int] | None = None) -> None:
        """Starts the worker on frames first to last (indices, both included), by default what the widgets say."""
        with self._starting:
            out = self._store.state.out
            if out is None or self.running:
                return
            recipe = Recipe(self._backend.name, self._pipeline.name)
            options = self._context.worker_options
            command = reconstruct_command(self._context.arguments.path, frames or self._chosen(), out, recipe, options)
            self.progress = Progress()
            for plot in (self._loss, self._climb, self._quality):
                plot.clear()
            self._show_running(True)
            assign(self._bar, 0.0)
            self._bar.animated = True
            self._status.content = note("Starting the worker process …")
            try:
                self._job = Job(command, self._handle, RECONSTRUCTION)
            except OSError as error:
                self._show_running(False)
                self._status.content = box(f"The reconstruction process could not be started: {error}.", BAD)

    def _show_running(self, running: bool) -> None:
        self._start.visible = not running
        self._cancel.disabled = False
        self._cancel.visible = self._bar.visible = running

    def cancel(self) -> None:
        if self._job is not None and self._job.running:
            self._cancel.disabled = True
            self._status.content = note("Cancelling …")
            self._job.cancel()

    def close(self) -> None:
        if self._job is not None and self._job.running:
            self._job.close()

    def _chosen(self) -> tuple[int, int]:
        last = self._capture.frame_count - 1
        if self._what.value == ALL:
            return 0, last
        if self._what.value == RANGE:
            low, high = self._range.value
            return min(int(low) - 1, last), min(int(high) - 1, last)
        return self._store.state.frame, self._store.state.frame

    def _show_range(self) -> None:
        self._range.visible = self._what.value == RANGE

    # -- events (on the job's thread) ---------------------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        self.progress.take(event)
        match event:
            case StepDone():
                self._loss.add(event.step, (event.loss,))
                if event.psnr is not None:
                    self._climb.add(event.step, (event.psnr,))
            case Preview():
                self._drafts += 1
                self._show_render(self._store.state)
                self._store.set(preview=Draft(event.frame, Path(event.path), self._drafts))
            case FrameDone():
                self._show_render(self._store.state)
                self._store.set(preview=None)
                self._show_frame(event.frame)
                if "psnr" in event.scores:
                    self._quality.add(event.frame + 1, (event.scores["psnr"],))
            case Finished() | Failed():
                self._finish(event)
                return
        self._store.set(working_on=self.progress.frame)
        assign(self._bar, round(100 * self.progress.share(), 1))
        self._status.content = self.progress.html()

    def _show_frame(self, frame: int) -> None:
        out = self._store.state.out
        if out is not None:
            self._context.frame_cache.forget(out, frame)
            self._context.runs.show(out)

    def _show_render(self, state: State) -> None:
        """The first thing ever reconstructed takes the place of the photograph that stood in for it."""
        if not state.reconstructed and state.compare == "photo":
            self._store.set(compare="render")

    def _finish(self, event: Finished | Failed) -> None:
        self._store.set(preview=None, working_on=None)
        self._show_running(False)
        if isinstance(event, Finished):
            self._status.content = self.progress.html(done=True)
        else:
            with self._starting:  # an end that comes at once must see its job
                cancelled = self._job is not None and self._job.outcome == "cancelled"
            colour = MUTED if cancelled else BAD
            where = f"Frame {event.frame + 1}: " if event.frame is not None else ""
            self._status.content = box(where + event.message, colour)
        out = self._store.state.out
        if out is not None and out.is_dir():
            self._context.runs.show(out)


class Progress:
    """What the events so far say: where the job is and how long it will take."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self.frames: tuple[int, ...] = ()
        self.done: list[FrameDone] = []
        self.frame: int | None = None
        self.stage = ""
        self.detail = ""
        self.last: StepDone | None = None
        self.device = ""

    def take(self, event: Event) -> None:
        match event:
            case Started():
                self.frames, self.device = event.frames, event.device
            case Stage():
                if event.frame != self.frame:
                    self.last = None
                self.frame, self.stage, self.detail = event.frame, event.name, event.detail
            case StepDone():
                self.frame, self.last = event.frame, event
            case FrameDone():
                self.done.append(event)
                self.frame, self.stage, self.last = None, "", None

    def share(self) -> float:
        """Done share of the plan, in [0, 1]."""
        total = max(len(self.frames), 1)
        within = self.last.step / max(self.last.steps, 1) if self.last is not None else 0.0
        return min((len(self.done) + 0.95 * min(within, 1.0)) / total, 1.0)

    def seconds_left(self) -> float | None:
        """From the frames done so far (the last three, since a first frame costs more), or the steps of the frame in work."""
        remaining = len(self.frames) - len(self.done)
        moved = [done.total_seconds for done in self.done if done.base is not None][-3:]
        if moved:
            return remaining * sum(moved) / len(moved)
        share, elapsed = self.share(), self._clock() - self._began
        return elapsed * (1 - share) / share if share > 0.05 else None

    def html(self, done: bool = False) -> str:
        parts: list[str] = []
        if done:
            seconds = self._clock() - self._began
            count = len(self.done)
            parts.append(f'<b style="color:{GOOD}">Done: {count} frame{"s" * (count != 1)} in {duration(seconds)}</b>')
            if not count:
                parts.append(f'<span style="color:{MUTED}">Every frame asked for was there already.</span>')
        else:
            left = self.seconds_left()
            eta = f" · about {duration(left)} left" if left is not None else ""
            number = f"Frame {self.frame + 1}" if self.frame is not None else "Preparing"
            stage = STAGES.get(self.stage, self.stage)
            parts.append(f"<b>{number}</b>{': ' if stage else ''}{text(stage)}")
            parts.append(f'<span style="color:{MUTED}">{len(self.done)} of {len(self.frames)} frames done{eta}</span>')
            if self.last is not None:
                step = f"step {self.last.step} / {self.last.steps}, loss {self.last.loss:.4f}, {self.last.gaussians:,} Gaussians"
                parts.append(f'<span style="color:{MUTED}">{step}</span>')
            elif self.detail:
                parts.append(f'<span style="color:{MUTED}">{text(self.detail)}</span>')
        if self.done and "psnr" in self.done[-1].scores:
            last = self.done[-1]
            line = f"Frame {last.frame + 1}: held-out PSNR {last.scores['psnr']:.2f} dB"
            before = [f"{stage} {last.scores[name]:.2f}" for stage, name in BEFORE if name in last.scores]
            line += f" ({', '.join(before)})" if before else ""
            parts.append(f'<span id="last-metric">{line}, {last.total_seconds:.1f} s</span>')
        return '<div id="job" style="font-size:13px;line-height:1.55;padding:4px 12px">' + "<br>".join(parts) + "</div>"


def duration(seconds: float) -> str:
    """12 s, 3 min 20 s, 2 h 05 min."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
