"""Makes the pictures of the README: starts the page on the bundled demo and photographs it with headless Chromium.

Run ``python docs/make_screenshots.py`` from a checkout with the test extra installed; it writes ``docs/images/*.png``.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import ARGUMENTS, find_browser  # noqa: E402  (tests/browser.py)

from viewer.app import App, Arguments  # noqa: E402

IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1280, "height": 760}
LARGEST = 400_000  # bytes


def main() -> None:
    executable = find_browser()
    if executable is None:
        sys.exit("No Chrome or Chromium found; `python tests/run.py` gets one.")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.chdir(folder)  # where the demo's output would go
        app = App(Arguments("demo", port=0, browser=False, autoplay=False), ("--first-steps", "300"))
        app.load()
        browser = playwright.chromium.launch(executable_path=executable, args=[*ARGUMENTS, "--hide-scrollbars"])
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        page.goto(f"{app.url}/?fixedDpr=1&hideViserLogo")
        page.wait_for_selector("#status")
        _dismiss_notice(page)
        try:
            for name, prepare in SCENES.items():
                prepare(app, page)
                _settle(app)
                _save(page, IMAGES / f"{name}.png")
        finally:
            app.close()
            browser.close()


def _trails(app: App, page: Page) -> None:
    app.store.set(frame=14, camera=None, show_trails=True, trail_length=10)
    page.get_by_role("tab", name="Quality").click()
    time.sleep(6)  # thumbnails and trails


def _wipe(app: App, page: Page) -> None:
    page.get_by_role("tab", name="View").click()
    app.store.set(frame=14, camera=app.capture.held_out_cameras[0], compare="wipe", wipe=0.5)


def _tracks(app: App, page: Page) -> None:
    app.store.set(frame=14, camera=app.capture.training_cameras[3], compare="render", show_tracks=True)


def _reconstruct(app: App, page: Page) -> None:
    app.store.set(frame=0, camera=None, show_tracks=False)
    page.get_by_role("tab", name="Reconstruct").click()
    page.get_by_role("button", name="Reconstruct", exact=True).click()
    deadline = time.monotonic() + 300
    while app.store.state.preview is None or _steps(app) < 150:
        job = app.page.reconstruct.job
        if time.monotonic() > deadline or (job is not None and not job.running):
            sys.exit("The reconstruction for the screenshot did not get going.")
        time.sleep(0.2)


def _steps(app: App) -> int:
    last = app.page.reconstruct.progress.last
    return last.step if last is not None else 0


SCENES: dict[str, Callable[[App, Page], None]] = {"trails": _trails, "wipe": _wipe, "tracks": _tracks, "reconstruct": _reconstruct}


def _dismiss_notice(page: Page) -> None:
    """Chromium without a GPU makes viser show a notice that has no place in the pictures."""
    time.sleep(2)
    for button in page.locator(".mantine-Notification-closeButton").all():
        button.click()


def _settle(app: App) -> None:
    deadline = time.monotonic() + 30
    while not all(view.rests for view in app.page.views) and time.monotonic() < deadline and not app.page.reconstruct.running:
        time.sleep(0.05)
    time.sleep(1.5)


def _save(page: Page, path: Path) -> None:
    """As PNG, with fewer colours only if all of them would make it too large."""
    image = Image.fromarray(np.asarray(iio.imread(io.BytesIO(page.screenshot(timeout=120_000))))[..., :3])
    palette = image.quantize(256)
    for candidate in (image, image.quantize(palette=palette), palette):  # all colours, 256 dithered, 256 in patches
        buffer = io.BytesIO()
        candidate.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= LARGEST:
            break
    path.write_bytes(buffer.getvalue())
    print(f"{path.relative_to(ROOT)}: {buffer.tell() / 1000:.0f} kB, mode {candidate.mode}")


if __name__ == "__main__":
    main()
