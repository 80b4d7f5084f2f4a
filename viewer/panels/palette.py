"""What lies over the page: the palette of commands, the sheet of keys, the log of a job. All commands come from the registry."""

from __future__ import annotations

from nicegui import ui
from nicegui.events import GenericEventArguments, ValueChangeEventArguments

from viewer.commands.command import Command
from viewer.commands.registry import COMMANDS
from viewer.panels.panel import Panel
from viewer.panels.parts import button, keys, named
from viewer.views.palette import find, sheet

# Browsers have a meaning of their own for some keys; fields of text keep Ctrl+K for the palette, too.
OWN_KEYS = """
document.addEventListener('keydown', (e) => {
  if ((e.ctrlKey || e.metaKey) && !e.altKey && !e.shiftKey && e.key.toLowerCase() === 'k') e.preventDefault();
}, true);
"""
MOST = 60  # commands in the list at once
STEPS = {"ArrowDown": 1, "ArrowUp": -1, "PageDown": 8, "PageUp": -8}


class PalettePanel(Panel):
    """Built once per tab, shown as ``View.dialog`` says."""

    def build(self) -> None:
        self._found: list[Command] = []
        self._at = 0
        ui.add_body_html(f"<script>{OWN_KEYS}</script>")
        self._build_palette()
        self._build_keys()
        self._build_log()

    # -- palette ------------------------------------------------------------------------------------------------------

    def _build_palette(self) -> None:
        with (
            ui.dialog().props('position=top transition-duration=80 aria-label="Find a command"') as self._palette,
            ui.card().classes("ts-palette ts-stack"),
        ):
            self._input = ui.input(placeholder="Find a command", on_change=self._filter).props("dense outlined autofocus clearable")
            self._input.classes("w-full")
            named(self._input, "Find a command", "Letters of its name; arrows choose, Enter runs, Escape closes")
            self._input.on("keydown", self._press, ["key"], js_handler=_PRESSED)
            self._list = ui.element("div").classes("ts-list").props('role="listbox" aria-label="Commands"')
        self._palette.on_value_change(lambda event: self._closed(event, "palette"))

    def _filter(self) -> None:
        self._found, self._at = find(COMMANDS.values(), self._input.value or "")[:MOST], 0
        self._fill()

    def _fill(self) -> None:
        self._list.clear()
        with self._list:
            if not self._found:
                ui.label("No command has these letters.").classes("ts-muted ts-item")
            for place, command in enumerate(self._found):
                self._item(place, command)

    def _item(self, place: int, command: Command) -> None:
        why = command.enabled(self.tab)
        chosen = " ts-chosen" if place == self._at else ""
        row = ui.element("div").classes(f"ts-item{chosen}{' ts-off' if why else ''}")
        row.props(f'role="option" aria-selected="{_yes(place == self._at)}" aria-disabled="{_yes(why is not None)}" data-place={place}')
        row.on("click", lambda: self._run(command))
        with row:
            ui.label(command.group).classes("ts-muted ts-small ts-group")
            ui.label(command.title).classes("ts-ellipsis").style("flex:1 0 auto")
            if why:
                ui.label(why).classes("ts-muted ts-small ts-ellipsis")
            show_keys(command)

    def _press(self, event: GenericEventArguments) -> None:
        key = event.args["key"]
        if key == "Enter":
            if self._found:
                self._run(self._found[self._at])
            return
        self._at = min(max(self._at + STEPS.get(key, 0), 0), max(len(self._found) - 1, 0))
        for place, row in enumerate(self._list.default_slot.children):
            row.classes(add="ts-chosen" if place == self._at else "", remove="" if place == self._at else "ts-chosen")
            row.props(f'aria-selected="{_yes(place == self._at)}"')
        ui.run_javascript(f"getElement({self._list.id}).querySelector('[data-place=\"{self._at}\"]')?.scrollIntoView({{block: 'nearest'}})")

    def _run(self, command: Command) -> None:
        why = command.enabled(self.tab)
        if why is not None:
            ui.notify(f"{command.title}: {why}", position="top", close_button="Close", icon="info", classes="ts-notice")
            return
        self.tab.set(dialog="")
        self.tab.do(command.name)

    # -- keys ---------------------------------------------------------------------------------------------------------

    def _build_keys(self) -> None:
        with ui.dialog().props('transition-duration=80 aria-label="Keys"') as self._keys, ui.card().classes("ts-sheet ts-stack"):
            with ui.row().classes("ts-row w-full no-wrap"):
                ui.label("Keys").classes("ts-title").style("flex:1")
                button("", "close", "Closes the sheet (Esc)", lambda: self.tab.set(dialog=""))
            with ui.element("div").classes("ts-columns"):
                for group, commands in sheet(COMMANDS).items():
                    with ui.element("div").classes("ts-keygroup"):
                        ui.label(group).classes("ts-title")
                        for command in commands:
                            with ui.element("div").classes("ts-keyrow"):
                                ui.label(command.title).style("flex:1")
                                show_keys(command)
        self._keys.on_value_change(lambda event: self._closed(event, "keys"))

    # -- log ----------------------------------------------------------------------------------------------------------

    def _build_log(self) -> None:
        with ui.dialog().props('transition-duration=80 aria-label="Log"') as self._log, ui.card().classes("ts-log ts-stack"):
            with ui.row().classes("ts-row w-full no-wrap"):
                ui.label("Log").classes("ts-title").style("flex:1")
                button("Copy", "content_copy", "Copies the log", lambda: ui.clipboard.write(self._lines.text))
                button("", "close", "Closes the log (Esc)", lambda: self.tab.set(dialog=""))
            self._lines = ui.label("").classes("ts-lines").props('tabindex="0"')
        self._log.on_value_change(lambda event: self._closed(event, "log"))

    # -- following ----------------------------------------------------------------------------------------------------

    def on_state(self, changed: frozenset[str]) -> None:
        if "dialog" not in changed:
            return
        kind, _, number = self.view.dialog.partition(" ")
        if kind == "palette" and not self._palette.value:
            self._input.value = ""
            self._filter()
        if kind == "log" and number.isdigit():
            self._lines.set_text(self.tab.document.reconstruction.log(int(number)))
        for name, dialog in (("palette", self._palette), ("keys", self._keys), ("log", self._log)):
            dialog.value = kind == name

    def _closed(self, event: ValueChangeEventArguments, name: str) -> None:
        """By Escape or a click beside it."""
        if not event.value and self.view.dialog.partition(" ")[0] == name:
            self.tab.set(dialog="")


_PRESSED = (
    "(e) => { if (['ArrowDown', 'ArrowUp', 'PageDown', 'PageUp', 'Enter'].includes(e.key)) { e.preventDefault(); emit({key: e.key}); } }"
)


def _yes(on: bool) -> str:
    return "true" if on else "false"


def show_keys(command: Command) -> None:
    if command.hotkey:
        with ui.element("span").classes("ts-keys"):
            for key in keys(command.hotkey):
                ui.label(key).classes("ts-key")
