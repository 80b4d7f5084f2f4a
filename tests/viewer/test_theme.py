"""The colours of the page."""

from __future__ import annotations

import pytest

from viewer.theme import CATEGORY_COLOURS, COLOURS

BACKGROUNDS = ("bg", "surface", "raised")
TEXT, GRAPHICS = 4.5, 3.0  # WCAG 2.2, level AA: of text, and of marks that mean something


def luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_black_on_white_has_the_largest_contrast() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", [name for name in COLOURS if name not in (*BACKGROUNDS, "line")])
def test_every_colour_of_text_can_be_read_on_every_background(name: str) -> None:
    assert min(contrast(COLOURS[name], COLOURS[background]) for background in BACKGROUNDS) >= TEXT


@pytest.mark.parametrize("colour", CATEGORY_COLOURS)
def test_every_colour_of_a_category_is_seen_on_the_page(colour: str) -> None:
    assert contrast(colour, COLOURS["surface"]) >= GRAPHICS
