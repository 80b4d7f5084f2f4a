"""The part of a panel that starts work that makes files, says how far it is, and offers those that are finished."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nicegui import ui

from viewer.file_job import FileJob, Made
from viewer.panels.parts import box, button, named, note
from viewer.tab import Tab


@dataclass(frozen=True)
class FileWork:
    """``what`` names it for screen readers: "video"; ``verb`` and ``icon`` are those of the button; ``route`` leads to the files."""

    what: str
    verb: str
    icon: str
    hint: str
    cancel: str  # the command
    route: str


class FileCard:
    """Built in the container that is open."""

    def __init__(self, tab: Tab, work: FileWork, begin: Callable[[], None]) -> None:
        self._work = work
        self._listed: tuple[Made, ...] | None = None
        with ui.row().classes("ts-row w-full"):
            self._start = button(work.verb, work.icon, work.hint, begin, props="unelevated color=primary")
            self._start.props(remove="flat")
            self._why = note("").style("flex:1")
        with ui.column().classes("w-full ts-stack ts-card") as self._card:
            with ui.row().classes("ts-row w-full no-wrap"):
                self._text = ui.label("").classes("ts-ellipsis").style("flex:1").props('role="status"')
                button("", "stop", "Cancel: nothing is kept", lambda: tab.do(work.cancel), props="color=red-4")
            self._bar = ui.linear_progress(0.0, show_value=False, size="6px")
            self._bar.props(f"aria-label='Done share of the {work.what}' instant-feedback")
            self._left = note("", "text")
        self._end = box("", "note")
        self._made = ui.column().classes("w-full ts-stack")

    def show(self, job: FileJob, why: str) -> None:
        """``why`` the work cannot be started now, in a sentence; "" if it can."""
        state, made = job.state, job.made
        self._why.set_text(why)
        self._start.set_enabled(not state.running and not why)
        self._card.set_visibility(state.running)
        self._text.set_text(state.text)
        self._bar.set_value(state.share)
        self._left.set_text(state.left)
        self._left.set_visibility(bool(state.left))
        self._end.set_text(state.text)
        self._end.set_visibility(bool(state.text) and not state.running)
        self._end.classes(add="ts-problem" if state.failed else "ts-note", remove="ts-note" if state.failed else "ts-problem")
        if made == self._listed:
            return
        self._listed = made
        self._made.clear()
        with self._made:
            for one in made:
                self._offer(one)

    def _offer(self, one: Made) -> None:
        with ui.column().classes("w-full ts-card").style("gap:2px"):
            if one.file.is_file():
                link = ui.link(one.title(), f"{self._work.route}/{one.number}").props("download").classes("ts-ellipsis ts-accent")
                named(link, f"Download {one.file.name}", f"Download; it is {one.file}")
            else:
                ui.label(one.title())
            if one.said:
                note(one.said)
            note(str(one.file)).classes("ts-small")
