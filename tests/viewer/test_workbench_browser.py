"""The whole page in a real browser: headless Chromium on ``trackersplat-view demo``, used with mouse and keys."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import wait_for_closed_menu
from page_server import LOG, started_page_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

WIDTH, HEIGHT = 1280, 800
SLOW = 120_000  # ms; a busy machine
HEADS = '[aria-label="Inspector"] .ag-header-cell-text'
FACTS = """() => ({address: location.search, focus: document.activeElement?.outerHTML.slice(0, 300), focused: document.hasFocus(),
  menus: document.querySelectorAll('.q-menu').length, frame: document.querySelector('.timeline-surface')?.getAttribute('aria-valuenow'),
  status: document.querySelector('header [role=status]')?.innerText, connected: window.socket?.connected,
  shown: document.querySelector('[aria-label="What is shown"]')?.value})"""  # of the page, for a test that waits in vain
COMPILED = 400_000  # ms; until a server whose kernels have never been compiled shows a rendered picture, on a busy machine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """One for the whole module: the first test meets it as it starts, the last one ends it."""
    with started_page_server(folder, "demo") as started:
        yield started


@pytest.fixture(scope="module")
def address(server: tuple[str, subprocess.Popen[str]]) -> str:
    return server[0]


@contextmanager
def _opened(chromium: Browser, width: int = WIDTH, height: int = HEIGHT, scale: float = 1.0) -> Iterator[Page]:
    page = chromium.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
    page.set_default_timeout(SLOW)
    try:
        yield page
    finally:
        page.close()


@pytest.fixture(scope="module")
def opened(chromium: Browser, address: str) -> Iterator[tuple[Page, list[str]]]:
    """A page of frame 12 and camera 3, and what it complains about."""
    with _opened(chromium) as page:
        yield page, _open(page, address, "frame=12&cameras=3")


@pytest.fixture
def shared(opened: tuple[Page, list[str]], folder: Path) -> Iterator[Page]:
    """One page for all tests that do not need one of their own. What one leaves is what the next begins with."""
    page, complaints = opened
    yield page
    print("the server said:", (folder / LOG).read_text()[-2000:], sep="\n")  # shown with a test that fails
    assert complaints == []


def _open(page: Page, url: str, query: str = "") -> list[str]:
    """Opens the page and waits until a camera pane has a rendered picture. Returns what the page complains about, as it comes."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{url}/?{query}")
    page.get_by_text("PSNR").first.wait_for(timeout=COMPILED)
    return complaints


def _until(page: Page, condition: str) -> None:
    """Waits for it, and tells what the page was like if it does not come."""
    from playwright.sync_api import TimeoutError as Late

    try:
        page.wait_for_function(f"() => {condition}")
    except Late as late:
        raise AssertionError(f"not reached: {condition}; {page.evaluate(FACTS)}") from late


def _at(page: Page, frame: int) -> None:
    _until(page, f"new URLSearchParams(location.search).get('frame') === '{frame}'")


def _mode(page: Page, mode: str) -> None:
    _until(page, f"new URLSearchParams(location.search).get('mode') === '{mode}'")


def _plain(page: Page) -> None:
    """Until panes show the render alone, which the address does not name."""
    _until(page, "!new URLSearchParams(location.search).has('mode')")


# A page costs seconds to open, and as much again in every frame that it shows while another one is used.


def test_a_photograph_is_there_before_the_workbench_of_which_nothing_overlaps_or_leaves_a_small_window(
    chromium: Browser, address: str
) -> None:
    with _opened(chromium, 1024, 700, 2.0) as page:
        page.goto(f"{address}/?frame=5&cameras=4,2")
        photograph = page.get_by_role("img", name="Photograph of cam04, frame 5")
        photograph.wait_for()
        page.wait_for_function("() => [...document.images].every((image) => image.complete && image.naturalWidth === 320)")
        page.get_by_text("PSNR").first.wait_for(timeout=COMPILED)
        assert photograph.count() == 0
        _check_arrangement(page, (1024, 700), 2.0)


def test_a_link_opens_what_it_says_beside_a_tab_with_which_it_shares_time_but_not_cameras(
    chromium: Browser, shared: Page, address: str
) -> None:
    with _opened(chromium, scale=1.5) as page:
        page.route("**/stage/**", lambda route: route.fulfill(body=""))  # nothing is asked of it here, and drawing it takes seconds
        _open(page, address, "frame=5&cameras=2,7&mode=render.colour,error.colour&panel=quality")
        page.get_by_text("Frame 5 of 30: reconstructed").wait_for()
        page.get_by_text("cam02").first.wait_for()
        page.get_by_text("cam07").first.wait_for()
        page.get_by_text("Error map").first.wait_for()
        page.get_by_role("tab", name="Quality", selected=True).wait_for()
        _check_arrangement(page, (WIDTH, HEIGHT), 1.5)
        assert _cut_columns(page) == []
        page.locator('[aria-label="Inspector"] [row-id="7"] [col-id="frame"]').first.click()
        _at(page, 7)  # a row of the table leads to its frame
        shared.get_by_text("Frame 7 of 30").first.wait_for()
        shared.keyboard.press("ArrowRight")
        _at(shared, 8)
        _at(page, 8)
        for camera in ("cam02", "cam07"):
            page.get_by_text(camera).first.wait_for()
        shared.get_by_text("cam03").first.wait_for()
        assert shared.evaluate("() => new URLSearchParams(location.search).get('cameras')") == "3"


def _cut_columns(page: Page) -> list[str]:
    """Heads of columns of the table in the inspector that do not fit."""
    found: list[str] = page.evaluate(
        f"""() => [...document.querySelectorAll('{HEADS}')].filter(e => e.offsetParent)
        .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)"""
    )
    return found


def test_the_page_shows_the_run_and_the_address_follows_mouse_and_keys(shared: Page) -> None:
    shared.keyboard.press("Home")
    shared.get_by_text("Frame 1 of 30: reconstructed").wait_for()
    shared.keyboard.press("ArrowRight")
    shared.get_by_text("Frame 2 of 30: reconstructed").wait_for()
    _at(shared, 2)
    shared.keyboard.press("End")
    _at(shared, 30)
    shared.keyboard.press("c")
    shared.wait_for_function("() => new URLSearchParams(location.search).get('cameras') === '4'")
    shared.keyboard.press("w")
    shared.wait_for_function("() => (new URLSearchParams(location.search).get('mode') || '').startsWith('wipe')")
    timeline = shared.get_by_role("slider", name=re.compile("Timeline"))
    box = timeline.bounding_box()
    assert box is not None
    shared.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    shared.wait_for_function("() => { const f = +new URLSearchParams(location.search).get('frame'); return f > 8 && f < 24; }")
    shared.keyboard.press("w")
    _plain(shared)


def test_the_palette_runs_a_command(shared: Page) -> None:
    shared.keyboard.press("Home")
    shared.get_by_text("Frame 1 of 30").first.wait_for()
    shared.keyboard.press("Control+k")
    shared.get_by_placeholder("Find a command").fill("last frame")
    shared.get_by_role("option", selected=True).get_by_text("Last frame").wait_for()
    shared.keyboard.press("Enter")
    _at(shared, 30)


def test_a_window_that_is_made_larger_is_filled(shared: Page) -> None:
    shared.set_viewport_size({"width": 1920, "height": 1080})
    shared.wait_for_function("() => document.querySelector('[aria-label=\"Timeline\"]').getBoundingClientRect().right > 1900")
    shared.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    _check_arrangement(shared, (1920, 1080), 1.0)
    shared.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def _check_arrangement(page: Page, size: tuple[int, int], scale: float) -> None:
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
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth && document.documentElement.scrollHeight <= innerHeight")
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
        wait_for_closed_menu(page)
        return
    raise AssertionError(f"the menu {menu!r} does not offer {option!r}")


def test_keys_work_after_a_menu_was_used_and_a_comparison_without_meaning_is_not_made(shared: Page) -> None:
    shared.keyboard.press("Home")
    shared.get_by_text("Frame 1 of 30").first.wait_for()
    _choose(shared, "Channel", "Depth")
    _mode(shared, "render.depth")
    shared.keyboard.press("ArrowRight")
    _at(shared, 2)
    _choose(shared, "What is shown", "Wipe")
    _mode(shared, "wipe.colour")
    shared.get_by_text("right part", exact=True).wait_for()  # which pixels the PSNR is of
    shared.keyboard.press("w")
    _plain(shared)


def test_keys_work_after_a_menu_and_a_switch_of_a_panel_were_used(shared: Page) -> None:
    shared.keyboard.press("Home")
    shared.get_by_text("Frame 1 of 30").first.wait_for()
    shared.get_by_role("tab", name="Stage", exact=True).click()
    shared.get_by_role("combobox", name="Colour by").click()
    shared.get_by_role("option", name="Failure score").wait_for()
    shared.wait_for_timeout(1000)  # after which a tooltip has come
    assert shared.locator(".q-tooltip").count() == 0, "nothing lies over the menu"
    shared.get_by_role("option", name="Failure score").click()
    wait_for_closed_menu(shared)
    shared.keyboard.press("ArrowRight")
    _at(shared, 2)
    trails = shared.get_by_role("switch", name="Older parts are fainter")
    trails.click()
    shared.get_by_role("switch", name="Older parts are fainter", checked=False).wait_for()
    shared.keyboard.press("Space")  # plays, and does not switch it again
    shared.wait_for_function("() => document.querySelector('.timeline-surface').getAttribute('aria-valuenow') !== '2'")
    shared.keyboard.press("k")
    assert trails.get_attribute("aria-checked") == "false"
    shared.get_by_role("tab", name="Tracks", exact=True).click()


def test_the_sheet_of_keys_opens_by_the_printed_sign_and_why_a_key_did_nothing_is_said(shared: Page) -> None:
    shared.keyboard.press("?")
    shared.get_by_text("Show all keys").wait_for()
    shared.keyboard.press("Escape")
    shared.get_by_text("Show all keys").wait_for(state="hidden")
    shared.keyboard.press("h")
    shared.get_by_text("No Gaussian is selected: use a tool on the left").first.wait_for()
    shared.get_by_role("button", name="Close").first.click()
    shared.keyboard.press("Home")
    shared.get_by_label("What went wrong, in sentences").wait_for(state="hidden")


def test_playing_begins_anew_at_the_end_and_loop_says_whether_it_is_on(shared: Page) -> None:
    shared.keyboard.press("End")
    shared.get_by_text("Frame 30 of 30").first.wait_for()
    loop = shared.get_by_role("button", name="Loop", exact=True)
    assert loop.get_attribute("aria-pressed") == "true"
    loop.click()
    shared.wait_for_function("() => document.querySelector('[aria-label=Loop]').getAttribute('aria-pressed') === 'false'")
    shared.evaluate(
        """() => { window.said = []; const status = document.querySelector('header [role=status]');
        new MutationObserver(() => said.push(status.innerText)).observe(status, {childList: true, subtree: true, characterData: true}); }"""
    )
    shared.keyboard.press("Space")  # the button that was clicked does not take it
    shared.wait_for_function("() => said.length > 1 && /^Frame 1 of/.test(said[0]) && /^Frame 30 of/.test(said.at(-1))")
    assert loop.get_attribute("aria-pressed") == "false"


def test_no_column_of_the_quality_table_is_cut(shared: Page) -> None:
    shared.get_by_role("tab", name="Quality").click()
    shared.wait_for_function(f"() => [...document.querySelectorAll('{HEADS}')].some(e => e.offsetParent)")
    assert _cut_columns(shared) == []


def test_ctrl_c_ends_the_program_and_leaves_no_worker(server: tuple[str, subprocess.Popen[str]], shared: Page) -> None:
    """The last of all, with a page open."""
    _, process = server
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        assert int(fields[1]) != process.pid, f"{entry.parent.name} outlived the server"
    assert not os.path.exists(f"/proc/{process.pid}")
    shared.get_by_text("The server does not answer.").first.wait_for()
    assert "start trackersplat-view again" in shared.locator(".tsp-message").first.inner_text()
