"""The timeline in a real browser, driven with mouse and keys on a page that holds nothing else.

The page is this file, run as a program: NiceGUI keeps one application per process.
"""

from __future__ import annotations

import json
import math
import secrets
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from forked import Program
from waiting import wait_for

from trackersplat.events import FrameDone
from viewer.views.lanes import Lane, TrackValues, Work, delta_lane, lanes, track_values

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

GUTTER, VALUES, PAD, NUMBERS, RULER = 176, 104, 9, 18, 34  # as in timeline.js
WIDTH, HEIGHT = 1280, 640
FPS = 30.0
SHORT = 300  # frames of most pages


# -- what is shown ------------------------------------------------------------------------------------------------------


def records(count: int, done: range, seed: int = 1) -> dict[int, FrameDone]:
    noise = np.random.default_rng(seed)
    found = {}
    for frame in done:
        psnr = (
            31.5
            + 1.2 * math.sin(frame / count * 9)
            + 0.15 * float(noise.normal())
            - 3.0 * math.exp(-(((frame - 0.42 * count) / (0.02 * count)) ** 2))
        )
        scores = {"psnr": psnr, "unmoved_psnr": psnr - 4.0 - 1.5 * math.sin(frame / 11)}
        seconds = 195.0 if frame == 0 else 6.0 + float(noise.random())
        gaussians = 29700 + int(300 * frame / count + 20 * noise.normal())
        found[frame] = FrameDone(frame, frame - 1 if frame else None, scores, {}, gaussians, 0.9, 0.7, {"track": seconds})
    return found


@dataclass(frozen=True)
class Facts:
    """A diagnosis of tracks that end one by one; few are left in a stretch."""

    frames: tuple[int, ...]
    camera: np.ndarray
    query: np.ndarray
    position: np.ndarray
    evidence: dict[str, np.ndarray]

    @staticmethod
    def make(count: int, tracks: int = 88) -> Facts:
        noise = np.random.default_rng(2)
        frames = np.arange(count)
        camera = np.arange(tracks) % 11
        lifetime = noise.integers(count // 3, 2 * count, tracks)
        seen = (frames[:, None] < lifetime) & ~((np.abs(frames[:, None] / count - 0.42) < 0.03) & (np.arange(tracks) % 3 > 0))
        error = np.abs(noise.normal(0.6, 0.2, (count, tracks))) + 4 * np.exp(-(((frames / count - 0.42) / 0.03) ** 2))[:, None]
        error = np.where(seen, error, np.nan).astype(np.float32)
        return Facts(
            tuple(range(count)), camera, np.zeros((tracks, 3)), np.where(seen[..., None], 1.0, np.nan).repeat(2, 2), {"reprojection": error}
        )


@cache
def example(count: int) -> tuple[Lane, ...]:
    """A run that is two thirds done, one stretch of it stale, one frame failed."""
    done = range(2 * count // 3)
    found = records(count, done)
    training = {frame: record.scores["psnr"] + 2.0 for frame, record in found.items()}
    stale = range(count // 4, count // 4 + count // 12)
    work = Work(done, 2 * count // 3, (count // 2, count // 2 + 1), stale)
    tracks: TrackValues = track_values(Facts.make(count))
    made = lanes(count, found, training, work, tracks, (3, 7))
    return (*made, delta_lane(count, found, records(count, range(count // 2), seed=3)))


def serve() -> None:
    """Prints its port, then serves timelines over the whole width, ``/events``, and ``/call`` for their methods."""
    import socket

    import uvicorn
    from fastapi import FastAPI
    from nicegui import ui

    from viewer.components.timeline import Timeline

    events: list[Any] = []
    timelines: dict[str, Timeline] = {}  # by the name that the test gives its page
    api = FastAPI()
    following = [True]  # the page's frame follows what the user asks for, as the real page does

    @api.get("/events")
    def take() -> list[Any]:
        taken = events[:]
        events.clear()
        return taken

    @api.post("/call")
    async def call(request: dict[str, Any]) -> None:
        method, arguments = request["method"], request["arguments"]
        timeline = timelines.get(request["page"])
        if method == "follow":
            following[0] = arguments[0]
        elif timeline is None:
            raise KeyError(request["page"])
        elif method == "example":
            timeline.set_lanes(example(arguments[0]))
        elif method == "first_psnr":  # a single value changes
            shown = example(SHORT)
            lane = shown[1]
            row = replace(lane.series[0], values=(arguments[0], *lane.series[0].values[1:]))
            timeline.set_lanes((shown[0], replace(lane, series=(row, *lane.series[1:])), *shown[2:]))
        else:
            getattr(timeline, method)(*arguments)

    @ui.page("/")
    def page(height: int = 200, name: str = "", count: int = SHORT) -> None:
        ui.add_css(
            ":root{--bg:#14171c;--surface:#1b1f26;--raised:#232932;--line:#323a46;--text:#e6e9ee;--muted:#9aa4b2;--accent:#5aa9f0;"
            "--good:#56b4a0;--warn:#e0a458;--bad:#e0716c} body{background:#14171c;overflow:hidden}"
        )
        ui.query(".nicegui-content").style("position:fixed;inset:0;padding:0;display:block")

        def on_seek(seek: Any) -> None:
            events.append(["seek", asdict(seek)])
            if following[0]:
                timeline.set_frame(seek.frame, seek.frame)

        with ui.element("div").style(f"position:absolute;left:0;right:0;bottom:0;height:{height}px"):
            timeline = Timeline(
                count,
                FPS,
                on_seek=on_seek,
                on_range=lambda span: events.append(["range", span]),
                on_run_range=lambda span: events.append(["run_range", span]),
                on_menu=lambda menu: events.append(["menu", asdict(menu)]),
            )
        timeline.set_lanes(example(count))
        timeline.set_frame(count // 3, count // 3)
        timelines[name] = timeline

    ui.run_with(api, dark=True, storage_secret=None)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)  # who connects before the server runs waits
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(api, log_level="warning")).run([listener])


# -- the tests' side ----------------------------------------------------------------------------------------------------


class Server:
    """The page in a process of its own."""

    def __init__(self, program: Program) -> None:
        self.url = f"http://127.0.0.1:{int(program.stdout.readline())}"
        self._events: list[Any] = []

    def call(self, page: str, method: str, *arguments: Any) -> None:
        data = json.dumps({"page": page, "method": method, "arguments": arguments}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/call", data, {"Content-Type": "application/json"})).close()

    def events(self, count: int) -> list[Any]:
        """The next events, once there are so many."""

        def come() -> bool:
            with urllib.request.urlopen(f"{self.url}/events") as answer:
                self._events += json.load(answer)
            return len(self._events) >= count

        wait_for(come, f"{count} events, of which there are {self._events}")
        taken, self._events = self._events, []
        return taken


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Program(__file__) as program:
        yield Server(program)


class Driver:
    """A page with a timeline over its whole width, and where the mouse has to go."""

    def __init__(self, browser: Browser, server: Server, scale: float = 1.0, height: int = 200, count: int = SHORT) -> None:
        self.server, self.scale, self.height, self.width, self.count = server, scale, height, WIDTH, count
        self.page: Page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=scale)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.name = secrets.token_hex(4)
        self.call("follow", True)
        self.page.goto(f"{server.url}/?height={height}&name={self.name}&count={count}")
        self.surface = self.page.locator(".timeline-surface")
        self.wait_frame(count // 3)
        self.wait("t.lanes.length > 0")
        server.events(0)

    def close(self) -> None:
        self.page.close()
        assert self.errors == []

    def call(self, method: str, *arguments: Any) -> None:
        """A method of the Python class, or what the page adds to them."""
        self.server.call(self.name, method, *arguments)

    def reset(self) -> None:
        """As if the page had just been opened."""
        self.page.mouse.move(600, 10)
        if (self.height, self.width) != (200, WIDTH):  # what a test that failed has left
            self.set_width(WIDTH)
            self.set_height(200)
        self.ask("t.emit('menu', {frame: 0, lane: null, x: -1, y: -1})")  # the last of all that is on its way
        while self.server.events(1)[-1] != ["menu", {"frame": 0, "lane": None, "x": -1, "y": -1}]:
            pass
        for method, *arguments in (
            ("follow", True),
            ("set_lanes", []),
            ("set_range", None),
            ("set_busy", None),
            ("example", self.count),
            ("set_frame", self.count // 3, None),
        ):
            self.call(method, *arguments)
        self.wait(f"t.lanes.length === 9 && t.count === {self.count} && t.frame === {self.count // 3}")
        self.ask("t.look([0, t.count])")

    def ask(self, script: str) -> Any:
        """A value of the component, ``t``."""
        return self.page.evaluate(f"() => {{ const t = document.querySelector('.timeline').timeline; return {script}; }}")

    def wait(self, condition: str) -> None:
        self.page.wait_for_function(f"() => {{ const t = document.querySelector('.timeline').timeline; return {condition}; }}")

    def rest(self) -> None:
        """Until everything asked for is drawn."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def set_height(self, height: int) -> None:
        self.height = height
        self.ask(f"t.root.parentElement.style.height = '{height}px'")
        self.wait(f"t.base.height === {height * self.scale}")
        self.rest()

    def set_width(self, width: int) -> None:
        self.width = width
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        self.wait(f"t.base.width === {width * self.scale}")
        self.rest()

    def view(self) -> tuple[float, float]:
        first, last = self.ask("t.view")
        return first, last

    def x(self, frame: float) -> float:
        """Of the middle of a frame, in CSS pixels."""
        first, last = self.view()
        left = GUTTER + PAD
        return left + (frame + 0.5 - first) / (last - first) * (self.width - GUTTER - VALUES - 2 * PAD)

    def y(self, below: float = 60) -> float:
        return HEIGHT - self.height + below

    def move(self, frame: float, below: float = 60) -> None:
        self.page.mouse.move(self.x(frame), self.y(below))

    def wait_frame(self, frame: int) -> None:
        self.page.wait_for_selector(f".timeline-surface[aria-valuenow='{frame + 1}']")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def tooltip(self) -> list[str]:
        """Its lines as a person reads them."""
        self.rest()
        tip = self.page.locator(".timeline-tooltip")
        return [" ".join(line.split()) for line in tip.locator("> *").all_inner_texts()] if tip.is_visible() else []

    def pixel(self, layer: str, x: float, below: float) -> tuple[int, int, int, int]:
        """Of a canvas ("base", "over", "ruler" or "values") at a place in CSS pixels."""
        self.rest()
        place = f"{round(x * self.scale)}, {round(below * self.scale)}, 1, 1"
        red, green, blue, alpha = self.ask(f"[...t.{layer}.getContext('2d').getImageData({place}).data]")
        return red, green, blue, alpha


@pytest.fixture(scope="module")
def opened(chromium: Browser, server: Server) -> Iterator[Driver]:
    driver = Driver(chromium, server)
    yield driver
    driver.close()


@pytest.fixture
def driver(opened: Driver) -> Driver:
    """The page of 300 frames, as it was when it was opened."""
    opened.reset()
    return opened


@pytest.fixture(scope="module")
def long(chromium: Browser, server: Server) -> Iterator[Driver]:
    """A page of 10,000 frames."""
    driver = Driver(chromium, server, count=10_000)
    yield driver
    driver.close()


# -- mouse ---------------------------------------------------------------------------------------------------------------


def test_a_click_seeks_at_once(driver: Driver) -> None:
    driver.move(40)
    driver.page.mouse.down()
    assert driver.server.events(1) == [["seek", {"frame": 40, "phase": "down"}]]
    driver.page.mouse.up()
    assert driver.server.events(1) == [["seek", {"frame": 40, "phase": "up"}]]
    assert driver.surface.get_attribute("aria-valuenow") == "41"


def test_a_drag_seeks_while_it_moves_and_stays_within_the_clip(driver: Driver) -> None:
    driver.move(100)
    driver.page.mouse.down()
    for frame in (120, 140, 160):
        driver.move(frame)
        driver.rest()
    events = driver.server.events(4)
    assert events == [["seek", {"frame": frame, "phase": "down" if frame == 100 else "move"}] for frame in (100, 120, 140, 160)]
    driver.page.mouse.move(WIDTH - 1, driver.y())
    driver.page.mouse.up()
    assert driver.server.events(2)[-1] == ["seek", {"frame": 299, "phase": "up"}]


def test_the_gutter_and_the_values_are_no_frames(driver: Driver) -> None:
    for x in (60, WIDTH - 30):
        driver.page.mouse.click(x, driver.y())
    driver.page.mouse.click(driver.x(7), driver.y())
    assert driver.server.events(2) == [["seek", {"frame": 7, "phase": phase}] for phase in ("down", "up")]


def test_the_wheel_zooms_around_the_pointer(driver: Driver) -> None:
    x = round(driver.x(200))
    driver.page.mouse.move(x, driver.y())
    under = (x - driver.x(-0.5)) / (driver.x(1) - driver.x(0))  # the time under the pointer, in frames
    for _ in range(6):
        driver.page.mouse.wheel(0, -120)
    driver.wait("t.view[1] - t.view[0] < 80")
    first, last = driver.view()
    assert last - first == pytest.approx(300 * math.exp(-6 * 0.24))
    assert driver.x(under - 0.5) == pytest.approx(x)  # it stays there
    for _ in range(30):
        driver.page.mouse.wheel(0, 240)
    driver.wait("t.view[1] === 300")
    assert driver.view() == (0, 300)


def test_the_view_is_panned_and_shown_whole_again(driver: Driver) -> None:
    driver.move(150)
    for _ in range(8):
        driver.page.mouse.wheel(0, -240)
    driver.wait("t.view[1] < 290")
    driver.rest()
    first, last = driver.view()
    driver.page.keyboard.down("Shift")
    driver.page.mouse.wheel(0, 100)
    driver.page.keyboard.up("Shift")
    driver.wait(f"t.view[0] > {first}")
    assert driver.view()[1] - driver.view()[0] == pytest.approx(last - first)
    before = driver.view()
    x, y = driver.x(before[0] + 2), driver.y()
    driver.page.mouse.move(x, y)
    driver.page.mouse.down(button="middle")
    driver.page.mouse.move(x + 200, y)
    driver.page.mouse.up(button="middle")
    driver.rest()
    moved = 200 / (WIDTH - GUTTER - VALUES - 2 * PAD) * (before[1] - before[0])
    assert driver.view() == (pytest.approx(before[0] - moved), pytest.approx(before[1] - moved))
    driver.page.mouse.dblclick(x, y)
    assert driver.view() == (0, 300)


def test_hovering_shows_the_values_of_every_lane_at_that_frame(driver: Driver) -> None:
    lanes_of = {lane.key: lane for lane in example(300)}
    driver.move(40)
    lines = driver.tooltip()
    assert lines[0] == "Frame 41 of 300 · 1.33 s"
    assert "State done" in lines
    assert f"PSNR, held out {lanes_of['psnr'].series[0].values[40]:.2f} dB" in lines
    assert f"Track error, maximum of the selection {lanes_of['error'].series[1].values[40]:.2f} px" in lines
    assert "Tracks 88" in lines
    assert len(lines) == 1 + 1 + 3 + 2 + 6
    box, tip = driver.surface.bounding_box(), driver.page.locator(".timeline-tooltip").bounding_box()
    assert box is not None
    assert tip is not None
    assert tip["y"] + tip["height"] <= box["y"]  # it covers no lane
    driver.move(126)
    assert f"Tracks {lanes_of['tracks'].series[0].values[126]:.0f} (fewer than 88)" in driver.tooltip()
    driver.move(250)
    assert {"State to do", "PSNR, held out –"} <= set(driver.tooltip())
    driver.page.mouse.move(600, 20)
    assert driver.tooltip() == []


def test_the_gutter_explains_its_lane(driver: Driver) -> None:
    driver.page.mouse.move(40, driver.y(RULER + 9))
    assert driver.tooltip() == ["State", "to do 99", "done 173", "stale 25", "running 1", "failed 2"]
    driver.page.mouse.move(40, driver.y(RULER + 27))
    assert driver.tooltip()[:3] == ["PSNR (dB): higher is better", "held out", "training"]
    driver.page.mouse.move(40, driver.y(NUMBERS + 6))
    assert driver.tooltip()[0] == "Range"


def test_the_right_button_opens_nothing_of_the_browsers(driver: Driver) -> None:
    driver.page.evaluate("() => window.addEventListener('contextmenu', (event) => (window.prevented = event.defaultPrevented))")
    x, y = driver.x(60), driver.y(RULER + 27)
    driver.page.mouse.click(x, y, button="right")
    (event,) = driver.server.events(1)
    assert event == ["menu", {"frame": 60, "lane": "psnr", "x": pytest.approx(x, abs=1), "y": pytest.approx(y, abs=1)}]
    assert driver.page.evaluate("() => window.prevented") is True


# -- range ---------------------------------------------------------------------------------------------------------------


def drag(driver: Driver, start: float, end: float, y: float) -> None:
    driver.page.mouse.move(start, y)
    driver.page.mouse.down()
    driver.page.mouse.move((start + end) / 2, y)
    driver.page.mouse.move(end, y)
    driver.rest()
    driver.page.mouse.up()


def test_handles_set_the_range_and_a_button_runs_it(driver: Driver) -> None:
    y, half = driver.y(NUMBERS + 8), (driver.x(1) - driver.x(0)) / 2
    drag(driver, driver.x(0) - half - 3, driver.x(50) - half - 3, y)
    assert driver.server.events(1) == [["range", [50, 299]]]
    drag(driver, driver.x(299) + half + 3, driver.x(120) + half + 3, y)
    assert driver.server.events(1) == [["range", [50, 120]]]
    drag(driver, driver.x(80), driver.x(90), y)  # the band between them
    assert driver.server.events(1) == [["range", [60, 130]]]
    button = driver.page.get_by_role("button", name="Reconstruct just frames 61 to 131")
    box = button.bounding_box()
    assert box is not None
    assert driver.x(130) < box["x"] < driver.x(140)
    assert (button.inner_text(), button.get_attribute("title")) == ("Run 61–131", "Reconstruct just frames 61 to 131")
    button.click()
    assert driver.server.events(1) == [["run_range", [60, 130]]]


def test_a_drag_with_alt_makes_a_range_and_a_click_with_alt_removes_it(driver: Driver) -> None:
    driver.page.keyboard.down("Alt")
    drag(driver, driver.x(90), driver.x(70), driver.y())
    assert driver.server.events(1) == [["range", [70, 90]]]
    driver.page.mouse.click(driver.x(10), driver.y())
    driver.page.keyboard.up("Alt")
    assert driver.server.events(1) == [["range", None]]
    driver.page.locator(".timeline-run").wait_for(state="hidden")


def test_the_button_stays_within_the_timeline(driver: Driver) -> None:
    for first, last in ((0, 299), (200, 299), (0, 3), (2, 298), (299, 299)):
        driver.call("set_range", first, last)
        driver.wait(f"String(t.range) === '{first},{last}'")
        driver.rest()
        box = driver.page.locator(".timeline-run").bounding_box()
        assert box is not None
        assert box["x"] >= GUTTER
        assert box["x"] + box["width"] <= WIDTH - VALUES


def test_escape_undoes_a_drag(driver: Driver) -> None:
    driver.page.keyboard.down("Alt")
    driver.page.mouse.move(driver.x(20), driver.y())
    driver.page.mouse.down()
    driver.move(60)
    driver.rest()
    driver.page.keyboard.up("Alt")
    assert driver.ask("t.range") == [20, 60]
    driver.press("Escape")
    driver.page.mouse.up()
    assert driver.ask("t.range") is None


# -- keyboard ------------------------------------------------------------------------------------------------------------


def test_it_works_by_keyboard(chromium: Browser, server: Server) -> None:
    driver = Driver(chromium, server)
    driver.press("Tab")
    driver.page.evaluate("() => window.addEventListener('keydown', (event) => event.key !== 'Shift' && (window.leaked = event.key))")
    assert driver.surface.evaluate("(element) => [element === document.activeElement, getComputedStyle(element).outline]") == [
        True,
        "rgb(90, 169, 240) solid 2px",
    ]
    steps = {
        "ArrowRight": 101, "ArrowLeft": 100, "Shift+ArrowRight": 110, "ArrowDown": 109, "ArrowUp": 110, "PageUp": 120, "PageDown": 110,
        "End": 299, "Home": 0,
    }  # fmt: skip
    for key, frame in steps.items():
        driver.press(key)
        assert driver.server.events(2) == [["seek", {"frame": frame, "phase": phase}] for phase in ("down", "up")]
    driver.press("ArrowLeft", "PageDown")  # nothing lies before the first frame
    driver.press("Shift+ArrowRight", "i", "Shift+ArrowRight", "o", "x")
    assert [event for event in driver.server.events(7) if event[0] == "range"] == [
        ["range", [10, 299]],
        ["range", [10, 20]],
        ["range", None],
    ]
    driver.press("+")
    assert driver.view()[1] - driver.view()[0] == 150
    driver.press("0")
    assert driver.view() == (0, 300)
    assert driver.page.evaluate("() => window.leaked") is None  # the page's own keys must not act a second time
    driver.press("Control+k")
    assert driver.page.evaluate("() => window.leaked") == "k"
    driver.close()


def test_a_hand_that_rests_while_it_drags_makes_the_page_draw_nothing(driver: Driver) -> None:
    driver.move(40)
    driver.page.mouse.down()
    driver.move(60)
    driver.wait_frame(60)
    driver.rest()
    driver.ask("t.drawn = 0, t.before = {...t.layers}, t.layers.over = t.layers.time = () => { t.drawn += 1; }")
    driver.rest()
    driver.move(60.2)  # to another place in the same frame
    driver.rest()
    assert driver.ask("t.drawn") == 0
    driver.move(61)
    driver.wait_frame(61)
    driver.rest()
    assert driver.ask("t.drawn") == 1  # the time, not what lies under it
    driver.ask("t.layers = t.before")
    driver.page.mouse.up()


def test_a_screen_reader_hears_what_is_shown(driver: Driver) -> None:
    psnr = example(300)[1].series[0].values[100]
    surface = driver.page.get_by_role("slider", name="Timeline")
    names = ("aria-valuemin", "aria-valuemax", "aria-valuenow", "aria-valuetext", "aria-orientation")
    expected = ["1", "300", "101", f"frame 101 of 300, done, PSNR {psnr:.2f} dB", "horizontal"]
    assert [surface.get_attribute(name) for name in names] == expected


# -- what the server says ------------------------------------------------------------------------------------------------


def test_an_answer_to_an_earlier_seek_does_not_move_the_cursor_back(driver: Driver) -> None:
    driver.call("follow", False)
    driver.page.mouse.click(driver.x(200), driver.y())
    driver.server.events(2)
    driver.ask("t.set_frame(50, 50, 1)")  # the answer to the first of the two
    assert driver.ask("t.frame") == 200
    driver.call("set_frame", 210, 205)
    driver.wait_frame(210)


def test_the_frame_of_the_picture_is_marked_where_it_is_another(driver: Driver) -> None:
    def marked(frame: int) -> bool:
        """Whether a dashed line is there: some rows of it have the colour of text."""
        driver.rest()
        column = driver.ask(f"[...t.over.getContext('2d').getImageData({round(driver.x(frame))}, {RULER}, 1, 60).data]")
        return any(column[at : at + 3] == [230, 233, 238] for at in range(0, len(column), 4))

    driver.call("set_frame", 150, 140)
    driver.wait_frame(150)
    assert marked(140)
    driver.call("set_frame", 151, 151)
    driver.wait_frame(151)
    assert not marked(140)


def test_a_zoomed_view_follows_the_frame_that_plays_but_not_when_it_was_left(driver: Driver) -> None:
    driver.ask("t.look([90, 110])")
    driver.call("set_frame", 115, 115)
    driver.wait_frame(115)
    assert driver.view() == (pytest.approx(113), pytest.approx(133))
    driver.ask("t.look([200, 220])")
    driver.call("set_frame", 116, 116)
    driver.wait_frame(116)
    assert driver.view() == (200, 220)


def test_a_single_value_that_changes_leaves_the_others(driver: Driver) -> None:
    before = driver.ask("[...t.lanes[1].series[0].values].slice(1, 20)")
    driver.call("first_psnr", 35.125)
    driver.wait("t.lanes[1].series[0].values[0] === 35.125")
    assert driver.ask("[...t.lanes[1].series[0].values].slice(1, 20)") == before
    assert driver.ask("t.lanes.map((lane) => lane.series.every((series) => series.values.length === 300))") == [True] * 9


def test_lanes_that_do_not_fit_are_counted(driver: Driver) -> None:
    for height, rows, hidden in ((120, 4, 5), (60, 0, 9), (200, 9, 0)):
        driver.set_height(height)
        place = driver.ask("t.layout()")
        assert (place["rows"], place["hidden"]) == (rows, hidden)
        assert place["bottom"] + (14 if hidden else 0) <= height
        assert 16 <= place["row"] <= 22
        assert driver.ask("t.root.scrollHeight") == height
        if hidden and rows:
            driver.page.mouse.move(30, driver.y(height - 4))
            assert driver.tooltip()[0] == "Make the timeline higher to see"


def test_titles_from_files_are_text(driver: Driver) -> None:
    title = "<img src=x onerror='window.broken = 1'>"
    lane = {
        "key": "k", "title": title, "unit": title, "kind": "line", "better": "none", "low": 0, "high": 1, "warn_below": None, "digits": 1,
        "note": title, "states": "", "series": [{"label": title, "colour": "#56B4E9", "faint": False, "values": [1] * 300}],
    }  # fmt: skip
    driver.ask(f"t.set_lanes([{json.dumps(lane)}])")
    driver.move(40)
    assert driver.tooltip()[1] == f"{title} 1.0 {title}"
    driver.page.mouse.move(40, driver.y(RULER + 9))
    assert driver.tooltip()[-1] == title
    assert driver.page.locator("img").count() == 0
    assert driver.page.evaluate("() => window.broken") is None


def test_messages_that_are_not_those_of_the_timeline_are_dropped(driver: Driver) -> None:
    driver.page.evaluate(
        """() => {
        const t = document.querySelector('.timeline').timeline;
        const rest = {phase: "up", serial: 1, lane: null, x: 0, y: 0, last: 5};
        const frames = [-1, 300, 1e300, 1.5, true, "1", [1], null].map((frame) => ({frame}));
        for (const bad of [undefined, null, 7, "x", [], {}, ...frames]) {
          const sent = bad && typeof bad === "object" && !Array.isArray(bad) ? {...rest, ...bad} : bad;
          if (sent && sent.frame !== undefined) sent.first = sent.frame;
          t.emit("seek", sent);
          t.emit("run_range", sent);
          t.emit("menu", sent);
          if (bad !== null && bad !== undefined) t.emit("range", sent);
        }
        t.emit("seek", {frame: 1, phase: "sideways", serial: 1});
        t.emit("seek", {frame: 1, phase: "up", serial: "1"});
        t.emit("range", {first: 9, last: 2});
        t.emit("menu", {frame: 1, lane: "no lane", x: 0, y: 0});
        t.emit("menu", {frame: 1, lane: null, x: "1", y: 0});
        t.emit("run_range", {first: 3, last: 4});
        }"""
    )
    assert driver.server.events(1) == [["run_range", [3, 4]]]


# -- drawing -------------------------------------------------------------------------------------------------------------


def test_it_is_crisp_and_exact(driver: Driver) -> None:
    _check_cursor(driver)


@pytest.mark.parametrize("scale", [1.5, 2.0])
def test_it_is_crisp_and_exact_at_every_device_scale(chromium: Browser, server: Server, scale: float) -> None:
    driver = Driver(chromium, server, scale)
    _check_cursor(driver)
    driver.close()


def _check_cursor(driver: Driver) -> None:
    scale = driver.scale
    driver.rest()
    assert driver.ask("[t.base.width, t.base.height, t.over.width]") == [WIDTH * scale, 200 * scale, WIDTH * scale]
    driver.page.mouse.click(driver.x(222), driver.y())
    assert driver.server.events(2)[-1] == ["seek", {"frame": 222, "phase": "up"}]
    driver.page.mouse.move(600, 10)
    driver.rest()
    cursor = "document.querySelector('.timeline-cursor')"
    assert driver.ask(f"getComputedStyle({cursor}).backgroundColor") == "rgb(90, 169, 240)"
    line = driver.ask(
        f"(({{left, width, bottom}}) => [left, width, bottom - t.root.getBoundingClientRect().top])({cursor}.getBoundingClientRect())"
    )
    assert line[0] * scale == pytest.approx(round(driver.x(222) * scale), abs=1)
    assert [value * scale for value in line[:2]] == pytest.approx([round(value * scale) for value in line[:2]], abs=0.02)  # not a smear
    assert line[1] <= 2
    assert line[2] >= 150
    assert driver.pixel("ruler", driver.x(222), 3) == (90, 169, 240, 255)  # the badge with its number


def test_one_failed_frame_of_ten_thousand_is_seen(long: Driver) -> None:
    driver = long
    column = round(driver.x(5000) - 0.25)
    top = RULER + 2

    def reds(x: int) -> int:
        driver.rest()
        data = driver.ask(f"[...t.base.getContext('2d').getImageData({x}, {top}, 1, 14).data]")
        return sum(data[at : at + 3] == [224, 113, 108] for at in range(0, len(data), 4))

    assert max(reds(column - 1), reds(column), reds(column + 1)) >= 6
    assert reds(column - 5) == 0
    driver.page.mouse.click(driver.x(7777), driver.y())
    first, last = (event[1]["frame"] for event in driver.server.events(2))
    assert first == last == pytest.approx(7777, abs=6)  # a pixel is 10 frames


def test_numbers_of_the_ruler_do_not_touch(long: Driver) -> None:
    driver = long
    driver.set_width(1024)
    for view in ([0, 10000], [0, 8], [4990.5, 5010.5], [9000, 10000]):
        driver.ask(f"t.look({view})")
        driver.rest()
        numbers = driver.ask("t.numbers")
        assert len(numbers) >= 2
        assert all(view[0] <= number <= view[1] + 1 for number in numbers)
        xs = sorted(driver.x(number - 1) for number in numbers)
        assert min(b - a for a, b in pairwise(xs[1:])) >= 60


if __name__ == "__main__":
    serve()
