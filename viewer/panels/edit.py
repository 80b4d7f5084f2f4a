"""The panel "Edit": what is selected, what can be done with it and in which frames, groups, the clip, and the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import background_tasks, run, ui

from trackersplat.words import counted
from viewer.commands.registry import COMMANDS
from viewer.panels.edit_clean_up import CleanUpSection
from viewer.panels.edit_clip import ClipSection
from viewer.panels.edit_groups import ChangeSection, GroupsSection
from viewer.panels.edit_history import HistorySection
from viewer.panels.edit_select import SelectSection
from viewer.panels.panel import Panel
from viewer.panels.parts import button, note, with_key

if TYPE_CHECKING:
    from trackersplat.document.selection import Selection
    from viewer.state import View

SECTIONS: tuple[tuple[str, str, type[Panel], bool], ...] = (  # title, what it is for, class, open at first
    ("Select by", "The range of an attribute, tracks, a box or a sphere; crop", SelectSection, False),
    ("Groups", "Gaussians with a name", GroupsSection, False),
    ("Look and place", "Colour, opacity, freeze, move, rotate and scale", ChangeSection, False),
    ("Clean up", "What is likely wrong is proposed and shown", CleanUpSection, False),
    ("Clip", "Which frames are played, and how fast", ClipSection, False),
    ("History", "All that was done; a click goes there", HistorySection, True),
)
SETS = (
    ("select.all", "select_all"), ("select.clear", "deselect"), ("select.invert", "invert_colors"), ("select.grow", "open_in_full"),
    ("select.shrink", "close_fullscreen"), ("select.connected", "hub"), ("select.moving", "directions_run"),
)  # fmt: skip
ACTIONS = (
    ("gaussians.hide", "Hide", "visibility_off"), ("gaussians.delete", "Delete", "delete"),
    ("gaussians.show_all", "Show all", "visibility"), ("gaussians.restore", "Restore", "restore_from_trash"),
)  # fmt: skip
FIELDS = frozenset({"selected", "frame", "scene", "scope", "first", "last", "inspector", "run", "reconstructed", "ready", "carrying"})


class EditPanel(Panel):
    def build(self) -> None:
        self._asked = 0
        with ui.element("div").classes("ts-panel ts-stack"):
            self._title = ui.label("").classes("ts-title").props('role="status" aria-live="polite"')
            self._facts = note("")
            with ui.row().classes("ts-row no-wrap").style("gap:2px"):
                self._sets = [self._icon(name, icon) for name, icon in SETS]
            with ui.element("div").classes("w-full"):
                ui.label("Edits act in").classes("ts-muted ts-small")
                self._scope = (
                    ui.toggle({}, on_change=lambda event: self._choose_scope(event.value))
                    .props('dense no-caps unelevated spread aria-label="Frames in which edits act"')
                    .classes("ts-toggle w-full")
                )
                with self._scope:
                    ui.tooltip("Hiding, deleting and what else is done below acts in these frames")
            with ui.element("div").classes("ts-quad"):
                self._actions = [self._action(name, label, icon) for name, label, icon in ACTIONS]
            self._sections = [self._section(*facts) for facts in SECTIONS]

    def _icon(self, name: str, icon: str) -> tuple[str, ui.button]:
        return name, button("", icon, with_key(COMMANDS[name]), lambda: self.tab.do(name), props="size=sm")

    def _action(self, name: str, label: str, icon: str) -> tuple[str, ui.button]:
        command = COMMANDS[name]
        made = button(label, icon, f"{with_key(command)}, in the frames chosen above; can be undone", lambda: self.tab.do(name))
        return name, made.props("outline no-wrap")

    def _section(self, title: str, hint: str, kind: type[Panel], opened: bool) -> Panel:
        section = kind(self.tab)
        with ui.expansion(value=opened).props("dense dense-toggle").classes("w-full ts-expansion ts-sectioned") as made:
            section.build()
        made._props["aria-label"] = title
        with made.add_slot("header"), ui.label(title).classes("col self-center"):
            ui.tooltip(hint)
        return section

    def on_state(self, changed: frozenset[str]) -> None:
        for section in self._sections:
            section.on_state(changed)
        if not changed & FIELDS or self.view.inspector != "edit":
            return
        view = self.view
        count = 0 if view.selected is None else len(view.selected)
        self._title.set_text(f"{counted(count, 'Gaussian')} selected" if count else "Nothing is selected")
        if not count:
            self._facts.set_text("Choose a tool on the left and draw in a camera pane or on the stage, or select by one of the ways below.")
        self._follow_scope()
        for name, made in (*self._sets, *self._actions):
            made.set_enabled(COMMANDS[name].enabled(self.tab) is None)
        if not view.playing and changed & {"selected", "scene", "frame", "inspector", "carrying"}:
            self._asked += 1
            if view.selected is not None:
                background_tasks.create(self._ask(self._asked, view.selected, view.frame), name="about a selection")

    def _follow_scope(self) -> None:
        view = self.view
        first, last = (view.first or 0) + 1, self.shared.frame_count if view.last is None else view.last + 1
        ranged = f"{first}–{last}" if view.first is not None or view.last is not None else "In to out"
        options = {"all": "All frames", "range": ranged, "onwards": f"From {view.frame + 1} on", "frame": f"Only {view.frame + 1}"}
        if self._scope.options != options:
            self._scope.set_options(options, value=view.scope)
        elif self._scope.value != view.scope:
            self._scope.set_value(view.scope)

    def _choose_scope(self, value: object) -> None:
        if value is not None and value != self.view.scope:
            self.tab.do("edit.scope", scope=value)

    async def _ask(self, number: int, selected: Selection, frame: int) -> None:
        text = await run.io_bound(selection_words, self, selected, frame)
        if number == self._asked:
            self._facts.set_text(f"{text or ''} {carried_words(self.view)}".strip())

    def close(self) -> None:
        self._asked += 1
        for section in self._sections:
            section.close()


def carried_words(view: View) -> str:
    """Whether the selection was carried to other frames, or is being carried."""
    if view.carrying:
        return "What continues it in other frames is being looked for; Esc stops that."
    return f"{view.carried:,} of them were added: they continue it in other frames." if view.carried else ""


def selection_words(panel: Panel, selected: Selection, frame: int) -> str:
    """How much of the frame is selected, and of which groups; "" if that cannot be said now. Not for the event loop."""
    from trackersplat.errors import InputError

    document = panel.tab.document
    try:
        shown = document.scene(frame)
        current = document.editing.current()
    except (InputError, KeyError):
        return ""
    if shown is None or shown.ids is None or current is None:
        return ""
    here = len(selected.rows(shown.ids))
    share = 100 * here / max(len(shown.ids), 1)
    text = f"{share:.3g} % of the {len(shown.ids):,} in frame {frame + 1}" if here else f"None of them is shown in frame {frame + 1}"
    if here and here != len(selected):
        text += f"; {len(selected) - here:,} are not shown in it"
    parts = [(len(selected.intersect(group.selection)), name) for name, group in current.groups.items()]
    of = [f"{count:,} of {name}" for count, name in sorted(parts, reverse=True) if count]
    return f"{text}. " + (f"In groups: {', '.join(of[:4])}{' and more' if len(of) > 4 else ''}." if of else "In no group.")
