"""Three tabs of one page in a real browser: what they share, and what they do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page_server import page_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE = 120_000  # milliseconds a busy machine may need; it bounds how long a failing test hangs
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def address(small_capture_folder: Path, tmp_path: Path) -> Iterator[str]:
    with page_server(tmp_path, str(small_capture_folder), ("--out", tmp_path / "run")) as url:
        yield url


@pytest.fixture
def pages(chromium: Browser, address: str) -> Iterator[list[Page]]:
    context = chromium.new_context(viewport={"width": 1024, "height": 700})
    context.set_default_timeout(PATIENCE)
    context.route("**/stage/**", lambda route: route.fulfill(body=""))  # three stages drawn without a GPU cost seconds, and nobody looks
    opened = []
    for _ in range(3):
        page = context.new_page()
        page.goto(address)
        says(page, "Frame 1 of 6")
        opened.append(page)
    yield opened
    context.close()


def says(page: Page, text: str) -> None:
    page.get_by_text(text).first.wait_for()


def test_tabs_share_time_jobs_and_notes_and_nothing_else(pages: list[Page]) -> None:
    first, second, third = pages
    third.get_by_role("button", name="Share time with other tabs").click()
    third.locator("[aria-pressed=false]").first.wait_for()
    first.keyboard.press("ArrowRight")
    first.keyboard.press("ArrowRight")
    says(first, "Frame 3 of 6")
    says(second, "Frame 3 of 6")
    says(third, "Frame 1 of 6")

    first.keyboard.press("Control+k")
    first.get_by_placeholder("Find a command").fill("flag this frame")
    first.get_by_role("option", name="Flag this frame").first.wait_for()
    assert second.get_by_placeholder("Find a command").count() == 0
    first.keyboard.press("Enter")
    second.keyboard.press("Shift+O")
    says(second, "1 entry")
    assert first.get_by_text("1 entry").count() == 0  # its own panel is another one

    third.keyboard.press("r")
    says(third, "Frame 1 will be reconstructed.")
    third.get_by_role("button", name="Reconstruct", exact=True).first.click()
    for page in pages:
        page.get_by_label("The reconstruction at work; opens its panel").wait_for()
    second.keyboard.press("Control+k")
    second.get_by_placeholder("Find a command").fill("cancel the reconstruction")
    second.get_by_role("option", name="Cancel the reconstruction").first.wait_for()
    second.keyboard.press("Enter")
    says(third, "The reconstruction was cancelled; finished frames are kept.")

    first.keyboard.press("?")
    says(first, "Show all keys")
    first.keyboard.press("Escape")
    first.get_by_text("Show all keys").wait_for(state="hidden")
