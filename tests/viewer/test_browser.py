"""A real browser on the page: headless Chromium, driven like a person would."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
import viser
from browser import ARGUMENTS, find_browser
from tiny_capture import FRAMES, cameras, render, write_n3dv
from viser.transforms import SO3
from waiting import wait_for

from trackersplat.metrics.image import psnr
from trackersplat.store.run import Run
from viewer.app import App
from viewer.arguments import Arguments
from viewer.scene.painter import page_camera

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDTH, HEIGHT = 1000, 640
PANEL = 344  # pixels of the docked panel on the right
TOAST = (330, 180)  # pixels of the top left corner that Chromium's software-GL notice covers
TIMELINE = 216  # pixels at the bottom


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    executable = find_browser()
    if executable is None:
        pytest.skip("no Chrome or Chromium on this machine: `python tests/run.py` gets one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The bundled demo with its finished run, as ``trackersplat-view demo`` opens it (but at rest)."""
    here = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("demo"))  # where its output would go
    app = App(Arguments("demo", port=0, browser=False, autoplay=False))
    app.load()
    yield app
    app.close()
    os.chdir(here)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    yield page
    page.close()


def open_page(page: Page, app: App) -> None:
    """Opens the page and waits for its first full picture."""
    page.goto(f"{app.url}/?fixedDpr=1")
    page.wait_for_selector("#status", timeout=60_000)
    wait_for(lambda: app.server.get_clients() and canvas_size(app) == (WIDTH - PANEL, HEIGHT), "the panels to be in place", 60)
    settle(app)


def settle(app: App) -> None:
    """Until the full picture of the present state has arrived in every page."""
    wait_for(lambda: all(view.rests for view in app.page.views), "the page to rest", 30)


def canvas(page: Page) -> np.ndarray:
    """The part of the 3D view that nothing covers, (H, W, 3) uint8."""
    shot = page.screenshot(clip={"x": TOAST[0], "y": 0, "width": WIDTH - PANEL - TOAST[0], "height": HEIGHT - TIMELINE}, timeout=90_000)
    return np.asarray(iio.imread(io.BytesIO(shot)))[..., :3]


def same_part(picture: np.ndarray) -> np.ndarray:
    return picture[: HEIGHT - TIMELINE, TOAST[0] : WIDTH - PANEL]


def shown_equals(page: Page, expected: np.ndarray, decibels: float = 30.0) -> None:
    """Waits until the browser shows the expected picture."""
    wait_for(lambda: psnr(canvas(page), same_part(expected)) >= decibels, f"a picture that agrees to {decibels} dB", 30)


def client_of(app: App) -> viser.ClientHandle:
    """The newest tab: one of an earlier test may still be saying goodbye."""
    return list(app.server.get_clients().values())[-1]


def canvas_size(app: App) -> tuple[int, int]:
    camera = client_of(app).camera
    return int(camera.image_width), int(camera.image_height)


def test_the_demo_opens_in_motion_and_the_picture_is_the_server_s_own(demo: App, page: Page) -> None:
    open_page(page, demo)
    assert demo.store.state.problems == ()
    assert demo.store.state.reconstructed == tuple(range(demo.capture.frame_count))
    demo.store.set(show_cameras=False, show_trails=False, frame=0, camera=None)
    settle(demo)
    camera = client_of(demo).camera
    view = page_camera(np.array(camera.position), SO3(np.array(camera.wxyz)).as_matrix(), camera.fov, *canvas_size(demo))
    expected = demo.painter.free(demo.store.state, view).image
    assert same_part(expected).std() > 20  # not blank
    shown_equals(page, expected)
    # A drag turns the view, and the picture with it.
    before = canvas(page)
    page.mouse.move(480, 250)
    page.mouse.down()
    page.mouse.move(560, 270, steps=4)
    page.mouse.up()
    settle(demo)
    assert psnr(canvas(page), before) < 25


def test_scrubbing_and_keys_change_the_frame_and_the_picture(demo: App, page: Page) -> None:
    held_out = demo.capture.held_out_cameras[0]
    demo.store.set(frame=0, camera=held_out, compare="render")
    open_page(page, demo)
    settle(demo)
    first = demo.painter.through(demo.store.state, canvas_size(demo)).image
    shown_equals(page, first)

    tracks = [track.bounding_box() for track in page.locator(".mantine-Slider-track").all()]
    track = max((box for box in tracks if box is not None), key=lambda box: box["y"])  # the timeline's is the lowest
    y = track["y"] + track["height"] / 2
    page.mouse.move(track["x"] + 2, y)
    page.mouse.down()
    page.mouse.move(track["x"] + 0.5 * track["width"], y, steps=6)
    page.mouse.up()
    middle = demo.capture.frame_count // 2
    wait_for(lambda: abs(demo.store.state.frame - middle) <= 1, "the scrubbed frame", 10)
    settle(demo)
    expected = demo.painter.through(demo.store.state, canvas_size(demo))
    assert psnr(same_part(expected.image), same_part(first)) < 30
    shown_equals(page, expected.image)
    assert expected.comparison is not None
    status = page.locator("#view").inner_text()
    for part in ("cam08", "held out", f"{expected.comparison.psnr:.2f} dB", "320 × 240 px"):
        assert part in status

    page.mouse.click(480, 300)  # keys go to the page, not the slider
    for key, frame in (("Home", 0), ("l", 1), ("l", 2), ("j", 1), ("Shift+L", 11), ("End", demo.capture.frame_count - 1)):
        page.keyboard.press(key)
        wait_for(lambda frame=frame: demo.store.state.frame == frame, f"frame {frame + 1} after {key}", 10)
    page.keyboard.press("Space")
    wait_for(lambda: demo.store.state.playing and demo.store.state.frame < demo.capture.frame_count - 1, "the loop", 10)
    page.keyboard.press("k")
    wait_for(lambda: not demo.store.state.playing, "the stop", 10)


def test_a_click_on_a_camera_looks_through_it_and_compares(demo: App, page: Page) -> None:
    demo.store.set(frame=4, camera=None, compare="render", show_cameras=True, show_trails=False)
    open_page(page, demo)
    settle(demo)
    # From a few steps behind the first camera its frustum is in the middle of the view.
    target = demo.capture.cameras[0]
    client = client_of(demo)
    client.camera.position = target.center - 0.6 * target.rotation[2] + 0.2 * target.rotation[0]
    client.camera.look_at = target.center + 0.1 * target.rotation[2]
    settle(demo)
    x, y = (size // 2 for size in canvas_size(demo))

    def looks_through() -> bool:
        """The frustum is there a moment after the picture: clicks until it is hit."""
        page.mouse.move(x, y)
        page.mouse.click(x, y)
        page.wait_for_function("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
        return demo.store.state.camera is not None

    wait_for(looks_through, "the camera", 30)
    settle(demo)
    page.get_by_role("button", name="Photo", exact=True).click()
    wait_for(lambda: demo.store.state.compare == "photo", "the photograph", 10)
    settle(demo)
    shown_equals(page, demo.painter.through(demo.store.state, canvas_size(demo)).image)
    for button, kind in (("Wipe", "wipe"), ("Error", "error")):
        page.get_by_role("button", name=button, exact=True).click()
        wait_for(lambda kind=kind: demo.store.state.compare == kind, kind, 10)
        settle(demo)
        shown_equals(page, demo.painter.through(demo.store.state, canvas_size(demo)).image)
        assert "dB" in page.locator("#view").inner_text()
    page.get_by_role("button", name="Back to free view").click()
    wait_for(lambda: demo.store.state.camera is None, "the free view", 10)


def test_reconstructing_from_the_page_makes_a_frame_and_a_metric_and_survives_a_kill(
    small_capture_folder: Path, tmp_path: Path, page: Page
) -> None:
    out = tmp_path / "run"
    options = ("--first-steps", "40", "--steps", "8")
    app = App(Arguments(str(small_capture_folder), out=out, port=0, browser=False), options)
    try:
        app.load()
        open_page(page, app)
        assert "photographs only" in page.locator("#status").inner_text()
        assert app.store.state.camera == app.capture.held_out_cameras[0]
        assert canvas(page).std() > 5  # the photograph, not an empty page
        page.get_by_role("tab", name="Reconstruct").click()
        start = page.get_by_role("button", name="Reconstruct", exact=True)
        start.click()
        page.wait_for_selector("#last-metric", timeout=120_000)
        assert "dB" in page.locator("#last-metric").inner_text()
        wait_for(lambda: not app.page.panels["reconstruct"].running, "the end of the job", 30)
        assert Run.open(out).frames() == (0,)
        assert app.store.state.reconstructed == (0,)

        # The next one is killed as the machine would when memory runs out.
        app.store.set(frame=1)
        start.click()
        wait_for(lambda: app.page.panels["reconstruct"].running, "the worker", 10)
        job = app.page.panels["reconstruct"].job
        assert job is not None
        os.kill(job.pid, signal.SIGKILL)
        alert = page.get_by_role("alert").filter(has_text="SIGKILL")
        alert.wait_for(timeout=20_000)
        assert "finished frames are kept" in alert.inner_text()
        page.mouse.click(300, 300)
        page.keyboard.press("Home")
        wait_for(lambda: app.store.state.frame == 0, "the page to go on", 10)

        # And starting again works.
        app.store.set(frame=1)
        start.click()
        wait_for(lambda: app.store.state.reconstructed == (0, 1), "the second frame", 120)
    finally:
        app.close()


def test_a_check_of_the_capture_shows_its_findings_and_goes_to_them(page: Page, tmp_path: Path) -> None:
    views = cameras()
    images = [np.stack([render(camera, frame) for frame in range(FRAMES)]) for camera in views]
    images[2][3:5] = 0
    app = App(Arguments(str(write_n3dv(tmp_path / "tiny", views, images)), out=tmp_path / "run", port=0, browser=False))
    try:
        app.load()
        open_page(page, app)
        page.get_by_role("tab", name="Capture").click()
        page.get_by_role("button", name="Check capture", exact=True).click()
        page.wait_for_selector("#check", timeout=120_000)
        assert "1 problem" in page.locator("#check").inner_text()
        assert page.get_by_text("cam02 is black in frames 4 to 5.").is_visible()
        assert not app.page.panels["capture"].running
        page.get_by_label("Go to", exact=True).first.click()
        page.get_by_role("option", name="1: cam02, frame 4").click()
        wait_for(lambda: (app.store.state.camera, app.store.state.frame, app.store.state.compare) == (2, 3, "photo"), "the black frame", 10)
        settle(app)
        assert canvas(page).mean() < 25
        assert not (tmp_path / "run").exists()  # a check writes nothing
    finally:
        app.close()
