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
    playwright = pytest.importorskip("playwright.sync_api")
    executable = find_browser()
    if executable is None:
        pytest.skip("no Chrome or Chromium on this machine: `python tests/run.py` gets one")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        browser.close()
