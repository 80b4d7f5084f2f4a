"""What the tests of the page share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from browser import ARGUMENTS, find_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless Chrome or Chromium. It ends with the module: while it runs, no test of this process can have an event loop of its own."""
    from playwright.sync_api import sync_playwright

    executable = find_browser()
    if executable is None:
        pytest.skip("no Chrome or Chromium on this machine: `python tests/run.py` gets one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        browser.close()
