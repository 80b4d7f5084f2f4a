"""The whole page in a real browser: headless Chromium on ``trackersplat-view demo``, used with mouse and keys."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page_server import page_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

WIDTH, HEIGHT = 1280, 800
SLOW = 120_000  # ms; a busy machine
COMPILED = 400_000  # ms; until a server whose kernels have never been compiled shows a rendered picture, on a busy machine


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with page_server(tmp_path_factory.mktemp("demo"), "demo") as (url, _):
        yield url


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.set_default_timeout(SLOW)
    yield page
    page.close()


def _open(page: Page, url: str, query: str = "") -> list[str]:
    """Opens the page and waits until a camera pane has a rendered picture. Returns what the page complains about, as it comes."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{url}/?{query}")
    page.get_by_text("PSNR").first.wait_for(timeout=COMPILED)
    return complaints


def _at(page: Page, frame: int) -> None:
    page.wait_for_function(f"() => new URLSearchParams(location.search).get('frame') === '{frame}'")


def _mode(page: Page, mode: str) -> None:
    page.wait_for_function(f"() => new URLSearchParams(location.search).get('mode') === '{mode}'")


def test_the_page_shows_the_run_and_the_address_follows_mouse_and_keys(page: Page, address: str) -> None:
    complaints = _open(page, address, "frame=12&cameras=3")
    page.get_by_text("Frame 12 of 30: reconstructed").wait_for()
    page.get_by_text("cam03").first.wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("Frame 13 of 30: reconstructed").wait_for()
    _at(page, 13)
    page.keyboard.press("End")
    _at(page, 30)
    page.keyboard.press("c")
    page.wait_for_function("() => new URLSearchParams(location.search).get('cameras') === '4'")
    page.keyboard.press("w")
    page.wait_for_function("() => (new URLSearchParams(location.search).get('mode') || '').startsWith('wipe')")
    timeline = page.get_by_role("slider", name=re.compile("Timeline"))
    box = timeline.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.wait_for_function("() => { const f = +new URLSearchParams(location.search).get('frame'); return f > 8 && f < 24; }")
    assert not complaints


def test_a_link_opens_what_it_says(page: Page, address: str) -> None:
    _open(page, address, "frame=5&cameras=2,7&mode=render.colour,error.colour&panel=quality")
    page.get_by_text("Frame 5 of 30: reconstructed").wait_for()
    page.get_by_text("cam02").first.wait_for()
    page.get_by_text("cam07").first.wait_for()
    page.get_by_text("Error map").first.wait_for()
    page.get_by_role("tab", name="Quality", selected=True).wait_for()


def test_the_palette_runs_a_command(page: Page, address: str) -> None:
    _open(page, address, "frame=9")
    page.keyboard.press("Control+k")
    page.get_by_placeholder("Find a command").fill("last frame")
    page.get_by_role("option", selected=True).get_by_text("Last frame").wait_for()
    page.keyboard.press("Enter")
    _at(page, 30)


def test_two_tabs_share_time_but_not_cameras(chromium: Browser, page: Page, address: str) -> None:
    _open(page, address, "frame=4&cameras=1")
    other = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    try:
        other.set_default_timeout(SLOW)
        _open(other, address, "cameras=6")
        page.keyboard.press("ArrowRight")
        _at(page, 5)
        _at(other, 5)
        other.get_by_text("cam06").first.wait_for()
        page.get_by_text("cam01").first.wait_for()
    finally:
        other.close()


@pytest.mark.parametrize(("size", "scale"), [((1024, 700), 2.0), ((1280, 800), 1.5), ((1920, 1080), 1.0)])
def test_nothing_of_the_arrangement_overlaps_or_leaves_the_window(
    chromium: Browser, address: str, size: tuple[int, int], scale: float
) -> None:
    page = chromium.new_page(viewport={"width": size[0], "height": size[1]}, device_scale_factor=scale)
    try:
        page.set_default_timeout(SLOW)
        _open(page, address, "cameras=3,5")
        boxes = page.evaluate(
            """() => ['header', 'iframe', '[aria-label="Cameras"]', '[aria-label="Inspector"]', '[aria-label="Timeline"]']
            .map(s => document.querySelector(s).getBoundingClientRect()).map(r => [r.left, r.top, r.right, r.bottom])"""
        )
        for left, top, right, bottom in boxes:
            assert 0 <= left < right <= size[0] + 0.5
            assert 0 <= top < bottom <= size[1] + 0.5
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                apart = a[2] <= b[0] + 1 or b[2] <= a[0] + 1 or a[3] <= b[1] + 1 or b[3] <= a[1] + 1
                assert apart, (a, b)
        assert page.evaluate(
            "() => document.documentElement.scrollWidth <= innerWidth && document.documentElement.scrollHeight <= innerHeight"
        )
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll('button, [role=tab], select, input')].filter(e => e.offsetParent !== null)
            .filter(e => !(e.getAttribute('aria-label') || e.innerText.trim() || e.labels?.length || e.title))
            .map(e => e.outerHTML.slice(0, 200))"""
        )
        assert unnamed == []
        sharp = """() => ['.tsp-stage canvas', '[aria-label="Timeline"] canvas'].map(s => document.querySelector(s))
            .map(c => [c.width / c.clientWidth, c.height / c.clientHeight])"""
        for ratios in page.evaluate(sharp):
            assert ratios == pytest.approx([scale, scale], rel=0.02)
    finally:
        page.close()


def _choose(page: Page, menu: str, option: str) -> None:
    """From a menu; one that closes because the page changes at that moment is opened again."""
    from playwright.sync_api import TimeoutError as Late

    entry = page.get_by_role("option", name=option)
    for _ in range(3):
        page.get_by_label(menu).click()
        try:
            entry.click(timeout=SLOW / 6)
        except Late:
            continue
        return
    raise AssertionError(f"the menu {menu!r} does not offer {option!r}")


def test_keys_work_after_a_menu_was_used_and_a_comparison_without_meaning_is_not_made(page: Page, address: str) -> None:
    _open(page, address, "frame=12&cameras=3")
    _choose(page, "Channel", "Depth")
    _mode(page, "render.depth")
    page.keyboard.press("ArrowRight")
    _at(page, 13)
    _choose(page, "What is shown", "Wipe")
    _mode(page, "wipe.colour")
    page.get_by_text("right part", exact=True).wait_for()  # which pixels the PSNR is of


def test_playing_begins_anew_at_the_end_and_loop_says_whether_it_is_on(page: Page, address: str) -> None:
    _open(page, address, "frame=30&cameras=3")
    loop = page.get_by_role("button", name="Loop", exact=True)
    assert loop.get_attribute("aria-pressed") == "true"
    loop.click()
    page.wait_for_function("() => document.querySelector('[aria-label=Loop]').getAttribute('aria-pressed') === 'false'")
    page.evaluate(
        """() => { window.said = []; const status = document.querySelector('header [role=status]');
        new MutationObserver(() => said.push(status.innerText)).observe(status, {childList: true, subtree: true, characterData: true}); }"""
    )
    page.keyboard.press("Space")  # the button that was clicked does not take it
    page.wait_for_function("() => said.length > 1 && /^Frame 1 of/.test(said[0]) && /^Frame 30 of/.test(said.at(-1))")
    assert loop.get_attribute("aria-pressed") == "false"


def test_a_row_of_the_quality_table_leads_to_its_frame_and_no_column_is_cut(page: Page, address: str) -> None:
    _open(page, address, "frame=12&cameras=3&panel=quality")
    page.locator('[aria-label="Inspector"] [row-id="7"] [col-id="frame"]').first.click()
    _at(page, 7)
    cut = """() => [...document.querySelectorAll('[aria-label="Inspector"] .ag-header-cell-text')].filter(e => e.offsetParent)
        .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)"""
    assert page.evaluate(cut) == []


def test_a_photograph_is_there_before_the_workbench(chromium: Browser, tmp_path: Path) -> None:
    with page_server(tmp_path, "demo") as (url, _):
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        try:
            page.set_default_timeout(SLOW)
            page.goto(f"{url}/?frame=5&cameras=4")
            photograph = page.get_by_role("img", name="Photograph of cam04, frame 5")
            photograph.wait_for()
            page.wait_for_function("() => [...document.images].every((image) => image.complete && image.naturalWidth === 320)")
            page.get_by_text("PSNR").first.wait_for()
            assert photograph.count() == 0
        finally:
            page.close()


def test_ctrl_c_ends_the_program_and_leaves_no_worker(tmp_path: Path) -> None:
    with page_server(tmp_path, "demo") as (_, process):
        pid = process.pid
    assert process.returncode == 0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        assert int(fields[1]) != pid, f"{entry.parent.name} outlived the server"
    assert not os.path.exists(f"/proc/{pid}")
