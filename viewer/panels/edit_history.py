"""The history of a run as a list that can be walked."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from trackersplat.words import counted
from viewer import history
from viewer.commands.registry import COMMANDS
from viewer.panels.panel import Panel
from viewer.panels.parts import button, note, with_key

MOST_SHOWN = 200  # steps; older ones are reached by undo
OF = {"tracks": ("timeline", "An edit of tracks"), "scene": ("lens_blur", "An edit of the scene")}


class HistorySection(Panel):
    def build(self) -> None:
        with ui.element("div").classes("w-full ts-stack").style("gap:4px"):
            with ui.row().classes("ts-row w-full no-wrap"):
                self._words = note("").classes("col")
                self._undo = button("Undo", "undo", with_key(COMMANDS["act.undo"]), lambda: self.tab.do("act.undo"))
                self._redo = button("Redo", "redo", with_key(COMMANDS["act.redo"]), lambda: self.tab.do("act.redo"))
            self._list = ui.element("div").classes("w-full ts-history").props('role="listbox" aria-label="History"')

    def on_state(self, changed: frozenset[str]) -> None:
        if not changed & {"scene", "edits", "inspector", "run", "diagnosed"} or self.view.inspector != "edit":
            return
        steps = history.steps(self.tab.document)
        done = sum(step.done for step in steps)
        self._words.set_text(f"{done} of {counted(len(steps), 'edit')} in effect" if steps else "Nothing was edited yet.")
        self._undo.set_enabled(done > 0)
        self._redo.set_enabled(done < len(steps))
        self._list.clear()
        first = max(len(steps) - MOST_SHOWN, 0)
        newest = max((index for index, step in enumerate(steps) if step.done), default=-1)
        with self._list:
            for index in range(len(steps) - 1, first - 1, -1):
                self._row(steps[index], index, index == newest)
            if first:
                note(f"{first} older ones are not listed.").classes("ts-small")
            if steps:
                self._start(newest < 0)

    def _row(self, step: history.Step, index: int, now: bool) -> None:
        icon, what = OF[step.of]
        with self._entry(index + 1, now, step.done):
            ui.icon(icon).style("font-size:15px")
            ui.label(step.label).classes("ts-ellipsis col" + ("" if step.done else " ts-undone"))
            ui.label(step.time.astimezone().strftime("%H:%M")).classes("ts-muted ts-small")
            ui.tooltip(f"{step.label}\n{what}, {step.time.astimezone():%Y-%m-%d %H:%M:%S}; a click goes back or forward to here")

    def _start(self, now: bool) -> None:
        with self._entry(0, now, True):
            ui.icon("flag").style("font-size:15px")
            ui.label("The run as it was reconstructed").classes("ts-ellipsis col")
            ui.tooltip("A click takes back everything")

    def _entry(self, count: int, now: bool, done: bool) -> ui.element:
        made = ui.element("div").classes("ts-item" + (" ts-chosen" if now else "") + ("" if done else " ts-off"))
        made.props(f'role="option" tabindex="0" aria-selected="{str(now).lower()}"')
        go = partial(self.tab.do, "act.go_to", count=count)
        made.on("click", go)
        made.on("keydown.enter", go)
        return made
