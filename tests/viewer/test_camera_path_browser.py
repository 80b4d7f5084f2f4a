"""The panels "Path" and "Export" in a real browser, used with mouse and keys on a small run."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest
import torch
from page_server import page_server
from tiny_runs import write_tiny_run

from trackersplat.camera_paths.path_file import read_path
from trackersplat.captures.capture import Capture
from trackersplat.gaussians.exporters.registry import EXPORTERS
from trackersplat.gaussians.readers.reader import read_gaussians
from trackersplat.store.run import Run
from viewer.panels.export import what_it_is

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

SLOW = 120_000  # ms; a busy machine
COMPILED = 400_000  # ms; until a server whose kernels have never been compiled shows a rendered picture, on a busy machine


@pytest.fixture(scope="module")
def run(small_capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_run(tmp_path_factory.mktemp("path") / "run", small_capture, range(6)).path


@pytest.fixture(scope="module")
def page(chromium: Browser, run: Path, small_capture_folder: Path) -> Iterator[Page]:
    with page_server(run.parent, str(small_capture_folder), ("--out", run)) as url:
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(SLOW)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{url}/?panel=camera_path")
        page.get_by_text("PSNR").first.wait_for(timeout=COMPILED)
        yield page
        assert not complaints
        page.close()


def test_a_path_is_made_changed_previewed_and_rendered_with_mouse_and_keys(page: Page, run: Path, tmp_path: Path) -> None:
    saved = run / "document" / "camera_path.json"
    keys = page.get_by_role("listbox", name="Keys of the camera path").get_by_role("option")
    # Keys: from the stage by a key of the keyboard, from the pane's camera by a button.
    page.wait_for_function("() => getComputedStyle(document.querySelector('iframe')).opacity === '1'")
    page.keyboard.press("Shift+Q")
    page.get_by_text("Key 1 of 1").wait_for()
    page.keyboard.press("c")
    page.get_by_role("button", name="Camera", exact=True).click()
    page.get_by_text("Key 2 of 2").wait_for()
    page.get_by_role("button", name="Later in the order").click()
    page.get_by_role("button", name="Deletes this key").click()
    page.get_by_text("Key 1 of 1").wait_for()
    page.get_by_role("button", name="Undo the last change of the path").click()
    keys.nth(1).wait_for()
    # A ready-made path takes their place.
    page.get_by_role("button", name="Ready-made camera path").click()
    page.get_by_text("ring: a small circle before the scene").click()
    keys.nth(15).wait_for()
    keys.nth(2).click()
    page.get_by_text("Key 3 of 16").wait_for()
    page.get_by_label("Length, s").fill("1")
    page.get_by_text("0.00 / 1.00 s").wait_for()
    assert read_path(saved).seconds == 1
    # Preview: the slider moves the stage and the time, and so does playing.
    slider = page.get_by_role("slider", name="Moment of the camera path")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.get_by_text("0.50 / 1.00 s").wait_for()
    page.get_by_role("switch", name="Stage follows", checked=True).wait_for()
    page.keyboard.press("Home")
    page.get_by_text("0.00 / 1.00 s").wait_for()
    page.keyboard.press("Shift+Space")
    page.wait_for_function("() => [...document.querySelectorAll('label, div')].some(e => /^0\\.[1-9]\\d \\/ 1\\.00 s$/.test(e.innerText))")
    page.keyboard.press("Shift+J")
    page.get_by_role("switch", name="Stage follows", checked=False).wait_for()
    with page.expect_download() as file:
        page.get_by_role("link", name="JSON").click()
    assert json.loads(Path(file.value.path()).read_text()) == json.loads(saved.read_text())
    # The video is rendered by the worker, and downloaded by its number.
    page.get_by_role("combobox", name="Size").click()
    page.get_by_role("option", name="64x48 (own)").click()
    page.get_by_role("button", name="Render", exact=True).click()
    link = page.get_by_role("link", name="Download path-001.mp4")
    link.wait_for()
    with page.expect_download() as film:
        link.click()
    film.value.save_as(tmp_path / "film.mp4")
    assert film.value.suggested_filename == "path-001.mp4"
    assert (tmp_path / "film.mp4").read_bytes() == (run / "videos" / "path-001.mp4").read_bytes()
    assert cv2.VideoCapture(str(tmp_path / "film.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 30
    status = "async (path) => (await fetch(path)).status"
    assert [page.evaluate(status, path) for path in ("/videos/2", "/videos/..%2Frun.json", "/videos/-1")] == [404] * 3


def test_an_export_is_downloaded_with_one_click_and_has_the_bytes_of_the_file(page: Page, run: Path, tmp_path: Path) -> None:
    page.keyboard.press("Shift+W")
    page.get_by_text(what_it_is(EXPORTERS.facts("html").title), exact=True).wait_for()  # the panel before has a "Format", too
    page.get_by_role("combobox", name="Format").click()
    page.get_by_role("option", name="zip:").click()
    page.get_by_text(what_it_is(EXPORTERS.facts("zip").title), exact=True).wait_for()
    page.get_by_role("spinbutton", name="Out point", exact=True).fill("2")
    page.get_by_role("button", name="Export", exact=True).last.click()
    link = page.get_by_role("link", name="Download zip-001.zip")
    link.wait_for()
    page.get_by_text("2 frames, ").wait_for()
    with page.expect_download() as file:
        link.click()
    file.value.save_as(tmp_path / "clip.zip")
    assert file.value.suggested_filename == "zip-001.zip"
    assert (tmp_path / "clip.zip").read_bytes() == (run / "exports" / "zip-001.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "clip.zip") as archive:
        assert archive.namelist() == ["frame00001.ply", "frame00002.ply"]
        (tmp_path / "one.ply").write_bytes(archive.read("frame00002.ply"))
    assert torch.equal(read_gaussians(tmp_path / "one.ply").gaussians.means, Run.open(run).read_frame(1).means)
