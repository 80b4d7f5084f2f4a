"""Groups: Gaussians with a name, what is shown of them, and how."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from viewer.panels.panel import Panel
from viewer.panels.parts import button, named, note


class GroupsSection(Panel):
    def build(self) -> None:
        with ui.element("div").classes("w-full ts-stack").style("gap:4px"):
            with ui.row().classes("ts-row w-full no-wrap"):
                self._name = ui.input(placeholder="Name of a new group").props("dense outlined maxlength=80").classes("col")
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
        with ui.element("div").classes("ts-row no-wrap w-full").style("gap:2px").props('role="listitem"'):
            pick = ui.element("div").classes("ts-item col").props('role="button" tabindex="0"')
            pick.on("click", partial(do, "group.select", name=name))
            with pick:
                ui.label(name).classes("ts-ellipsis col")
                ui.label(f"{count:,}").classes("ts-muted")
            named(pick, f"Select the group {name}", f"Selects the {count:,} Gaussians of {name}")
            button(
                "", "visibility_off", f"Hides {name} in the frames chosen above", partial(do, "gaussians.hide", group=name), props="size=sm"
            )
            button("", "visibility", f"Shows {name} again", partial(do, "group.show", name=name), props="size=sm")
            button("", "delete", f"Deletes {name} in the frames chosen above", partial(do, "gaussians.delete", group=name), props="size=sm")
            with button("", "more_vert", f"More about {name}", lambda: None, props="size=sm"), ui.menu():
                ui.menu_item("Rename to the name above", on_click=lambda: do("group.rename", name=name, to=self._name.value or ""))
                ui.menu_item("Dissolve: the Gaussians stay", on_click=partial(do, "group.dissolve", name=name))

    def _create(self) -> None:
        self.tab.do("group.create", name=(self._name.value or "").strip())
        self._name.set_value("")
