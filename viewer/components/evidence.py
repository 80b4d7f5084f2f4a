"""Evidence about one track in one frame, laid out by ``evidence.js``."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from viewer.views.evidence import Value


class EvidenceTable(ui.element, component="evidence.js"):
    def __init__(self) -> None:
        super().__init__()
        self.props["rows"] = []

    def show(self, values: Sequence[Value]) -> None:
        self.props["rows"] = [
            {
                "name": value.name,
                "title": value.title,
                "value": value.value,
                "unit": value.unit,
                "rank": None if value.rank is None else round(100 * value.rank),
                "unusual": value.unusual,
                "hint": value.hint,
            }
            for value in values
        ]
