"""Commands about runs: which one is shown, and which other it is compared with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trackersplat.errors import InputError
from viewer.commands.command import Command

if TYPE_CHECKING:
    from viewer.tab import Tab

GROUP = "Runs"


def _known(tab: Tab, path: Path | str) -> Path:
    found = Path(path)
    if found not in tab.shared.runs:
        raise InputError(f"There is no run {found} on this page: choose one of the list at the top.")
    return found


def _show(tab: Tab, path: Path | str) -> None:
    shown = _known(tab, path)
    if tab.shared.other == shown:
        tab.store.set(other=None)
    tab.document.show_run(shown)


def _compare(tab: Tab, path: Path | str | None = None) -> None:
    """With None, or the run that is shown, the comparison ends."""
    other = None if path is None else _known(tab, path)
    tab.store.set(other=None if other == tab.shared.run else other)
    if other is None:
        tab.set(panes=tuple(replace(pane, compare="render") if pane.compare == "other" else pane for pane in tab.view.panes))


def _swap(tab: Tab) -> None:
    run, other = tab.shared.run, tab.shared.other
    if run is None or other is None:
        raise InputError("No other run is chosen: choose one in the panel Compare.")
    tab.store.set(other=run)
    tab.document.show_run(other)


def _alone(tab: Tab) -> str | None:
    return None if tab.shared.other is not None else "No other run is chosen: choose one in the panel Compare."


COMMANDS = (
    Command("run.show", "Show a run", GROUP, _show),
    Command("run.compare", "Compare with another run", GROUP, _compare),
    Command("run.swap", "Swap the run shown and the other one", GROUP, _swap, "shift+b", enabled=_alone),
    Command("run.alone", "End the comparison of runs", GROUP, _compare, enabled=_alone),
)
