"""Small widgets that panels share. What comes from a file or an exception is put in as text, never as HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui
from nicegui.element import Element

from trackersplat.registry import Registry
from viewer.commands.command import Command

SHOWN_KEYS = {
    "arrowleft": "←", "arrowright": "→", "arrowup": "↑", "arrowdown": "↓", "space": "Space", "ctrl": "Ctrl", "shift": "Shift", "alt": "Alt",
    "home": "Home", "end": "End", "escape": "Esc", "enter": "Enter", "delete": "Delete", "pageup": "Page up", "pagedown": "Page down",
}  # fmt: skip


def button(label: str, icon: str, hint: str, on_click: Callable[[], Any], *, props: str = "") -> ui.button:
    """With a tooltip and a name for screen readers. ``label`` may be empty."""
    made = ui.button(label, icon=icon, on_click=lambda: on_click()).props(f"flat dense no-caps {props}")
    made._props["aria-label"] = label or hint
    with made:
        ui.tooltip(hint)
    return made


def named(element: Element, name: str, hint: str = "") -> Any:
    """Gives an element a name for screen readers and a tooltip."""
    element._props["aria-label"] = name
    with element:
        ui.tooltip(hint or name)
    return element


def note(text: str, kind: str = "muted") -> ui.label:
    return ui.label(text).classes(f"ts-{kind} ts-wrap")


def box(text: str, kind: str = "problem") -> ui.label:
    """A sentence that must be seen: "problem", "warning" or "note"."""
    return ui.label(text).classes(f"ts-{kind} w-full").props('role="alert"' if kind == "problem" else "")


def number(label: str, hint: str, least: int, most: int, placeholder: str = "", on_change: Callable[..., Any] | None = None) -> ui.number:
    """A whole number, or nothing."""
    made = ui.number(label, min=least, max=most, step=1, precision=0, placeholder=placeholder, on_change=on_change)
    made.props("dense outlined stack-label hide-bottom-space").classes("ts-number")
    return named(made, label, hint)


def select(
    label: str, hint: str, options: dict[Any, str], value: Any, on_change: Callable[..., Any] | None = None, classes: str = "w-full"
) -> ui.select:
    made = ui.select(options, label=label, value=value, on_change=on_change)
    made.props("dense outlined stack-label options-dense hide-bottom-space popup-content-class=ts-menu").classes(classes)
    return named(gives_keys_back(made), label, hint)


def gives_keys_back(element: ui.select) -> ui.select:
    """A key pressed after a choice is one of the page's: a select that keeps the focus takes it for itself."""
    element.on("popup-hide", js_handler="() => setTimeout(() => document.activeElement && document.activeElement.blur(), 0)")
    return element


def keys(hotkey: str) -> list[str]:
    """The keys of a command as they are printed on a keyboard."""
    parts = [part for part in hotkey.split("+") if part] or ([hotkey] if hotkey else [])
    if hotkey.endswith("+") and hotkey != "+":
        parts.append("+")
    return [SHOWN_KEYS.get(part, part.upper() if len(part) == 1 else part.capitalize()) for part in parts]


def with_key(command: Command) -> str:
    """Its title and key, for a tooltip."""
    return command.title + (f" ({'+'.join(keys(command.hotkey))})" if command.hotkey else "")


def offers(registry: Registry[Any], automatic: str = "") -> tuple[dict[str, str], list[str]]:
    """Names and what to show for them, and a sentence on each that cannot be used here. ``automatic``: the title of "" as first choice."""
    names: dict[str, str] = {"": automatic} if automatic else {}
    missing = []
    for facts in registry:
        why = registry.why_unavailable(facts.name)
        if why is None:
            names[facts.name] = f"{facts.name}: {facts.title}"
        else:
            missing.append(f"{facts.name} is not available: {why}.")
    return names, missing


def tracker_offers() -> tuple[dict[str, str], list[str]]:
    """As `offers`, of the trackers that a job of the page can use; one sentence tells of all that lack code or weights."""
    from trackersplat.tracking.registry import TRACKERS

    names = {"": "Automatic: the best one here"}
    lacking = 0
    for facts in TRACKERS:
        if facts.three_d or (facts.stored and facts.settings):  # asked for depths, or for a file, which a job does not name
            continue
        if TRACKERS.why_unavailable(facts.name) is None:
            names[facts.name] = f"{facts.name}: {facts.title}"
        else:
            lacking += 1
    missing = [f"{lacking} more trackers need code or weights: `trackersplat trackers` says how to get them."] if lacking else []
    return names, missing


def grid(columns: Sequence[dict[str, Any]], on_row: Callable[[dict[str, Any]], Any], *, row_id: str, height: str) -> ui.aggrid:
    """A dense table whose rows are buttons. ``row_id``: the key of a row that tells it from others."""
    options = {
        "columnDefs": list(columns),
        "rowData": [],
        "rowHeight": 22,
        "headerHeight": 34,
        "suppressCellFocus": False,
        "suppressMovableColumns": True,
        "animateRows": False,
        "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": False},
        ":getRowId": f"(params) => String(params.data.{row_id})",
        "defaultColDef": {
            "sortable": True, "resizable": True, "wrapHeaderText": True, "suppressHeaderMenuButton": True,
            "cellClass": "ts-cell", "headerClass": "ts-cell", "flex": 1,
            "minWidth": 34,
        },
    }  # fmt: skip
    made = ui.aggrid(options, theme="balham", auto_size_columns=False).classes("w-full ts-grid").style(f"height:{height}")
    made.on("cellClicked", lambda event: on_row(event.args["data"]), ["data"])
    made.on("cellKeyDown", lambda event: on_row(event.args["data"]), ["data"], js_handler="(e) => { if (e.event.key === 'Enter') emit(e) }")
    return made
