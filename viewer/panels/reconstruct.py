"""The panel "Reconstruct": says what a reconstruction would do, starts it, and shows what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from trackersplat.commands.options import MAX_MATCH_ROUNDS, MAX_SEED
from trackersplat.errors import InputError
from trackersplat.words import counted
from viewer.jobs import Options
from viewer.panels.job_card import JobCard
from viewer.panels.panel import Panel
from viewer.panels.parts import box, button, named, note, number, offers, select, tracker_offers
from viewer.plan import PRESETS, Plan, Target

THIS, RANGE, ALL = "this", "range", "all"
SCOPES = {THIS: "This frame", RANGE: "In – out", ALL: "All frames"}
CUSTOM = "custom"
TRACKING = {"fast": "Fast: every view alone", "accurate": "Accurate: tracks agree between views"}
TICK = 0.5  # seconds between updates of the panel while it is open
MOST_STEPS, MOST_BATCH = 100_000, 1000  # that the fields take
PLAN_FIELDS = frozenset({"frame", "stale", "first", "last", "run", "runs", "out", "reconstructed", "inspector", "playing"})


class ReconstructPanel(Panel):
    """What is chosen here belongs to the tab; the jobs to all tabs."""

    def build(self) -> None:
        self._options = Options(self.tab.document.arguments.backend, self.tab.document.arguments.pipeline)
        self._into: Path | None = None  # the run that was chosen; None: the one that suggests itself
        self._plan: Plan | None = None
        self._targets: dict[str, str] = {}
        self._plan_is_old = self._job_is_old = True
        self._drawn: tuple[Any, ...] = ()
        self._setting = False  # the fields follow a preset
        with ui.element("div").classes("ts-panel ts-stack"):
            with ui.element("div").classes("ts-stack"):
                self._build_choice()
            self._job = JobCard(self.tab)
        self._timer = ui.timer(TICK, self._tick)

    # -- what to do ---------------------------------------------------------------------------------------------------

    def _build_choice(self) -> None:
        count = self.shared.frame_count
        self._scope = (
            ui.toggle(SCOPES, value=THIS, on_change=self._replan).props("dense no-caps unelevated spread").classes("w-full ts-toggle")
        )
        named(self._scope, "Frames to reconstruct", "Which frames to reconstruct")
        with ui.row().classes("ts-row w-full no-wrap") as self._ends:
            self._first = number(
                "In point", "First frame of the range; the key I sets it to the frame shown", 1, count, "1", self._set_ends
            )
            self._last = number(
                "Out point", "Last frame of the range; the key O sets it to the frame shown", 1, count, str(count), self._set_ends
            )
        self._ends.bind_visibility_from(self._scope, "value", backward=lambda value: value == RANGE)
        self._target = select("Run", "The folder that the frames go into: a run to continue, or a new one", {}, None, self._choose_target)
        presets = {preset.name: preset.title for preset in PRESETS} | {CUSTOM: "Own"}
        self._preset = (
            ui.toggle(presets, value="standard", on_change=self._choose_preset)
            .props("dense no-caps unelevated spread")
            .classes("w-full ts-toggle")
        )
        named(self._preset, "Quality preset", "\n".join(f"{preset.title}: {preset.hint}" for preset in PRESETS))
        self._hint = note("")
        self._why_new = note("").classes("ts-small")
        with ui.expansion("Options").props("dense dense-toggle").classes("w-full ts-expansion") as self._more:
            self._build_options()
        self._what = ui.column().classes("w-full ts-stack").props('aria-live="polite"')
        with ui.row().classes("ts-row w-full"):
            self._start = button(
                "Reconstruct", "play_arrow", "Starts what is described above", self.start, props="unelevated color=primary"
            )
            self._start.props(remove="flat")
            self._instead = button("", "first_page", "Reconstructs the frames in between, too", self._start_better, props="outline")
            self._instead.props(remove="flat")

    def _build_options(self) -> None:
        from trackersplat.pipelines.registry import PIPELINES
        from trackersplat.rendering.registry import BACKENDS

        self._missing: list[str] = []
        self._choices: dict[str, ui.select] = {}
        self._numbers: dict[str, ui.number] = {}
        with ui.element("div").classes("ts-options"):
            for label, name, hint, (names, missing) in (
                ("Pipeline", "pipeline", "How frames follow from each other", offers(PIPELINES)),
                ("Tracker", "tracker", "What follows points from the base frame to the others", tracker_offers()),
                (
                    "Tracking",
                    "tracking",
                    "Whether the tracks of all views are joined by the places of the points",
                    (TRACKING, []),
                ),
                ("Back end", "backend", "What renders while the worker optimises", offers(BACKENDS, "Automatic: the best one here")),
            ):
                self._missing += missing
                chosen = getattr(self._options, name)
                value = chosen if chosen in names else next(iter(names), None)
                made = select(label, hint, names, value, self._setter(name))
                made.classes("ts-wide")
                self._choices[name] = made
            self._numbers = {
                name: number(label, hint, least, most, placeholder, self._setter(name))
                for name, label, hint, least, most, placeholder in (
                    ("steps", "Steps", "Optimisation steps of a moved frame: 100 on a CPU, 80 on a GPU", 1, MOST_STEPS, "auto"),
                    ("first_steps", "First steps", "Optimisation steps of a frame that is fitted from scratch", 1, MOST_STEPS, "1000"),
                    ("batch", "Batch", "Frames that share one base frame", 1, MOST_BATCH, "1"),
                    (
                        "match_rounds",
                        "Match rounds",
                        "Rounds of render-and-match where tracks are unreliable; 0 is faster",
                        0,
                        MAX_MATCH_ROUNDS,
                        "1",
                    ),
                    ("seed", "Seed", "Of all random choices", 0, MAX_SEED, "0"),
                )
            }
        for sentence in self._missing:
            note(sentence).classes("ts-small")

    def _setter(self, name: str) -> Callable[[ValueChangeEventArguments], None]:
        return lambda event: self._set_option(name, event.value)

    def _set_option(self, name: str, value: Any) -> None:
        """An empty field leaves the choice to the worker."""
        whole = name in self._numbers
        chosen: Any = None if value in (None, "") else int(value) if whole else value
        self._options = replace(self._options, **{name: chosen})
        if whole and not self._setting and self._preset.value != self._preset_of(self._options):
            self._preset.value = self._preset_of(self._options)
        self._plan_is_old = True

    def _preset_of(self, options: Options) -> str:
        """The preset that has these numbers of steps and rounds."""
        numbers = (options.steps, options.first_steps, options.match_rounds)
        for preset in PRESETS:
            of = preset.options
            if numbers == (of.steps, of.first_steps, of.match_rounds):
                return preset.name
        return CUSTOM

    def _choose_preset(self) -> None:
        preset = next((preset for preset in PRESETS if preset.name == self._preset.value), None)
        if preset is None:
            self._more.open()
        elif self._preset_of(self._options) != preset.name:
            self._setting = True
            for name in ("steps", "first_steps", "match_rounds"):
                self._numbers[name].value = getattr(preset.options, name)
            self._setting = False
        self._plan_is_old = True

    def _choose_target(self) -> None:
        self._into = None if self._target.value is None else Path(self._target.value)
        self._plan_is_old = True

    def _set_ends(self) -> None:
        """The numbers typed here are the in and out points of the timeline."""
        first, last = (None if field.value is None else int(field.value) - 1 for field in (self._first, self._last))
        if (first, last) != (self.view.first, self.view.last):
            self.tab.set(first=first, last=last)

    def _asked(self) -> tuple[int, int]:
        last = self.shared.frame_count - 1
        if self._scope.value == ALL:
            return 0, last
        if self._scope.value == RANGE:
            return self.view.first or 0, last if self.view.last is None else self.view.last
        return self.view.frame, self.view.frame

    def _replan(self) -> None:
        """Says anew what would be done."""
        self._plan_is_old = False
        work = self.tab.document.reconstruction
        if self.shared.out is None:
            self._start.disable()
            return
        targets = work.targets()
        self._offer(targets, work.target(self._into))
        target = work.target(self._into)
        self._plan = work.plan(self._asked(), target, self._options)
        self._show_plan(self._plan)

    def _offer(self, targets: tuple[Target, ...], chosen: Target) -> None:
        names = {str(target.path): target.title() for target in targets}
        if names != self._targets or self._target.value != str(chosen.path):
            self._targets = names
            into, self._target.value = self._into, None
            self._target.set_options(names, value=str(chosen.path))
            self._into = into
        fixed = not chosen.is_new
        self._preset.set_visibility(not fixed)
        fields: list[ui.number | ui.select] = [
            *self._numbers.values(),
            *(self._choices[name] for name in ("pipeline", "tracker", "tracking")),
        ]
        for field in fields:
            field.set_enabled(not fixed)
        preset = next((preset for preset in PRESETS if preset.name == self._preset.value), None)
        why = self.tab.document.reconstruction.why_new() if chosen.is_new else None
        self._why_new.set_text(f"{why} So the frames go into a new run." if why else "")
        self._why_new.set_visibility(bool(why))
        self._hint.set_text(_continued(chosen.options) if chosen.options is not None else preset.hint if preset is not None else "")

    def _show_plan(self, plan: Plan) -> None:
        busy = self.tab.document.reconstruction.current is not None
        self._start.set_text("Add to the queue" if busy else "Reconstruct again" if plan.redo else "Reconstruct")
        self._start.set_enabled(not plan.refused)
        drawn = (plan.sentences, plan.warning, plan.refused, plan.better, busy)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self._what.clear()
        with self._what:
            if plan.refused:
                box(plan.refused, "note")
            if plan.warning:
                box(plan.warning, "warning")
            if plan.sentences:
                note(" ".join(plan.sentences), "text")
        self._instead.set_visibility(plan.better is not None)
        if plan.better is not None:
            first, last = plan.better
            self._instead.set_text(f"Frames {first + 1} to {last + 1} instead")

    def start(self) -> None:
        """What is described: the warning, if there is one, has been read."""
        if self._plan is not None:
            self._begin(*self._plan.asked)

    def _start_better(self) -> None:
        if self._plan is not None and self._plan.better is not None:
            self._begin(*self._plan.better)

    def _begin(self, first: int, last: int) -> None:
        self.tab.do("job.run", first=first, last=last, sure=True, into=self._plan and self._plan.target.path, options=self._options)
        self._plan_is_old = self._job_is_old = True
        self._tick()

    def on_state(self, changed: frozenset[str]) -> None:
        if changed & PLAN_FIELDS:
            self._plan_is_old = True
        if changed & {"job", "run", "inspector"}:
            self._job_is_old = self._plan_is_old = True
        if changed & {"first", "last"}:
            self._first.value = None if self.view.first is None else self.view.first + 1
            self._last.value = None if self.view.last is None else self.view.last + 1
            if (self.view.first, self.view.last) != (None, None) and self._scope.value == THIS:
                self._scope.value = RANGE
        if changed & {"renderer", "activity"}:
            self._job.show_renderer(self.shared.renderer or "starting …")

    def _tick(self) -> None:
        if self.view.inspector != "reconstruct":
            return
        try:
            if self._plan_is_old and not (self.view.playing and self._plan is not None):
                self._replan()
        except InputError as error:
            self._show_plan(Plan((0, 0), Target(Path()), self._options, refused=str(error)))
        current = self.tab.document.reconstruction.current
        if self._job_is_old or current is not None:
            self._job_is_old = False
            self._job.show(current, self.tab.document.reconstruction.report())

    def close(self) -> None:
        self._timer.cancel()


def _continued(options: Options) -> str:
    """The settings of a run that is continued."""
    named: tuple[tuple[str | None, str], ...] = (
        (options.pipeline, "{}"),
        (options.tracker, "tracker {}"),
        (options.tracking, "{} tracking"),
        (_count(options.steps, "step"), "{}"),
        (_count(options.first_steps, "step"), "first frame {}"),
        (None if options.batch is None else str(options.batch), "batch {}"),
        (_count(options.match_rounds, "match round"), "{}"),
        (None if options.seed is None else str(options.seed), "seed {}"),
    )
    parts = [text.format(value) for value, text in named if value is not None]
    return f"Continued as it was begun ({', '.join(parts) or 'without options'}). For other options choose a new run."


def _count(number: int | None, noun: str) -> str | None:
    return None if number is None else counted(number, noun)
