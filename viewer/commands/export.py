"""Commands that hand the scene over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viewer.commands.command import Command
from viewer.export_job import ExportChoice

if TYPE_CHECKING:
    from viewer.tab import Tab

GROUP = "Export"
PANEL = "export"


def _start(tab: Tab, choice: ExportChoice | None = None) -> None:
    """Without a choice: from in to out point, as a page that plays the scene."""
    document = tab.document.editing.current()
    chosen = ExportChoice(first=tab.view.first, last=tab.view.last) if choice is None else choice
    tab.document.export.start(chosen, None if document is None else document.frames)
    tab.set(inspector=PANEL)


def _impossible(tab: Tab) -> str | None:
    if tab.document.export.state.running:
        return "An export is being written."
    return None if tab.shared.run is not None and tab.shared.reconstructed else "Nothing is reconstructed yet."


def _none(tab: Tab) -> str | None:
    return None if tab.document.export.state.running else "No export is being written."


COMMANDS = (
    Command("export.open", "Export the scene …", GROUP, lambda tab: tab.set(inspector=PANEL), "shift+w"),
    Command("export.start", "Export as a page that plays the scene", GROUP, _start, enabled=_impossible),
    Command("export.cancel", "Cancel the export", GROUP, lambda tab: tab.document.export.cancel(), enabled=_none),
)
