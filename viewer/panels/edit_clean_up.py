"""Clean-up: what is proposed, and why; a person decides."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from viewer.commands.registry import COMMANDS
from viewer.panels.panel import Panel
from viewer.panels.parts import button, named, note


class CleanUpSection(Panel):
    def build(self) -> None:
        with ui.element("div").classes("w-full ts-stack").style("gap:4px"):
            with ui.row().classes("ts-row w-full no-wrap"):
                self._words = note("Few views, high error, large, flickering, close to a camera: two reasons make a proposal.").classes(
                    "col"
                )
                hint = "Renders all cameras of this frame and selects what is likely wrong; nothing is changed"
                self._find = button("Find floaters", "auto_fix_high", hint, partial(self.tab.do, "clean_up.propose"))
            self._list = ui.element("div").classes("w-full").props('role="list" aria-label="Reasons"')

    def on_state(self, changed: frozenset[str]) -> None:
        if not changed & {"proposal", "judging", "inspector", "run", "ready"} or self.view.inspector != "edit":
            return
        view = self.view
        self._find.set_enabled(not view.judging and COMMANDS["clean_up.propose"].enabled(self.tab) is None)
        self._list.clear()
        if view.judging:
            self._words.set_text("Rendering all cameras …")
            return
        proposal = view.proposal
        if proposal is None:
            return
        count = len(proposal.selection)
        self._words.set_text(
            f"{count:,} are likely wrong and were selected: look at them, then delete or hide them."
            if count
            else "Nothing in this frame has two reasons to be wrong."
        )
        with self._list:
            if count:
                self._row("All of them", count, "")
            for reason, selection in proposal.reasons.items():
                self._row(reason, len(selection), reason)
            for remark in proposal.remarks:
                note(remark, "warn").classes("ts-small")

    def _row(self, title: str, count: int, reason: str) -> None:
        row = ui.element("div").classes("ts-item").props('role="button" tabindex="0"')
        row.on("click", partial(self.tab.do, "clean_up.show", reason=reason))
        row.on("keydown.enter", partial(self.tab.do, "clean_up.show", reason=reason))
        with row:
            ui.label(title).classes("ts-ellipsis col")
            ui.label(f"{count:,}").classes("ts-muted")
        named(row, f"Select: {title}", "Selects these; nothing is changed")
