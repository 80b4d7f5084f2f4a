"""The bar at the top: what is open, which run is shown, what the program does, what is wrong."""

from __future__ import annotations

from nicegui import ui

from trackersplat.words import counted
from viewer.commands.registry import COMMANDS
from viewer.panels.panel import Panel
from viewer.panels.parts import button, named, note, with_key

FIELDS = frozenset(
    {
        "activity",
        "problems",
        "renderer",
        "run",
        "runs",
        "reconstructed",
        "frame",
        "working_on",
        "draft",
        "stale",
        "failed",
        "linked",
        "job",
        "dialog",
        "selected",
    }
)


class HeaderPanel(Panel):
    def build(self) -> None:
        ui.label("TrackerSplat").classes("ts-title ts-brand")
        named(ui.label(self.tab.document.capture.name).classes("ts-ellipsis"), "Capture", "The capture that is open")
        with ui.button("", icon="expand_more").props("flat dense no-caps").classes("ts-run") as self._run:
            self._run_hint = ui.tooltip("")
            with ui.menu().props("auto-close") as self._menu:
                self._runs = ui.column().classes("ts-runs")
        self._run._props["aria-label"] = "Choose the run to show"
        self._menu.on("before-show", self._list_runs)
        self._state = ui.label("").classes("ts-ellipsis").props('role="status" aria-live="polite"')
        self._selected = button(
            "", "select_all", "What is selected; opens the panel Edit", lambda: self.tab.do("panel.edit"), props="color=amber-3"
        )
        ui.space()
        self._job = button("", "hourglass_top", "The reconstruction at work; opens its panel", lambda: self.tab.do("panel.reconstruct"))
        self._activity = ui.label("").classes("ts-ellipsis ts-muted")
        self._problems = button("", "warning", "What went wrong, in sentences", lambda: self.tab.do("help.problems"), props="color=red-4")
        self._link = button("", "link", with_key(COMMANDS["time.link"]), lambda: self.tab.do("time.link"))
        button("", "search", with_key(COMMANDS["help.palette"]), lambda: self.tab.do("help.palette"))
        button("", "keyboard", with_key(COMMANDS["help.keys"]), lambda: self.tab.do("help.keys"))
        for made in (self._selected, self._job, self._problems):  # until it is known that there is something
            made.set_visibility(False)
        with ui.dialog() as self._dialog, ui.card().classes("ts-log ts-stack"):
            with ui.row().classes("ts-row w-full no-wrap"):
                ui.label("Problems").classes("ts-title").style("flex:1")
                button("", "close", "Closes the list (Esc)", lambda: self.tab.set(dialog=""))
            self._list = ui.column().classes("w-full ts-stack")
        self._dialog.on_value_change(lambda event: self._closed(bool(event.value)))

    def _closed(self, is_open: bool) -> None:
        if not is_open and self.view.dialog == "problems":
            self.tab.set(dialog="")

    def _list_runs(self) -> None:
        """Read when the menu opens, so that what it says is true."""
        self._runs.clear()
        with self._runs:
            for path in self.shared.runs:
                facts = self.tab.document.runs.facts(path)
                shown = path == self.shared.run
                with ui.item(on_click=lambda path=path: self.tab.do("run.show", path=path)).classes("ts-runitem"):
                    ui.icon("check" if shown else "").style("width:18px")
                    with ui.column().style("gap:0"):
                        ui.label(facts.title()).classes("ts-title" if shown else "")
                        note(str(path)).classes("ts-small")
                        if facts.remark:
                            note(facts.remark, "warn").classes("ts-small")
            if not self.shared.runs:
                note("Nothing is reconstructed yet.").classes("q-pa-sm")

    def on_rest(self, changed: frozenset[str]) -> None:
        if not changed & FIELDS:
            return
        shared = self.shared
        text, kind = frame_words(self)
        self._state.set_text(text)
        self._state.classes(replace=f"ts-ellipsis ts-{kind}")
        self._run.set_text("no run" if shared.run is None else shared.run.name)
        self._run_hint.set_text(
            "Choose the run to show" if shared.run is None else f"The run on the screen, {shared.run}: choose another one"
        )
        self._activity.set_text(shared.activity or shared.renderer)
        linked = self.view.linked
        self._link.props(f"icon={'link' if linked else 'link_off'} color={'blue-3' if linked else 'grey-5'}")
        self._link.props(f'aria-pressed="{str(linked).lower()}"')
        self._show_job()
        selected = self.view.selected
        self._selected.set_visibility(selected is not None)
        self._selected.set_text("" if selected is None else f"{len(selected):,} selected")
        count = len(shared.problems)
        self._problems.set_visibility(count > 0)
        self._problems.set_text(counted(count, "problem"))
        if "problems" in changed:
            self._list.clear()
            with self._list:
                for _, sentence in shared.problems:
                    ui.label(sentence).classes("ts-problem w-full")
                if not shared.problems:
                    note("Nothing is wrong any more.")
        if "dialog" in changed:
            self._dialog.value = self.view.dialog == "problems"

    def _show_job(self) -> None:
        work = self.tab.document.reconstruction
        task = work.current
        self._job.set_visibility(task is not None)
        if task is not None:
            report = work.report()
            left = report.left.rpartition("· ")[2].partition(";")[0] or "starting …"
            self._job.set_text("paused" if task.state == "paused" else f"{100 * report.share:.0f} % · {left}")
            self._job.props(f"icon={'pause' if task.state == 'paused' else 'hourglass_top'}")


def frame_words(panel: Panel) -> tuple[str, str]:
    """What is known of the current frame, in words, and the class of their colour."""
    shared, frame = panel.shared, panel.view.frame
    head = f"Frame {frame + 1} of {shared.frame_count}: "
    if shared.draft is not None and shared.draft.frame == frame:
        return head + "being optimised", "warn"
    state = shared.frame_state(frame)
    if state == "running":
        return head + "being reconstructed", "warn"
    if state == "stale":
        return head + "out of date: an edit came after it", "warn"
    if state == "done" and not panel.tab.document.capture.filmed:
        return head + "imported; the cameras are made up, there are no photographs", "good"
    if state == "done":
        return head + "reconstructed", "good"
    source = shared.source_of(frame)
    lead = head + ("failed; " if state == "failed" else "not reconstructed; ")
    return (lead + "photographs only", "muted") if source is None else (lead + f"showing frame {source + 1}, dimmed", "warn")
