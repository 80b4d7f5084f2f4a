"""Selecting and editing Gaussians in a real browser, with real mouse and keys: one page of ``trackersplat-view demo`` for all tests."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browser import wait_for_closed_menu
from page_server import page_server

from trackersplat.captures.registry import open_capture
from trackersplat.document.document import Document

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE = 120_000  # ms a busy machine may need; it bounds how long a failing test hangs
COMPILED = 400_000  # ms until kernels that were never compiled have made a picture
BALL = (111.0, 139.0)  # pixels of cam08, where frame 1 shows the ball
NEAR = 6  # pixels of the canvas around the middle of the ball, some of which must change
LATER = 10  # another frame, counted from 1
PANE = "const el = document.querySelector('.tsp'); const pane = getElement(el.id.slice(1));"
PIXELS = f"""() => {{ {PANE}
    const canvas = el.querySelector('canvas'), data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let text = '';
    for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
    return [canvas.width, canvas.height, btoa(text)]; }}"""


class Desk:
    """The page, and what a person does there."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder = page, folder

    def settle(self, frame: int | None = None, camera: str | None = None, edited: bool | None = None, selected: bool = False) -> None:
        """Until the pane has drawn the picture at rest, as asked for."""
        wanted = ["h.exact", "pane.unacknowledged === null", "!pane.frameRequested"]
        wanted += [] if frame is None else [f"h.frame === {frame - 1}"]
        wanted += [] if camera is None else [f"h.camera === '{camera}'"]
        wanted += [] if edited is None else [f"h.label.includes('edited') === {str(edited).lower()}"]
        wanted.append(f"(h.content.at(-1) !== 0) === {str(selected).lower()}")
        self.page.wait_for_function(f"() => {{ {PANE} const h = pane.picture?.header ?? {{}}; return {' && '.join(wanted)}; }}")

    def canvas(self) -> np.ndarray:
        width, height, text = self.page.evaluate(PIXELS)
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)[..., :3].astype(int)

    def canvas_place(self, x: float, y: float) -> tuple[int, int]:
        """Row and column of the canvas at a camera pixel."""
        m = self.page.evaluate(f"() => {{ {PANE} return pane.mapping(); }}")
        return int((y - m["oy"]) * m["sy"]), int((x - m["ox"]) * m["sx"])

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a camera pixel of the pane is on the page."""
        box = self.page.locator(".tsp-stage").first.bounding_box()
        assert box is not None
        row, column = self.canvas_place(x, y)
        return box["x"] + column, box["y"] + row

    def stroke(self, points: list[tuple[float, float]], keys: tuple[str, ...] = ()) -> None:
        """Camera pixels of the pane."""
        mouse, keyboard = self.page.mouse, self.page.keyboard
        for key in keys:
            keyboard.down(key)
        mouse.move(*self.at(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.at(*point))
        mouse.up()
        for key in keys:
            keyboard.up(key)

    def tool(self, name: str) -> None:
        button = self.page.get_by_role("button", name=name, exact=True)
        if button.get_attribute("aria-pressed") != "true":
            button.click()
        self.page.wait_for_function("(name) => document.querySelector(`[aria-label='${name}']`).ariaPressed === 'true'", arg=name)

    def count(self, wanted: Callable[[int], bool]) -> int:
        """The number that the head of the page tells, once it is as wanted."""
        found = -1

        def fits() -> bool:
            nonlocal found
            text = self.page.locator("header").inner_text()
            match = re.search(r"([\d,]+) selected", text)
            found = int(match[1].replace(",", "")) if match else 0
            return wanted(found)

        for _ in range(PATIENCE // 20):
            if fits():
                return found
            self.page.wait_for_timeout(20)
        raise AssertionError(f"the page says that {found} are selected")

    def clear(self) -> None:
        self.page.keyboard.press("Escape")
        self.count(lambda count: count == 0)

    def step(self, text: str) -> Any:
        """A row of the history."""
        return self.page.get_by_role("option").filter(has_text=text).first


def circle(x: float, y: float, radius: float, corners: int = 24) -> list[tuple[float, float]]:
    return [(x + radius * math.cos(i / corners * 6.28), y + radius * math.sin(i / corners * 6.28)) for i in range(corners)]


@pytest.fixture(scope="module")
def desk(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("demo")
    with page_server(folder, "demo") as url:
        page = chromium.new_page(viewport={"width": 1024, "height": 700})  # every pixel is drawn without a GPU
        page.set_default_timeout(PATIENCE)
        page.goto(f"{url}/?cameras=8&panel=edit")
        page.get_by_text("PSNR").first.wait_for(timeout=COMPILED)
        yield Desk(page, folder)
        page.close()


def test_the_ball_is_deleted_with_one_lasso_in_every_frame_and_camera_and_undo_brings_each_pixel_back(desk: Desk) -> None:
    page = desk.page
    desk.settle(1, "cam08")
    before = desk.canvas()
    desk.tool("Select by lasso")
    desk.stroke(circle(*BALL, 12))
    count = desk.count(lambda count: count > 20)
    desk.settle(selected=True)
    tinted = np.abs(desk.canvas() - before).max(axis=2) > 12
    row, column = desk.canvas_place(*BALL)
    assert tinted[row, column]  # what is selected is marked
    assert tinted.mean() < 0.1  # and nothing else

    page.keyboard.press("Delete")
    desk.step(f"Delete {count:,} Gaussians in all frames").wait_for()
    desk.settle(1, "cam08", edited=True)
    page.keyboard.press("Escape")
    page.get_by_label("Frame", exact=True).fill(str(LATER))
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Camera").first.click()
    page.get_by_role("option", name="cam01").click()
    desk.settle(LATER, "cam01", edited=True)
    gone = desk.canvas()
    page.get_by_text("Scores: without your edits").wait_for()

    page.keyboard.press("Control+z")
    desk.settle(LATER, "cam01", edited=False)
    there = desk.canvas()
    document = Document.open(desk.folder / "output" / "demo-edited")
    deleted = document.history.entries[0].edit.selections[0]
    assert len(deleted) == count
    camera = next(camera for camera in open_capture("demo").cameras if camera.name == "cam01")
    means = document.original(LATER - 1).means.numpy()[deleted.rows(document.original_ids(LATER - 1))]
    row, column = desk.canvas_place(*np.median(camera.project(means.astype(float))[0], axis=0))
    near = slice(row - NEAR, row + NEAR + 1), slice(column - NEAR, column + NEAR + 1)
    assert np.abs(gone - there)[near].max() > 40
    assert (np.abs(gone - there).max(axis=2) == 0).mean() > 0.8  # JPEG of the rest is the same

    page.get_by_role("combobox", name="Camera").first.click()
    page.get_by_role("option", name="cam08").click()
    wait_for_closed_menu(page)
    page.keyboard.press("Home")
    desk.settle(1, "cam08", edited=False)
    assert np.array_equal(desk.canvas(), before)


def test_every_tool_selects_and_the_keys_add_subtract_and_intersect(desk: Desk) -> None:
    desk.page.keyboard.press("Escape")
    desk.settle(1, "cam08")
    desk.tool("Select by rectangle")
    desk.stroke([(150, 30), (190, 60)])
    one = desk.count(lambda count: count > 0)
    desk.stroke([(200, 60), (230, 90)], ("Shift",))
    two = desk.count(lambda count: count > one)
    desk.tool("Select by brush")
    desk.stroke([(150, 30), (152, 30)], ("Alt",))  # a corner of the first rectangle
    three = desk.count(lambda count: 0 < count < two)
    desk.tool("Select by lasso")
    desk.stroke(circle(170, 45, 25), ("Shift", "Alt"))
    four = desk.count(lambda count: 0 < count < three)
    assert four < one
    desk.tool("Select by click")
    desk.stroke([BALL])
    desk.count(lambda count: count == 1)
    desk.clear()


def test_through_everything_selects_more_than_what_is_seen_also_on_the_stage(desk: Desk) -> None:
    page = desk.page
    desk.tool("Select by rectangle")
    desk.stroke([(60, 100), (140, 150)])
    seen = desk.count(lambda count: count > 0)
    page.keyboard.press("Shift+D")
    page.wait_for_function("() => document.querySelector('[aria-label^=\"Tools select\"]').ariaPressed === 'true'")
    desk.stroke([(60, 100), (140, 150)])
    desk.count(lambda count: count > seen)
    desk.clear()
    box = page.locator("iframe").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 300, steps=4)
    page.mouse.up()
    desk.count(lambda count: count > 0)
    page.keyboard.press("Shift+D")
    desk.clear()


def test_escape_while_drawing_takes_the_outline_and_leaves_the_selection(desk: Desk) -> None:
    page = desk.page
    desk.tool("Select by lasso")
    desk.stroke(circle(*BALL, 12))
    count = desk.count(lambda count: count > 0)
    page.mouse.move(*desk.at(150, 40))
    page.mouse.down()
    page.mouse.move(*desk.at(180, 60), steps=4)
    page.wait_for_function("() => [...document.querySelectorAll('.tst .line')].some((line) => line.style.display === '')")
    page.keyboard.press("Escape")
    page.wait_for_function("() => [...document.querySelectorAll('.tst .line')].every((line) => line.style.display === 'none')")
    page.mouse.up()
    assert desk.count(lambda found: found > 0) == count
    desk.clear()


def test_hiding_in_one_frame_leaves_the_others_and_a_click_in_the_history_goes_back(desk: Desk) -> None:
    page = desk.page
    desk.settle(1, "cam08", edited=False)
    page.get_by_role("button", name="Only 1").click()
    desk.tool("Select by lasso")
    desk.stroke(circle(*BALL, 12))
    desk.count(lambda count: count > 0)
    page.keyboard.press("h")
    desk.step("in frame 1").wait_for()
    desk.settle(1, edited=True)
    page.keyboard.press("ArrowRight")
    desk.settle(2, edited=False)
    page.keyboard.press("ArrowLeft")
    desk.settle(1, edited=True)
    desk.step("The run as it was reconstructed").click()
    desk.settle(1, edited=False)
    page.get_by_role("button", name="All frames").click()


def test_every_control_for_editing_has_a_name_and_a_tooltip(desk: Desk) -> None:
    page = desk.page
    for title in ("Select by", "Groups", "Look and place", "Clip"):
        page.locator(".ts-sectioned .q-item").filter(has_text=title).first.click()
    page.get_by_role("button", name="Retime").wait_for()
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('[aria-label=Tools] button, .ts-sectioned button, .ts-quad button')]
        .filter((button) => button.offsetParent && !button.ariaLabel && !button.innerText.trim()).map((button) => button.outerHTML)"""
    )
    assert unnamed == []
    strip = page.get_by_role("toolbar", name="Tools").get_by_role("button")
    for index in range(strip.count()):
        strip.nth(index).hover(force=True)
        page.locator(".q-tooltip").last.wait_for()
        assert strip.nth(index).get_attribute("aria-label")
        page.mouse.move(500, 600)
        page.wait_for_function("() => document.querySelectorAll('.q-tooltip').length === 0")
