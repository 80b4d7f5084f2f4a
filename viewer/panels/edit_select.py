"""Ways of selecting by numbers."""

from __future__ import annotations

from viewer.panels.panel import Panel


class SelectSection(Panel):
    def build(self) -> None:
        pass
