"""Makes the pictures of the README: starts the page on the bundled demo and photographs it with headless Chromium.

Run ``python docs/make_screenshots.py`` from a checkout with the test extra installed; it writes ``docs/images/*.jpg``, or those that are
named. ``reconstruct`` starts a reconstruction of its own and takes its picture in the middle of it.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, WebSocket, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "viewer")]

from browser import ARGUMENTS, find_browser  # noqa: E402  (tests/browser.py)
from page_server import page_server  # noqa: E402  (tests/viewer/page_server.py)

IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1600, "height": 900}
QUALITY = 88  # JPEG, colours at full resolution: small text stays clear
PATIENCE = 900_000  # ms, for the diagnosis of all tracks and a reconstruction on a slow machine
PICTURE = 20_000  # bytes; smaller messages of the stage are no picture
LIVE = "reconstruct"
CAMERA, BALL, RADIUS = (320, 240), (111.0, 139.0), 22.0  # pixels of cam08: its size, and where frame 1 shows the ball
AT_REST = "() => [...document.querySelectorAll('.tsp')].every((pane) => pane.dataset.exact === 'true')"
# The loss is drawn, the picture of the frame in work is on the screen, and there is more to come.
HALF_DONE = """() => {
  const share = Number(document.querySelector('[aria-label="Done share of the job"]')?.getAttribute('aria-valuenow') ?? 0);
  return share >= 0.5 && document.querySelectorAll('.ts-plot canvas').length > 0 && /being optimised/.test(document.body.innerText);
}"""


def main() -> None:
    executable = find_browser()
    if executable is None:
        sys.exit("No Chrome or Chromium found; `python tests/run.py` gets one.")
    IMAGES.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or list(SCENES)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*ARGUMENTS, "--hide-scrollbars"])
        for options, names in (
            ((), [name for name in wanted if name != LIVE]),
            (("--out", "live"), [name for name in wanted if name == LIVE]),
        ):
            if names:
                with tempfile.TemporaryDirectory() as folder, page_server(Path(folder), "demo", options) as (url, _):
                    for name in names:
                        _take(browser, url, name)
        browser.close()


def _take(browser: Browser, url: str, name: str) -> None:
    query, prepare = SCENES[name]
    page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE)
    stage: list[bool] = []  # a picture has come

    def listen(socket: WebSocket) -> None:
        if "/stage/" in socket.url:
            socket.on("framereceived", lambda data: stage.append(True) if len(data) > PICTURE else None)

    page.on("websocket", listen)
    page.goto(f"{url}/?{query}")
    page.get_by_text(": reconstructed" if name != LIVE else "photographs only").first.wait_for()
    page.get_by_text("Diagnosing the tracks").wait_for(state="hidden")
    if name != LIVE:  # where nothing is reconstructed there is no error map
        page.wait_for_function(AT_REST)
    while not stage:
        page.wait_for_timeout(100)
    prepare(page)
    page.mouse.move(SIZE["width"] / 2, 8)  # no tooltip
    if name != LIVE:
        time.sleep(2)
        page.wait_for_function(AT_REST)
        time.sleep(2)  # the stage is at rest, too
    _save(page, IMAGES / f"{name}.jpg")
    page.close()


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


def _edit(page: Page) -> None:
    """The ball is selected with the lasso."""
    page.keyboard.press("z")
    box = page.locator(".tsp-stage").first.bounding_box()
    assert box is not None
    scale = min(box["width"] / CAMERA[0], box["height"] / CAMERA[1])
    left, top = box["x"] + 0.5 * (box["width"] - scale * CAMERA[0]), box["y"] + 0.5 * (box["height"] - scale * CAMERA[1])
    around = [
        (left + scale * (BALL[0] + RADIUS * np.cos(a)), top + scale * (BALL[1] + RADIUS * np.sin(a))) for a in np.linspace(0, 6.2, 24)
    ]
    page.mouse.move(*around[0])
    page.mouse.down()
    for point in around[1:]:
        page.mouse.move(*point)
    page.mouse.up()
    page.get_by_text(re.compile("^[0-9,]+ Gaussians selected$")).wait_for()
    page.get_by_text("Look and place").click()


def _reconstruct(page: Page) -> None:
    page.get_by_role("button", name="Draft").click()
    page.get_by_role("button", name="Reconstruct", exact=True).click()
    page.wait_for_function(HALF_DONE, polling=200)


# Query of the address, and what is done before the picture is taken.
SCENES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "page": ("frame=15&cameras=3,5", _page),
    "triage": ("frame=12&cameras=2,6", _triage),
    "compare": ("frame=15&cameras=8,8&mode=wipe.colour,error.colour&panel=quality", _error),
    "check": ("frame=15&cameras=0&panel=capture", _check),
    "edit": ("frame=1&cameras=8&panel=edit", _edit),
    LIVE: ("frame=1&cameras=8,8&mode=render.colour,error.colour&panel=reconstruct", _reconstruct),
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
