"""The strip on the left: tools that select Gaussians, and what is done most often with what is selected."""

from __future__ import annotations

from nicegui import ui

from viewer.commands.command import Command
from viewer.commands.registry import COMMANDS
from viewer.panels.panel import Panel
from viewer.panels.parts import keys, with_key

TOOL_ICONS = {
    "pointer": "near_me", "click": "ads_click", "rectangle": "highlight_alt", "lasso": "gesture", "brush": "brush",
}  # fmt: skip
KEYS_HINT = "Shift adds, Alt or Ctrl subtracts, both intersect. Esc: nothing is selected."
ACTIONS = (
    ("select.clear", "deselect"),
    ("gaussians.hide", "visibility_off"),
    ("gaussians.delete", "delete"),
    ("act.undo", "undo"),
    ("act.redo", "redo"),
)
FIELDS = frozenset({"tool", "through", "in_time", "brush", "selected", "edits", "document"})


class ToolStripPanel(Panel):
    def build(self) -> None:
        with ui.element("nav").props('aria-label="Tools" role="toolbar" aria-orientation="vertical"').classes("ts-tools"):
            self._tools = {name: self._button(COMMANDS[f"tool.{name}"], icon, KEYS_HINT) for name, icon in TOOL_ICONS.items()}
            ui.element("hr")
            self._through = self._button(COMMANDS["tool.through"], "layers")
            with self._through:
                self._through_hint = ui.tooltip("").props('anchor="center right" self="center left"')
            self._in_time = self._button(COMMANDS["tool.time"], "history")
            with self._in_time:
                self._in_time_hint = ui.tooltip("").props('anchor="center right" self="center left"')
            ui.element("hr")
            self._actions = [(COMMANDS[name], self._button(COMMANDS[name], icon)) for name, icon in ACTIONS]

    def _button(self, command: Command, icon: str, more: str = "") -> ui.button:
        made = ui.button(icon=icon, on_click=lambda: self.tab.do(command.name)).props("flat dense")
        made._props["aria-label"] = command.title
        if command.name not in ("tool.through", "tool.time"):
            with made:
                ui.tooltip(with_key(command) + (f"\n{more}" if more else "")).props('anchor="center right" self="center left"')
        return made

    def on_state(self, changed: frozenset[str]) -> None:
        if not changed & FIELDS:
            return
        view = self.view
        for name, made in self._tools.items():
            on = view.tool == ("" if name == "pointer" else name)
            made.props(f"color={'primary' if on else 'grey-4'} aria-pressed={'true' if on else 'false'}")
            made.classes(add="ts-on" if on else "", remove="" if on else "ts-on")
        self._through.props(f"icon={'layers' if view.through else 'layers_clear'} aria-pressed={'true' if view.through else 'false'}")
        self._through.props(f"color={'primary' if view.through else 'grey-4'}")
        for made, on in ((self._through, view.through), (self._in_time, view.in_time)):  # as a chosen tool: the actions below are blue, too
            made.classes(add="ts-on" if on else "", remove="" if on else "ts-on")
        now = "through everything" if view.through else "only what is seen"
        self._through_hint.set_text(f"Tools select {now}: click to change ({'+'.join(keys(COMMANDS['tool.through'].hotkey))})")
        self._in_time.props(f"color={'primary' if view.in_time else 'grey-4'} aria-pressed={'true' if view.in_time else 'false'}")
        now = "and what continues it in other frames under other ids" if view.in_time else "the Gaussians of this frame alone"
        self._in_time_hint.set_text(f"Tools select {now}: click to change ({'+'.join(keys(COMMANDS['tool.time'].hotkey))})")
        for command, made in self._actions:
            made.set_enabled(command.enabled(self.tab) is None)
