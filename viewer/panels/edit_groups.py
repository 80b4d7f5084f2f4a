"""Groups: Gaussians with a name, and what is done to them; and how what is selected, or a group, looks and where it is."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from viewer.panels.panel import Panel
from viewer.panels.parts import button, named, note, select

SELECTED = ""  # the target that is no group


class GroupsSection(Panel):
    def build(self) -> None:
        with ui.element("div").classes("w-full ts-stack").style("gap:4px"):
            with ui.row().classes("ts-row w-full no-wrap"):
                self._name = ui.input(placeholder="Name, such as person").props("dense outlined maxlength=80").classes("col")
                named(self._name, "Name of a new group", "Such as person, table, background")
                self._name.on("keydown.enter", self._create)
                self._make = button("Group", "add", "Gives what is selected this name", self._create)
            self._list = ui.element("div").classes("w-full").props('role="list" aria-label="Groups"')
            self._empty = note("No group yet: select something and give it a name.")

    def on_state(self, changed: frozenset[str]) -> None:
        if not changed & {"scene", "inspector", "run", "selected"} or self.view.inspector != "edit":
            return
        self._make.set_enabled(self.view.selected is not None)
        if changed == {"selected"}:
            return
        document = self.tab.document.editing.current()
        groups = {} if document is None else dict(document.groups)
        self._empty.set_visibility(not groups)
        self._list.clear()
        with self._list:
            for name, group in groups.items():
                self._row(name, len(group.selection))

    def _row(self, name: str, count: int) -> None:
        do = self.tab.do

        def icon(image: str, hint: str, command: str) -> None:
            button("", image, hint, partial(do, command, group=name), props="size=sm")

        with ui.element("div").classes("ts-row no-wrap w-full").style("gap:0").props('role="listitem"'):
            pick = ui.element("div").classes("ts-item col").props('role="button" tabindex="0"')
            pick.on("click", partial(do, "group.select", group=name))
            pick.on("keydown.enter", partial(do, "group.select", group=name))
            with pick:
                ui.label(name).classes("ts-ellipsis col")
                ui.label(f"{count:,}").classes("ts-muted")
            named(pick, f"Select the group {name}", f"Selects the {count:,} Gaussians of {name}")
            icon("visibility_off", f"Hides {name} in the frames chosen above", "gaussians.hide")
            icon("visibility", f"Shows {name} again in all frames", "group.show")
            icon("ac_unit", f"Freezes {name} as it is in this frame", "gaussians.freeze")
            icon("delete", f"Deletes {name} in the frames chosen above", "gaussians.delete")
            with button("", "more_vert", f"More about {name}", lambda: None, props="size=sm"), ui.menu():
                ui.menu_item("Rename to the name above", on_click=lambda: do("group.rename", group=name, to=self._name.value or ""))
                ui.menu_item("Dissolve: the Gaussians stay", on_click=partial(do, "group.dissolve", group=name))

    def _create(self) -> None:
        self.tab.do("group.create", group=(self._name.value or "").strip())
        self._name.set_value("")


class ChangeSection(Panel):
    """Colour, opacity, freeze, move, rotate and scale."""

    def build(self) -> None:
        with ui.element("div").classes("w-full ts-stack").style("gap:8px"):
            self._target = select(
                "Of", "What is changed, in the frames chosen above", {SELECTED: "What is selected"}, SELECTED, self._show_handle
            )
            with ui.row().classes("ts-row w-full no-wrap"):
                self._colour = ui.color_input("Colour", value="#e0a458").props("dense outlined stack-label").style("flex:1.5;min-width:0")
                named(self._colour, "Colour", "The colour that is mixed in")
                self._strength = _number("Share", 0.5, "0 leaves the colour as it is, 1 replaces it", 0, 1, 0.1)
                button("Tint", "palette", "Mixes the colour in; can be undone", self._tint)
            with ui.row().classes("ts-row w-full no-wrap"):
                self._factor = _number("Opacity ×", 0.5, "The opacity is multiplied by this", 0, 100, 0.1)
                button("Apply", "opacity", "Multiplies the opacity; can be undone", self._opacity)
                button("Freeze", "ac_unit", "It stays as it is in this frame; can be undone", self._freeze)
            hint = "Arrows and rings on the stage: what they are dragged by is an edit when they are let go"
            self._handle = button("Drag on the stage", "control_camera", hint, self._toggle_handle)
            self._move = _triple("Move by, scene units", "Along", 0.0, 0.05)
            self._turn = _triple("Turn by, degrees", "About", 0.0, 5)
            with ui.row().classes("ts-row w-full no-wrap"):
                self._scale = _number("Scale", 1.0, "Size about its middle", 0.0001, 10_000, 0.1)
                button("Apply", "open_with", "Moves, turns and scales it about its middle; can be undone", self._transform)

    def on_state(self, changed: frozenset[str]) -> None:
        if changed & {"placing", "selected", "inspector", "tool"}:
            self._show_handle()
        if not changed & {"scene", "inspector", "run"} or self.view.inspector != "edit":
            return
        document = self.tab.document.editing.current()
        options = {SELECTED: "What is selected"} | {name: f"Group {name}" for name in (() if document is None else document.groups)}
        if self._target.options != options:
            self._target.set_options(options, value=self._target.value if self._target.value in options else SELECTED)

    def _show_handle(self) -> None:
        on = self.view.placing is not None
        self._handle.props(f"color={'primary' if on else 'grey-4'} aria-pressed={'true' if on else 'false'}")
        self._handle.set_enabled(on or self._of() is not None or self.view.selected is not None)

    def _toggle_handle(self) -> None:
        self.tab.do("place.handle", group=self._of())

    def _of(self) -> str | None:
        return self._target.value or None

    def _tint(self) -> None:
        self.tab.do("gaussians.tint", colour=str(self._colour.value), strength=float(self._strength.value or 0), group=self._of())

    def _opacity(self) -> None:
        self.tab.do("gaussians.opacity", factor=float(self._factor.value or 0), group=self._of())

    def _freeze(self) -> None:
        self.tab.do("gaussians.freeze", group=self._of())

    def _transform(self) -> None:
        move, turn = (tuple(float(field.value or 0) for field in fields) for fields in (self._move, self._turn))
        self.tab.do("gaussians.transform", move=move, turn=turn, scale=float(self._scale.value or 1), group=self._of())


def _number(label: str, value: float, hint: str, least: float, most: float, step: float) -> ui.number:
    made = ui.number(label, value=value, min=least, max=most, step=step).props("dense outlined stack-label hide-bottom-space")
    named(made.classes("ts-half"), label, hint)
    return made


def _triple(title: str, way: str, value: float, step: float) -> list[ui.number]:
    note(title).classes("ts-small")
    with ui.row().classes("ts-row w-full no-wrap").style("margin-top:-6px"):
        return [_number(axis, value, f"{way} {axis}: {title.split(',')[1].strip()}", -1e6, 1e6, step) for axis in "xyz"]
