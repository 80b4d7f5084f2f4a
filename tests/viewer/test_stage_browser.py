"""The stage in a real browser: exactly the server's picture, nothing of viser's own, and in nobody else's frame."""

from __future__ import annotations

import http.server
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import uvicorn
from fastapi import FastAPI
from no_edits import no_edits, unedited
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.websockets import WebSocket
from waiting import wait_for as wait_for_it

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.registry import choose_rasterizer
from viewer.app import bind
from viewer.guard import Guard
from viewer.relay import Relay
from viewer.shared_rasterizer import SharedRasterizer
from viewer.stage.framing import frame_capture
from viewer.stage.handles import Handles
from viewer.stage.picture import free_picture
from viewer.stage.server import StageServer
from viewer.stage.stage import Stage
from viewer.state import Shared, Store, View, Zone
from viewer.tab import Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE = 120.0  # seconds a busy machine with software GL may need; it bounds how long a failing test hangs
BOX = "position:absolute;left:10px;top:20px;width:400px;height:300px;border:0"


def wait_for(condition: Callable[[], object]) -> None:
    wait_for_it(condition, seconds=PATIENCE)


def scene() -> Gaussians:
    """Coloured blobs all over the view."""
    generator = torch.Generator().manual_seed(0)
    count = 400
    means = (torch.rand(count, 3, generator=generator) - 0.5) * torch.tensor([4.0, 3.0, 1.0]) + torch.tensor([0.0, 0.0, 3.0])
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1)
    scales, logits = torch.full((count, 3), float(np.log(0.12))), torch.full((count,), 3.0)
    return Gaussians(means, quats, scales, logits, torch.randn(count, 1, 3, generator=generator))


def capture() -> Capture:
    K = np.array([[400.0, 0, 200], [0, 400.0, 150], [0, 0, 1]])
    cameras = tuple(Camera(name, 400, 300, K, np.eye(4)) for name in ("one", "two"))
    source = SimpleNamespace(close=lambda: None, image=lambda camera, frame: np.zeros((300, 400, 3), np.uint8))
    return Capture("scene", Path("nowhere"), "test", cameras, 3, 30.0, source, depth_bounds=np.array([[2.0, 4.5]] * 2))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def site() -> Iterator[SimpleNamespace]:
    """A page with nothing but the stage of the tab that its address names."""
    shown, renderer = scene(), SharedRasterizer()
    renderer.use(choose_rasterizer(backend="portable"))
    store = Store(Shared(frame_count=3, reconstructed=(0, 1, 2), run=Path("run"), ready=True))
    two = capture()
    document: Any = SimpleNamespace(
        capture=two, framing=frame_capture(two), renderer=renderer, shown=lambda frame: shown, scene=unedited(lambda frame: shown),
        editing=no_edits(), viewpoints={}, diagnosis=lambda: None,
        paths=SimpleNamespace(get=lambda: None), camera_paths=SimpleNamespace(trajectory=lambda: None),
        home_photo_frame=lambda frame: (0, frame),
    )  # fmt: skip
    stage = Stage(StageServer(), document)
    tabs: dict[str, Tab] = {}
    relays: list[Relay] = []
    app = FastAPI()

    def relay() -> Relay:
        if not relays:
            relays.append(
                Relay(
                    stage.server,
                    lambda tab: tab in tabs,
                    lambda tab, client: threading.Thread(target=stage.connect, args=(tabs[tab], client)).start(),
                    lambda tab, client: stage.disconnect(client),
                )
            )
        return relays[0]

    async def file(request: Request) -> object:
        return await relay().file(request)

    async def connect(websocket: WebSocket) -> None:
        await relay().socket(websocket)

    async def page(tab: str) -> HTMLResponse:
        script = f"const f = document.querySelector('iframe'); f.src = '/stage/{tab}/?hideViserLogo&fixedDpr=' + devicePixelRatio"
        return HTMLResponse(f"<body style='margin:0;background:#000'><iframe style='{BOX}'></iframe><script>{script}</script>")

    app.add_api_route("/page/{tab}", page)
    app.add_api_route("/stage/{tab}/{path:path}", file, methods=["GET"])
    app.add_api_websocket_route("/stage/{tab}", connect)
    app.add_middleware(Guard, host="127.0.0.1")
    listening = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()

    def opened(name: str) -> Tab:
        store.open_tab(name, View(linked=False, show_cameras=False))
        tabs[name] = Tab(name, store, document)
        return tabs[name]

    yield SimpleNamespace(url=f"http://127.0.0.1:{listening.getsockname()[1]}", stage=stage, open=opened)
    server.should_exit = True
    thread.join(10)
    stage.close()


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((first.astype(float) - second.astype(float)) ** 2)))


def of_screen(page: Any) -> np.ndarray:
    """(H, W, 3) uint8 of the frame, in device pixels."""
    import cv2

    data = np.frombuffer(io.BytesIO(page.locator("iframe").screenshot()).getvalue(), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def tell_size(page: Any, tab: Tab) -> None:
    """As the page's own script does (`viewer.panels.stage_view`)."""
    size = (
        "(() => { const f = document.querySelector('iframe'), r = devicePixelRatio; return [f.clientWidth * r, f.clientHeight * r, r] })()"
    )
    width, height, ratio = page.evaluate(size)
    tab.set(canvas=(round(width), round(height), float(ratio)))


def shown_page(site: SimpleNamespace, tab: Tab, chromium: Browser, scale: float = 1.0) -> Any:
    """The page of a tab, once its first picture is there."""
    page = chromium.new_page(viewport={"width": 640, "height": 480}, device_scale_factor=scale)
    page.goto(f"{site.url}/page/{tab.id}")
    tell_size(page, tab)
    wait_for(lambda: tab.view.stage_shown)
    return page


def settled(site: SimpleNamespace, tab: Tab, page: Any) -> np.ndarray:
    """What the frame shows once the full picture has arrived, and the browser has drawn it."""
    view = next(view for view in site.stage.views if view.tab_id == tab.id)
    wait_for(lambda: view.rests)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return of_screen(page)


def expected(site: SimpleNamespace, tab: Tab) -> np.ndarray:
    """The server's own rendering of what the stage looks through."""
    view = next(view for view in site.stage.views if view.tab_id == tab.id)
    return free_picture(tab, tab.view.frame, view.view()).image


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
def test_the_stage_is_filled_by_the_servers_own_picture_at_every_device_scale_and_size(
    site: SimpleNamespace, chromium: Browser, scale: float
) -> None:
    tab = site.open(f"scale{scale:g}")
    page = shown_page(site, tab, chromium, scale)
    for width, height in ((400, 300), (520, 200), (150, 420)):
        page.evaluate(f"Object.assign(document.querySelector('iframe').style, {{width: '{width}px', height: '{height}px'}})")
        tell_size(page, tab)
        wait_for(lambda w=width, h=height: canvas_of(page) == [round(w * scale), round(h * scale)])
        shown, wanted = settled(site, tab, page), expected(site, tab)
        assert shown.shape == wanted.shape == (round(height * scale), round(width * scale), 3)
        wait_for(lambda shown=shown, wanted=wanted: psnr(shown, wanted) >= 30 or psnr(of_screen(page), wanted) >= 30)
    page.close()


def canvas_of(page: Any) -> list[int]:
    frame = next(frame for frame in page.frames if "/stage/" in frame.url)
    sizes: list[int] = frame.evaluate("[...document.querySelectorAll('canvas')].map(c => [c.width, c.height]).pop()")
    return sizes


def test_a_stage_is_drawn_once_all_of_it_is_there_and_not_shown_any_more_when_it_is_gone(
    site: SimpleNamespace, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = site.open("comes and goes")
    drawing: list[bool] = []  # when its last part was made

    def last_part(client: Any, tab: Tab) -> Handles:
        drawing.append(any(thread.name == f"stage-{client.client_id}" for thread in threading.enumerate()))
        return Handles(client, tab)

    monkeypatch.setattr("viewer.stage.stage.Handles", last_part)
    page = shown_page(site, tab, chromium)
    assert drawing == [False]
    assert tab.id in tab.document.viewpoints
    page.evaluate("document.querySelector('iframe').remove()")
    wait_for(lambda: not tab.view.stage_shown and tab.id not in tab.document.viewpoints)
    page.close()


def test_nothing_of_visers_own_is_ever_seen(site: SimpleNamespace, chromium: Browser) -> None:
    tab = site.open("bare")
    page = chromium.new_page(viewport={"width": 640, "height": 480})
    page.goto(f"{site.url}/page/{tab.id}")
    wait_for(lambda: tab.view.stage_shown)
    frame = next(frame for frame in page.frames if "/stage/" in frame.url)
    seen = """[...document.querySelectorAll('.mantine-Paper-root, [class*=Notification], [class*=ViserLogo]')]
      .filter(e => e.getClientRects().length).length"""
    for width, height in ((400, 300), (620, 440), (120, 90)):
        page.evaluate(f"Object.assign(document.querySelector('iframe').style, {{width: '{width}px', height: '{height}px'}})")
        assert frame.evaluate(seen) == 0
    page.close()


def test_a_click_on_the_stage_picks_what_is_seen_there(site: SimpleNamespace, chromium: Browser) -> None:
    tab = site.open("click")
    page = shown_page(site, tab, chromium)
    settled(site, tab, page)
    page.mouse.move(200, 150)
    page.mouse.click(210, 170)
    wait_for(lambda: tab.view.gaussian is not None)
    view = next(view for view in site.stage.views if view.tab_id == tab.id).view()
    uv, _ = view.project(scene().means[tab.view.gaussian : tab.view.gaussian + 1].numpy().astype(np.float64))
    assert np.hypot(*(uv[0] - (200, 150))) < 40  # within two standard deviations
    page.close()


def test_an_arrow_of_a_box_is_dragged_with_the_mouse(site: SimpleNamespace, chromium: Browser) -> None:
    tab = site.open("handles")
    page = shown_page(site, tab, chromium)
    tab.set(zone=Zone("box", (0.0, 0.0, 3.0), (0.6, 0.6, 0.6)))

    def dragged() -> bool:
        """Whether the arrow followed: a page that has not drawn it yet turns the view in its place."""
        settled(site, tab, page)
        view = next(view for view in site.stage.views if view.tab_id == tab.id).view()
        uv, _ = view.project(
            np.array([[0.45, 0.0, 3.0], [0.95, 0.0, 3.0]])
        )  # on the arrow of the side before x, and where it is dragged to
        (x0, y0), (x1, y1) = uv + np.array((10, 20))  # the frame's place in the page
        page.mouse.move(x0 - 2, y0)
        page.mouse.move(x0, y0)
        page.mouse.down()
        page.mouse.move(x1, y1, steps=5)
        page.mouse.up()
        for _ in range(50):
            page.wait_for_timeout(100)
            if tab.view.zone.size[0] > 0.9:
                return True
        return False

    assert any(dragged() for _ in range(10))
    zone = tab.view.zone
    assert zone.size[1:] == (0.6, 0.6)
    assert zone.center[0] - 0.5 * zone.size[0] == pytest.approx(-0.3)
    assert zone.size[0] == pytest.approx(1.1, abs=0.15)
    page.close()


@pytest.fixture
def foreign(site: SimpleNamespace) -> Iterator[str]:
    """Address of another server's page that frames ours."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            frames = "".join(f"<iframe src='{site.url}{path}'></iframe>" for path in ("/page/framed", "/stage/framed/"))
            self.wfile.write(frames.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_foreign_page_cannot_frame_the_stage(site: SimpleNamespace, chromium: Browser, foreign: str) -> None:
    tab = site.open("framed")
    page = chromium.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(foreign)
    wait_for(lambda: page.evaluate("1") == 1 and sum("frame-ancestors" in text for text in said) == 2)
    assert [frame.url for frame in page.frames if frame != page.main_frame] == ["chrome-error://chromewebdata/"] * 2
    assert tab.view.shown == -1
    page.close()
