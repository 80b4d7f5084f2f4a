"""An action of the workbench: what buttons, keys, the palette, the URL and tests alike run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from viewer.tab import Tab


@dataclass(frozen=True)
class Command:
    """``run`` gets the tab and the arguments by name; it changes the store or starts work, and returns at once.

    Raises InputError for what cannot be done now; the sentence is shown on the page.
    """

    name: str  # unique, such as "time.next"
    title: str  # what it does, as an order: "Next frame"
    group: str  # heading in the sheet of keys
    run: Callable[..., None]
    hotkey: str = ""  # "l", "shift+l", "ctrl+z", "space", "home"; for what is no letter, what is printed: "?"; "" if there is none
    repeats: bool = False  # whether a held key runs it again
    enabled: Callable[[Tab], str | None] = lambda tab: None  # why it cannot be run now, None if it can
