"""Makes the pictures of the README: starts the page on the bundled demo and photographs it with headless Chromium.

Run ``python docs/make_screenshots.py`` from a checkout with the test extra installed; it writes ``docs/images/*.jpg``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import ARGUMENTS, find_browser  # noqa: E402  (tests/browser.py)

from viewer.app import App  # noqa: E402
from viewer.arguments import Arguments  # noqa: E402

IMAGES = ROOT / "docs" / "images"
FRAME = 14  # counted from 0
SIZE = {"width": 1280, "height": 760}
QUALITY = 90  # JPEG, colours at full resolution: small text stays clear


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
                _save(page, IMAGES / f"{name}.jpg")
        finally:
            app.close()
            browser.close()


def _page(app: App, page: Page) -> None:
    page.get_by_role("tab", name="View").click()
    app.store.set(frame=FRAME, camera=app.capture.held_out_cameras[0], compare="render")


def _trails(app: App, page: Page) -> None:
    app.store.set(frame=FRAME, camera=None, show_trails=True, trail_length=5)
    home = app.capture.cameras[app.capture.held_out_cameras[0]]
    right, down, ahead = home.rotation
    (client,) = app.server.get_clients().values()
    with client.atomic():  # a little above the cameras and to their right, looking at the table
        client.camera.position = home.center + 0.5 * right - 0.35 * down + 0.1 * ahead
        client.camera.look_at = home.center + 3.0 * ahead + 0.15 * down
    page.get_by_role("tab", name="Quality").click()
    time.sleep(6)  # thumbnails and trails


def _wipe(app: App, page: Page) -> None:
    page.get_by_role("tab", name="View").click()
    app.store.set(frame=FRAME, camera=app.capture.held_out_cameras[0], compare="wipe", wipe=0.5)


def _tracks(app: App, page: Page) -> None:
    app.store.set(frame=FRAME, camera=app.capture.training_cameras[3], compare="render", show_tracks=True)


def _check(app: App, page: Page) -> None:
    app.store.set(frame=FRAME, camera=app.capture.training_cameras[0], compare="photo", show_tracks=False)
    page.get_by_role("tab", name="Capture").click()
    page.get_by_role("button", name="Check capture").click()
    deadline = time.monotonic() + 120
    while app.page.panels["capture"].report is None:
        if time.monotonic() > deadline:
            sys.exit("The check for the screenshot did not come to an end.")
        time.sleep(0.2)


def _reconstruct(app: App, page: Page) -> None:
    app.store.set(frame=0, camera=None, show_tracks=False)
    page.get_by_role("tab", name="Reconstruct").click()
    page.get_by_role("button", name="Reconstruct", exact=True).click()
    deadline = time.monotonic() + 300
    while app.store.state.preview is None or _steps(app) < 150:
        job = app.page.panels["reconstruct"].job
        if time.monotonic() > deadline or (job is not None and not job.running):
            sys.exit("The reconstruction for the screenshot did not get going.")
        time.sleep(0.2)


def _steps(app: App) -> int:
    last = app.page.panels["reconstruct"].progress.last
    return last.step if last is not None else 0


SCENES: dict[str, Callable[[App, Page], None]] = {
    "page": _page,
    "trails": _trails,
    "wipe": _wipe,
    "tracks": _tracks,
    "check": _check,
    "reconstruct": _reconstruct,
}


def _dismiss_notice(page: Page) -> None:
    """Chromium without a GPU makes viser show a notice that has no place in the pictures."""
    time.sleep(2)
    for button in page.locator(".mantine-Notification-closeButton").all():
        button.click()


def _settle(app: App) -> None:
    deadline = time.monotonic() + 30
    while not all(view.rests for view in app.page.views) and time.monotonic() < deadline and not app.page.panels["reconstruct"].running:
        time.sleep(0.05)
    time.sleep(1.5)


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
