"""What a panel is: widgets of one tab that follow the store."""

from __future__ import annotations

from abc import ABC, abstractmethod

from viewer.state import Shared, View
from viewer.tab import Tab


class Panel(ABC):
    """One instance per tab. ``build`` makes the widgets in the NiceGUI container that is open; ``on_state`` follows.

    Both run on the event loop and must be quick. Whatever a user does in the panel becomes ``tab.set`` or ``tab.do``. A panel that fails is
    reported in the terminal and on the page; the others go on.
    """

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    @property
    def view(self) -> View:
        return self.tab.view

    @property
    def shared(self) -> Shared:
        return self.tab.shared

    @abstractmethod
    def build(self) -> None:
        """Called once, before ``on_state``."""

    def on_state(self, changed: frozenset[str]) -> None:  # noqa: B027 - a panel may do without
        """``changed``: names of fields of `View` and `Shared` that changed since the last call; all of them at first."""

    def on_rest(self, changed: frozenset[str]) -> None:  # noqa: B027
        """For panels outside the inspector: the same, but that changes of the time are told once it rests, and now and then while it plays.

        Every change of a widget makes the page go through all of its widgets, which holds up the pictures.
        """

    def close(self) -> None:  # noqa: B027
        """Ends what the panel has started."""
