"""Panels and choices come from registries."""

from __future__ import annotations

from pathlib import Path

import pytest
import viser

from trackersplat.registry import Facts, Registry
from viewer.app import App
from viewer.arguments import Arguments
from viewer.panels.choice import AUTOMATIC, offers
from viewer.panels.registry import PANELS, PanelFacts

PANEL = """
from viewer.panels.panel import Panel, PanelContext


class NotePanel(Panel):
    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        self.closed = False
        self.words = context.gui.add_markdown(f"{len(context.capture.cameras)} cameras")
        context.store.subscribe(self._on_change)

    def _on_change(self, state, changed) -> None:
        if "frame" in changed:
            self.words.content = f"frame {state.frame + 1}"

    def close(self) -> None:
        self.closed = True
"""


def test_a_panel_of_another_package_is_a_tab_of_the_page(
    small_capture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "extra_panels"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "note.py").write_text(PANEL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(PANELS, "_entries", {**PANELS._entries})
    PANELS.add(PanelFacts("note", "Note", "extra_panels.note:NotePanel"))

    app = App(Arguments(str(small_capture_folder), out=tmp_path / "run", port=0, browser=False))
    try:
        assert tuple(app.page.panels) == PANELS.names()
        panel = app.page.panels["note"]
        assert panel.words.content == "4 cameras"
        app.store.set(frame=2)
        assert panel.words.content == "frame 3"
        tabs = [tab._label for tab in app.server.gui._container_handle_from_uuid.values() if isinstance(tab, viser.GuiTabHandle)]
        assert tabs == ["View", "Reconstruct", "Quality", "Capture", "Timeline", "Note"]
    finally:
        app.close()
    assert panel.closed


def test_what_cannot_be_used_is_named_with_the_reason_and_not_offered() -> None:
    registry = Registry(
        "engine",
        (Facts("steam", "boils water", "x:y"), Facts("fusion", "needs patience", "x:y", packages=("no_such_package",), extra="sun")),
    )
    names, missing = offers(registry)
    assert names == {"steam: boils water": "steam"}
    assert missing == ["fusion is not available: package no_such_package not installed: pip install '.[sun]' in the clone."]
    assert list(offers(registry, automatic=True)[0].values()) == [None, "steam"]
    assert AUTOMATIC in offers(registry, automatic=True)[0]
