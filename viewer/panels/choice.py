"""A dropdown of registered things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import viser

from trackersplat.registry import Registry
from viewer.panels.html import note
from viewer.panels.widgets import assign

AUTOMATIC = "Automatic"


class Choice:
    """A dropdown of names, and under it what cannot be used on this machine and why. Hidden until it is filled."""

    def __init__(self, gui: viser.GuiApi, label: str, hint: str) -> None:
        self._names: dict[str, str | None] = {}
        self._dropdown = gui.add_dropdown(label, ("–",), initial_value="–", visible=False, hint=hint)
        self._missing = gui.add_html("", visible=False)

    @property
    def name(self) -> str | None:
        """The name chosen; None before there is one, or where the choice is automatic."""
        return self._names.get(self._dropdown.value)

    def offer(self, names: dict[str, str | None], missing: Sequence[str], chosen: str | None = None) -> None:
        """``names`` and ``missing`` as from ``offers``; ``chosen``: the name to begin with, else the first one."""
        self._names = names
        self._dropdown.options = tuple(names)
        assign(self._dropdown, next((label for label, name in names.items() if name == chosen), next(iter(names))))
        self._dropdown.visible = True
        self._missing.content = "".join(note(sentence) for sentence in missing)
        self._missing.visible = bool(missing)


def offers(registry: Registry[Any], automatic: bool = False) -> tuple[dict[str, str | None], list[str]]:
    """Names by what the dropdown says, and a sentence on each that cannot be used here. ``automatic``: None comes first."""
    names: dict[str, str | None] = {AUTOMATIC: None} if automatic else {}
    missing = []
    for facts in registry:
        why = registry.why_unavailable(facts.name)
        if why is None:
            names[f"{facts.name}: {facts.title}"] = facts.name
        else:
            missing.append(f"{facts.name} is not available: {why}.")
    return names, missing
