"""One tab of the browser, as panels and commands see it: its view, the project, and what can be done."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trackersplat.errors import InputError
from viewer.state import FAILED, REFUSED, Shared, Store, TabClosed, View

if TYPE_CHECKING:
    from viewer.document import Document

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Tab:
    """``id`` names the tab in the store, in sockets and in the stage's address."""

    id: str
    store: Store
    document: Document

    @property
    def view(self) -> View:
        return self.store.view(self.id)

    @property
    def shared(self) -> Shared:
        return self.store.shared

    def set(self, **changes: Any) -> None:
        """Changes fields of this tab's view. How many were found by carrying a selection through time is of that selection alone."""
        if "selected" in changes:
            changes.setdefault("carried", 0)
        self.store.set_view(self.id, **changes)

    def set_pane(self, index: int | None = None, **changes: Any) -> None:
        """Changes one pane, by default the active one."""
        view = self.view
        self.set(panes=view.with_pane(view.active if index is None else index, **changes))

    def do(self, name: str, **arguments: Any) -> None:
        """Runs a command. What it refuses, and what fails, is said on the page; the tab goes on."""
        from viewer.commands.registry import COMMANDS

        for source, _ in self.shared.problems:  # whoever goes on has seen why something else could not be done
            if source.startswith(REFUSED):
                self.store.problem(source, None)
        try:
            COMMANDS[name].run(self, **arguments)
        except InputError as error:
            self.refuse(REFUSED + name, str(error))
        except Exception as error:
            log.exception("the command %s failed", name)
            self.refuse(FAILED + name, f"{COMMANDS[name].title}: this failed ({type(error).__name__}: {error}); the terminal shows where.")
        else:
            self.store.problem(FAILED + name, None)

    def refuse(self, source: str, sentence: str) -> None:
        """Says why something that was asked for here is not done. ``source``: as of `Store.problem`."""
        self.store.problem(source, sentence)
        with contextlib.suppress(TabClosed):
            self.set(refusal=(self.view.refusal[0] + 1, sentence))
