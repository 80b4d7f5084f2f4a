"""Finding a Chrome or Chromium for the tests that drive the page, and what they wait for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

# Software GL for WebGL alone (pages drawn with it take seconds more to open), no sandbox (containers run as root), and no connections of
# the browser's own.
ARGUMENTS = (
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-gpu-rasterization",
    "--disable-gpu-compositing",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def find_browser() -> str | None:
    """Path of an installed Chrome or Chromium, or of the one Playwright downloaded; None if there is none."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def wait_for_closed_menu(page: Page) -> None:
    """After a choice from a menu: until it has closed, a key is the menu's."""
    page.wait_for_function("() => !document.querySelector('.q-menu') && !document.activeElement?.closest('.q-select, .q-field')")
