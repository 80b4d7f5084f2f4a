"""Makes the pictures of the README: starts the page on the bundled demo and photographs it with headless Chromium.

Run ``python docs/make_screenshots.py`` from a checkout with the test extra installed; it writes ``docs/images/*.jpg``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "viewer")]

from browser import ARGUMENTS, find_browser  # noqa: E402  (tests/browser.py)
from page_server import page_server  # noqa: E402  (tests/viewer/page_server.py)

IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1600, "height": 900}
QUALITY = 88  # JPEG, colours at full resolution: small text stays clear
PATIENCE = 600_000  # ms, for the diagnosis of all tracks on a slow machine


def main() -> None:
    executable = find_browser()
    if executable is None:
        sys.exit("No Chrome or Chromium found; `python tests/run.py` gets one.")
    IMAGES.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or list(SCENES)
    with tempfile.TemporaryDirectory() as folder, page_server(Path(folder), "demo") as (url, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*ARGUMENTS, "--hide-scrollbars"])
        for name in wanted:
            query, prepare = SCENES[name]
            page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
            page.set_default_timeout(PATIENCE)
            page.goto(f"{url}/?{query}")
            page.get_by_text("PSNR").first.wait_for()
            page.get_by_text("Diagnosing the tracks").wait_for(state="hidden")
            prepare(page)
            page.mouse.move(SIZE["width"] / 2, 8)  # no tooltip
            time.sleep(4)  # pictures at rest
            _save(page, IMAGES / f"{name}.jpg")
            page.close()
        browser.close()


def _page(page: Page) -> None:
    page.keyboard.press("n")


def _triage(page: Page) -> None:
    for _ in range(3):
        page.keyboard.press("n")
        time.sleep(1)
    page.get_by_role("tab", name="Track", exact=True).click()


def _error(page: Page) -> None:
    page.get_by_role("tab", name="Quality").click()


def _check(page: Page) -> None:
    page.get_by_role("button", name="Check capture").click()
    page.get_by_text("Frames 1 to 30").first.wait_for()


def _reconstruct(page: Page) -> None:
    page.keyboard.press("i")
    page.get_by_role("button", name="In – out").click()


# Query of the address, and what is done before the picture is taken.
SCENES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "page": ("frame=15&cameras=3,5", _page),
    "triage": ("frame=12&cameras=2,6", _triage),
    "compare": ("frame=15&cameras=8,8&mode=wipe.colour,error.colour&panel=quality", _error),
    "check": ("frame=15&cameras=0&panel=capture", _check),
    "reconstruct": ("frame=15&cameras=8&panel=reconstruct", _reconstruct),
}


def _save(page: Page, path: Path) -> None:
    image = cv2.imdecode(np.frombuffer(page.screenshot(timeout=120_000), np.uint8), cv2.IMREAD_COLOR)
    sampling = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    done, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY, *sampling))
    if not done:
        sys.exit(f"{path.name} could not be encoded.")
    path.write_bytes(data.tobytes())
    print(f"{path.relative_to(ROOT)}: {len(data) / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
