"""The camera pane in a real browser, with real mouse and keys, on a page of its own (pane_page.py)."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from forked import Program
from pane_page import HEIGHT, WIDTH, Scene, cameras, diagnosis, gaussians, photo
from waiting import wait_for

from trackersplat.metrics.image import psnr
from viewer.components.camera_pane import PanePoint, read_point
from viewer.views.picture import pane_picture
from viewer.views.request import PaneRequest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BAR = 26  # CSS pixels of the label bar


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"x": 1, "y": 2.5, "track": [7, 1, 0], "shift": True}, PanePoint(0, 1.0, 2.5, 7 + (1 << 20), True)),
        ({"x": 1, "y": 2.5, "track": None}, PanePoint(0, 1.0, 2.5)),
        ({"x": 1}, None), ({"x": float("nan"), "y": 1}, None), ({"x": 1, "y": 10**400}, None), ({"x": True, "y": 1}, None),
        ("x", None), (None, None),
        ({"x": 1, "y": 1, "track": [1, 2]}, None), ({"x": 1, "y": 1, "track": [-1, 0, 0]}, None), ({"x": 1, "y": 1, "track": "7"}, None),
        ({"x": 1, "y": 1, "track": [0.5, 0, 0]}, None), ({"x": 1, "y": 1, "track": [float("inf"), 0, 0]}, None),
    ],
)  # fmt: skip
def test_points_from_the_page_are_checked(data: Any, expected: PanePoint | None) -> None:
    assert read_point(0, data) == expected


# -- the page -------------------------------------------------------------------------------------------------------------


class Server:
    """The page's program."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.loads(answer.read())

    def set(self, **changes: Any) -> None:
        self.get("/set?" + "&".join(f"{name}={value}" for name, value in changes.items()))

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.get("/events") if event["kind"] == kind]


START = {"pane": 0, "camera": 1, "frame": 3, "compare": "render", "channel": "colour", "wipe": 0.5, "overlay": 0, "tracks": 60, "ready": 1}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Program(str(Path(__file__).with_name("pane_page.py"))) as program:
        yield Server(json.loads(program.stdout.readline())["url"])


@contextmanager
def opened(chromium: Browser, server: Server, query: str = "", scale: float = 1.0, **start: Any) -> Iterator[Page]:
    server.set(**{**START, **start})
    context = chromium.new_context(viewport={"width": 1000, "height": 720}, device_scale_factor=scale)
    page = context.new_page()
    page.goto(f"{server.url}/{query}")
    page.wait_for_selector('.tsp[data-exact="true"]', timeout=60_000)
    server.events("")
    yield page
    context.close()


LISTEN = "el.addEventListener('shown', (event) => window.drawn.push([event.detail.frame, performance.now()]));"
FIND = "const el = document.querySelector('.tsp'); const pane = el && getElement(el.id.slice(1));"


def pane(page: Page, expression: str) -> Any:
    """Evaluates ``expression`` with ``pane`` as the component and ``el`` as its element."""
    return page.evaluate(f"() => {{ {FIND} return {expression}; }}")


def settle(page: Page, condition: str = "true") -> None:
    """Until the picture at rest, of which ``condition`` holds (``h`` is its header), is there and drawn."""
    ready = f"pane && h.exact && pane.unacknowledged === null && !pane.frameRequested && ({condition})"
    page.wait_for_function(f"() => {{ {FIND} const h = pane?.picture?.header ?? {{}}; return {ready}; }}", timeout=60_000)


PIXELS = """(canvas) => {
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let text = '';
    for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
    return [canvas.width, canvas.height, btoa(text)];
}"""


def canvas(page: Page, index: int = 0) -> np.ndarray:
    """(H, W, 4) uint8 of the picture's canvas (0) or that of the marks (1)."""
    width, height, text = pane(page, f"({PIXELS})(el.querySelectorAll('canvas')[{index}])")
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)


def mapping(page: Page) -> dict[str, float]:
    return pane(page, "pane.mapping()")


def expected(**changes: Any) -> np.ndarray:
    """The server's own picture of the whole camera at rest."""
    from trackersplat.rendering.registry import choose_rasterizer

    request = PaneRequest(**{"camera": 1, "frame": 3, "size": (WIDTH, HEIGHT), **changes})
    return pane_picture(request, Scene(choose_rasterizer()).sources(request)).image


def on_page(page: Page, x: float, y: float) -> tuple[float, float]:
    """CSS position of a camera point."""
    box = page.locator(".tsp-stage").bounding_box()
    m = mapping(page)
    ratio = page.evaluate("devicePixelRatio")
    assert box is not None
    return float(box["x"] + (x - m["ox"]) * m["sx"] / ratio), float(box["y"] + (y - m["oy"]) * m["sy"] / ratio)


browser = pytest.mark.browser
slow = pytest.mark.slow


@browser
@slow
@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
def test_the_picture_is_the_server_s_own_and_zooming_shows_single_pixels_exactly(chromium: Browser, server: Server, scale: float) -> None:
    with opened(chromium, server, f"?width=640&height={480 + BAR}", scale) as page:
        settle(page)
        whole = expected()
        shown = canvas(page)[..., :3]
        m = mapping(page)
        assert shown.shape[1] == 640 * scale
        left, top = round(-m["ox"] * m["sx"]), round(-m["oy"] * m["sy"])
        wide, high = round(WIDTH * m["sx"]), round(HEIGHT * m["sy"])
        scaled = cv2.resize(whole, (wide, high), interpolation=cv2.INTER_LINEAR)
        assert psnr(np.ascontiguousarray(shown[top : top + high, left : left + wide]), scaled) >= 30
        page.mouse.move(300, BAR + 200)
        while mapping(page)["sx"] < 20 * scale:
            page.mouse.wheel(0, -240)
            page.evaluate("() => new Promise(requestAnimationFrame)")
        settle(page, "h.rect[2] - h.rect[0] < 40")
        m = mapping(page)
        assert m["sx"] == round(m["sx"])
        shown = canvas(page)
        rect = pane(page, "pane.picture.header.rect")
        for y in range(rect[1] + 1, rect[3] - 1):
            for x in range(rect[0] + 1, rect[2] - 1):
                at = shown[int((y + 0.5 - m["oy"]) * m["sy"]), int((x + 0.5 - m["ox"]) * m["sx"]), :3]
                assert np.array_equal(at, whole[y, x]), (x, y)
        assert canvas(page, 1)[..., 3].any(), "the pixel grid"
        page.locator(".tsp").press("0")
        settle(page, "h.rect[2] === 640 && pane.view === null")


@browser
@slow
def test_a_click_picks_the_nearest_track_and_ctrl_gives_a_corrected_place(chromium: Browser, server: Server) -> None:
    known = diagnosis()
    mine = np.flatnonzero(known.camera == 1)
    position = known.position[3, mine]
    apart = np.linalg.norm(position[:, None] - position[None], axis=-1) + 1e9 * np.eye(len(mine))
    alone = int(np.nanargmax(apart.min(axis=1)))
    with opened(chromium, server, "?width=960&height=680", overlay=1) as page:
        settle(page, "pane.overlay?.count > 0")
        x, y = on_page(page, *position[alone])
        page.mouse.move(x + 3, y - 3)
        page.wait_for_selector(".tsp-tip:not([hidden])")
        assert f"Track {known.ids[mine[alone]]}" in page.locator(".tsp-tip").inner_text()
        page.mouse.click(x + 3, y - 3)
        page.mouse.click(5, 60)
        found: list[dict[str, Any]] = []
        wait_for(lambda: len(found.extend(server.events("pick")) or found) == 2, "the clicks")
        assert found[0]["track"] == known.ids[mine[alone]]
        assert found[1]["track"] is None
        page.keyboard.down("Control")
        page.mouse.click(*on_page(page, 100.5, 50.5))
        page.keyboard.up("Control")
        corrected: list[dict[str, Any]] = []
        wait_for(lambda: corrected.extend(server.events("correct")) or corrected, "the corrected place")
        assert (corrected[0]["x"], corrected[0]["y"]) == pytest.approx((100.5, 50.5), abs=0.8)
        server.get(f"/marks?by=score&select={known.ids[mine[alone]]}")
        page.wait_for_function("() => document.querySelector('.tsp-legend').innerText.includes('Failure score')", timeout=60_000)
        settle(page, "pane.selection.length === 1")
        legend = page.locator(".tsp-legend").inner_text()
        assert all(word in legend for word in ("measured", "reprojected", "rendered", "residual", "hidden"))
        px, py = ((position[alone] - (mapping(page)["ox"], mapping(page)["oy"])) * mapping(page)["sx"]).astype(int)
        ring = canvas(page, 1)[py - 12 : py + 12, px - 12 : px + 12]
        assert (ring[..., :3].min(axis=2) > 240).any(), "a white ring around the selected track"


@browser
@slow
def test_every_pane_has_a_name_for_screen_readers_and_the_pointed_one_reports_itself(chromium: Browser, server: Server) -> None:
    for index in range(4):
        server.set(pane=index, camera=index, frame=2, compare="render", channel="colour", overlay=0)
    with opened(chromium, server, "?count=4&width=960&height=680", camera=0) as page:
        page.wait_for_function("() => document.querySelectorAll('.tsp[data-exact=\"true\"]').length === 4", timeout=60_000)
        labels = [element.get_attribute("aria-label") or "" for element in page.locator(".tsp").all()]
        assert [label.split(",")[0] for label in labels] == [f"Camera pane {i + 1}: cam0{i}" for i in range(4)]
        assert "PSNR" in labels[2]
        page.locator(".tsp").nth(2).click()
        wait_for(lambda: {event["pane"] for event in server.events("activate")} == {2}, "the pane to be active")
        cut = "(all) => all.filter((e) => e.scrollWidth > e.clientWidth + 1).length"
        assert page.eval_on_selector_all(".tsp-name, .tsp-frame, .tsp-score", cut) == 0, "nothing important is cut"


@browser
@slow
@pytest.mark.parametrize("compare", ["render", "wipe"])
def test_in_a_narrow_pane_the_score_is_whole(chromium: Browser, server: Server, compare: str) -> None:
    server.set(**START | {"compare": compare, "camera": 0})
    with opened(chromium, server, "?width=255&height=300", camera=0) as page:
        page.locator(".tsp-score", has_text="PSNR").wait_for(timeout=60_000)
        bar, score = (page.locator(name).bounding_box() for name in (".tsp-bar", ".tsp-score"))
        assert bar is not None
        assert score is not None
        assert bar["x"] + 4 <= score["x"]
        assert score["x"] + score["width"] <= bar["x"] + bar["width"] - 4
        assert page.locator(".tsp-score").evaluate("(e) => e.scrollWidth <= e.clientWidth + 1")


# -- one page for the rest: those above are of other sizes, or count pixels of the screen ------------------------------------


@pytest.fixture(scope="module")
def only(chromium: Browser, server: Server) -> Iterator[Page]:
    with opened(chromium, server, f"?width=640&height={480 + BAR}") as page:
        yield page


@pytest.fixture
def page(only: Page, server: Server) -> Page:
    """A pane of 640x480 pixels that shows all of its camera."""
    server.set(**START)
    only.locator(".tsp").press("0")
    settle(only, "h.label === 'Render' && h.wanted === 3 && pane.view === null")
    server.events("")
    return only


@browser
@slow
def test_dragging_pans_and_keys_zoom_and_pan(page: Page, server: Server) -> None:
    page.mouse.click(320, BAR + 240)
    page.mouse.move(320, BAR + 240)
    page.mouse.wheel(0, -500)
    settle(page, "pane.view && h.rect[2] - h.rect[0] < 400")
    before = mapping(page)
    page.mouse.down()
    page.mouse.move(280, BAR + 220, steps=4)
    page.mouse.up()
    settle(page, "h.rect[0] > 0")
    after = mapping(page)
    assert after["ox"] - before["ox"] == pytest.approx(40 / before["sx"], abs=1)
    assert after["oy"] - before["oy"] == pytest.approx(20 / before["sx"], abs=1)
    page.keyboard.press("ArrowRight")
    assert mapping(page)["ox"] > after["ox"]
    page.keyboard.press("+")
    assert mapping(page)["sx"] > after["sx"]
    page.keyboard.press("-")
    page.keyboard.press("0")
    settle(page, "pane.view === null && h.rect[2] === 640")
    assert not server.events("pick")[1:], "a drag picks nothing"


@browser
@slow
def test_the_wipe_line_is_dragged_in_the_picture(page: Page, server: Server) -> None:
    server.set(compare="wipe")
    settle(page, "Math.abs(h.wipe - 0.5) < 0.003")
    page.mouse.move(320, BAR + 100)
    page.mouse.down()
    page.mouse.move(160, BAR + 120, steps=5)
    assert pane(page, "el.querySelector('.tsp-wipe').style.left") == "160px", "the line follows at once"
    page.mouse.up()
    settle(page, "Math.abs(h.wipe - 0.25) < 0.003")
    shown = canvas(page)[..., :3]
    assert psnr(np.ascontiguousarray(shown[:, :150]), photo(1, 3)[:, :150]) >= 30
    assert psnr(np.ascontiguousarray(shown[:, 170:]), expected()[:, 170:]) >= 30
    assert page.locator(".tsp-bar").inner_text().count("right part") == 1
    page.locator(".tsp-wipe").focus()
    page.keyboard.press("ArrowRight")
    settle(page, "Math.abs(h.wipe - 0.26) < 0.003")


@browser
@slow
def test_an_error_that_comes_before_a_picture_is_drawn_leaves_a_pane_that_draws_on(page: Page, server: Server) -> None:
    settle(page)
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    pane(page, "(pane.unacknowledged = pane.picture.header.serial, pane.receiveState({kind: 'error', sentence: 'It is gone.'}), 1)")
    page.wait_for_function(f"() => {{ {FIND} return pane.unacknowledged === null && !pane.frameRequested; }}")
    assert failed == []
    server.set(frame=4)
    settle(page, "h.frame === 4")


@browser
@slow
def test_marks_are_only_drawn_over_their_own_frame_and_their_absence_is_explained(page: Page, server: Server) -> None:
    server.set(overlay=1)
    settle(page, "pane.overlay?.count > 0")
    assert canvas(page, 1)[..., 3].any()
    server.set(camera=0)
    settle(page, "h.camera === 'cam00' && pane.overlay?.count === 0")
    assert not canvas(page, 1)[..., 3].any()
    assert page.locator(".tsp-legend").inner_text() == "cam00 is held out: held-out cameras are not tracked."
    server.set(camera=1, frame=5)
    settle(page, "h.wanted === 5")
    assert page.locator(".tsp-note").inner_text() == "Frame 6 is not reconstructed: frame 5 stands in, dimmed."
    assert page.locator(".tsp-frame").inner_text() == "frame 5"
    server.set(compare="error")
    page.wait_for_selector(".tsp-message.error")
    assert page.locator(".tsp-message").inner_text().startswith("No error map: frame 6 is not reconstructed.")
    server.set(frame=3)
    settle(page, "h.label === 'Error'")
    assert not page.locator(".tsp-message").is_visible()
    assert np.array_equal(canvas(page)[..., :3], expected(compare="error")), "an error map at rest arrives without loss"


@browser
@slow
def test_ten_thousand_marks_are_redrawn_and_scrubbing_follows_the_pointer(page: Page, server: Server) -> None:
    """Prints what it measures: time on a busy machine is no expectation."""
    server.set(overlay=1, tracks=10_000)
    settle(page, "pane.overlay?.count === 10000")
    times = pane(
        page,
        """(() => { const times = []; for (let i = 0; i < 10; i++) { const t = performance.now(); pane.drawMarks();
        pane.topContext.getImageData(0, 0, 1, 1); times.push(performance.now() - t); } return times; })()""",
    )
    print(f"\n10,000 tracks at 640x480: {np.percentile(times, 50):.1f} ms median, {np.percentile(times, 95):.1f} ms at 95 %")
    server.set(**START)
    settle(page, "pane.overlay === null || pane.overlay.count === 0")
    page.evaluate(f"() => {{ {FIND} window.drawn = []; {LISTEN} }}")
    for turn in range(4):
        for x in range(10, 630, 12) if turn % 2 == 0 else range(630, 10, -12):
            page.mouse.move(x, 506 + 12)
    settle(page, "h.wanted === window.scrubbed")
    scrubs, drawn = page.evaluate("[window.scrubs, window.drawn]")
    waits, at = [], 0
    for frame, when in scrubs:  # the first picture of that frame after the pointer asked for it
        at = next((i for i in range(len(drawn)) if drawn[i][0] == frame and drawn[i][1] > when), None)
        if at is not None:
            waits.append(drawn[at][1] - when)
    count = len(gaussians(0))
    print(f"scrubbing {count:,} Gaussians at {WIDTH}x{HEIGHT}: {len(scrubs)} frames asked for, {len(drawn)} pictures, "
          f"p50 {np.percentile(waits, 50):.0f} ms, p95 {np.percentile(waits, 95):.0f} ms")  # fmt: skip
    assert drawn[-1][0] == scrubs[-1][0]
    assert cameras()[1].name == pane(page, "pane.picture.header.camera")
