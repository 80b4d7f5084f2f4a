"""The style sheet that the panels about tracks share."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

from viewer import theme

_SHEET = Path(__file__).with_suffix(".css")


def add_style() -> None:
    """For the page that is being built."""
    marks = "".join(f".ts-cat-{number}::before{{background:{colour}}}" for number, colour in enumerate(theme.CATEGORY_COLOURS))
    ui.add_css(_SHEET.read_text(encoding="utf-8") + marks)
