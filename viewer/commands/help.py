"""Commands that help to find the others, and those that open panels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from viewer.commands.command import Command
from viewer.panels.registry import PANELS

if TYPE_CHECKING:
    from viewer.tab import Tab

GROUP = "Page"
# Keys that open panels; those that are not named here have none.
KEYS = {"reconstruct": "r", "quality": "q", "capture": "shift+k", "compare": "x", "notes": "shift+o"}


def _open(tab: Tab, dialog: str) -> None:
    """A dialog that is open already is closed."""
    tab.set(dialog="" if tab.view.dialog == dialog else dialog)


def _show(tab: Tab, name: str) -> None:
    tab.set(inspector=name)


COMMANDS = (
    Command("help.palette", "Find a command", GROUP, partial(_open, dialog="palette"), "ctrl+k"),
    Command("help.keys", "Show all keys", GROUP, partial(_open, dialog="keys"), "?"),
    Command("help.problems", "Show what went wrong", GROUP, partial(_open, dialog="problems")),
    *(
        Command(f"panel.{facts.name}", f"Open the panel {facts.title}", GROUP, partial(_show, name=facts.name), KEYS.get(facts.name, ""))
        for facts in PANELS
        if facts.place == "inspector"
    ),
)
