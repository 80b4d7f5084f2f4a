"""A small page with camera panes of a synthetic scene: ``python pane_page.py`` prints its address and serves until it is ended.

What it shows is set by ``/set?pane=0&compare=wipe``, what the panes reported is read from ``/events``.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "scenes")]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import tiny_capture  # noqa: E402
import torch  # noqa: E402

from trackersplat.captures.camera import Camera  # noqa: E402
from trackersplat.gaussians.gaussians import SH_C0, Gaussians  # noqa: E402
from trackersplat.rendering.rasterizer import Rasterizer  # noqa: E402
from viewer.views.overlays import Overlay, epipolar_segment, pane_overlay  # noqa: E402
from viewer.views.request import PanePicture, PaneRequest, Sources  # noqa: E402

WIDTH, HEIGHT = 640, 480
FRAMES = tiny_capture.FRAMES
RECONSTRUCTED = (0, 1, 2, 3, 4)
HELD_OUT = ("cam00",)
CATEGORIES = (
    ("no failure", (125, 135, 148)), ("left the image", (86, 180, 233)), ("occlusion", (0, 114, 178)), ("drift", (230, 159, 0)),
    ("identity swap", (204, 121, 167)), ("textureless", (240, 228, 66)), ("motion too fast", (213, 94, 0)),
)  # fmt: skip


@cache
def cameras() -> tuple[Camera, ...]:
    return tuple(camera.resized(WIDTH, HEIGHT) for camera in tiny_capture.cameras())


@cache
def photo(camera: int, frame: int) -> np.ndarray:
    return cv2.resize(tiny_capture.render(tiny_capture.cameras()[camera], frame), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def _sheet(x: np.ndarray, y: np.ndarray, z: float, colour: np.ndarray, spacing: float) -> Gaussians:
    count = x.size
    return Gaussians(
        means=torch.tensor(np.stack([x, y, np.full_like(x, z)], axis=-1).reshape(-1, 3), dtype=torch.float32),
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.log(torch.tensor([0.6 * spacing, 0.6 * spacing, 0.002])).repeat(count, 1),
        opacity_logits=torch.full((count,), 3.0),
        sh=torch.tensor((colour.reshape(-1, 1, 3) - 0.5) / SH_C0, dtype=torch.float32),
    )


@cache
def gaussians(frame: int, dense: int = 1) -> Gaussians:
    """The wall and the quad of `tiny_capture`, the quad where it is in the frame."""
    from trackersplat.gaussians.gaussians import concatenate

    step = 0.06 / dense
    x, y = np.meshgrid(np.arange(-3, 3, step), np.arange(-2.4, 2.4, step))
    wall = _sheet(x, y, 1.5, 0.8 * tiny_capture.texture(x, y, 2.5), step)
    step = 0.025 / dense
    u, v = np.meshgrid(np.arange(-0.45, 0.45, step), np.arange(-0.35, 0.35, step))
    center = tiny_capture.quad_center(frame)
    quad = _sheet(u + center[0], v + center[1], float(center[2]), tiny_capture.texture(u, v, 1.0), step)
    return concatenate([wall, quad])


def wall_count() -> int:
    return len(np.arange(-3, 3, 0.06)) * len(np.arange(-2.4, 2.4, 0.06))


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What `views.overlays` reads of a diagnosis: points of the quad, some of them wrong in known ways."""

    cameras: tuple[str, ...]
    frames: tuple[int, ...]
    ids: np.ndarray
    camera: np.ndarray
    query: np.ndarray
    position: np.ndarray
    reprojected: np.ndarray
    rendered: np.ndarray
    state: np.ndarray
    evidence: dict[str, np.ndarray]
    score: np.ndarray
    category: np.ndarray


@cache
def diagnosis(per_camera: int = 60) -> Diagnosis:
    generator = np.random.default_rng(5)
    uv = generator.uniform((-0.42, -0.32), (0.42, 0.32), (per_camera, 2))
    tracked = range(1, len(cameras()))
    shape = (len(RECONSTRUCTED), per_camera * len(tracked))
    truth, rendered = np.empty((*shape, 2), np.float32), np.empty((*shape, 2), np.float32)
    for row, frame in enumerate(RECONSTRUCTED):
        points = np.concatenate([uv, np.zeros((per_camera, 1))], axis=1) + tiny_capture.quad_center(frame)
        truth[row] = np.concatenate([cameras()[index].project(points)[0] for index in tracked])
    offset = np.zeros((*shape, 2), np.float32)
    wrong = generator.random(shape[1]) < 0.3
    offset[1:, wrong] = np.cumsum(generator.normal(0, 4, (shape[0] - 1, int(wrong.sum()), 2)), axis=0)
    rendered[:] = truth + generator.normal(0, 0.4, truth.shape)
    position = truth + offset
    error = np.linalg.norm(offset, axis=-1)
    state = np.where(generator.random(shape) < 0.15, 2, 1).astype(np.uint8)
    state[-1, ::17] = 3
    position[2, 3::11] = np.nan  # gaps
    rendered[2, 3::11] = np.nan
    category = np.where(error > 2, 3 + np.arange(shape[1]) % 4, 0).astype(np.uint8)
    return Diagnosis(
        cameras=tuple(camera.name for camera in cameras()),
        frames=RECONSTRUCTED,
        ids=(np.repeat(list(tracked), per_camera).astype(np.int64) << 40) + np.tile(np.arange(per_camera), len(tracked)),
        camera=np.repeat(list(tracked), per_camera).astype(np.int16),
        query=np.concatenate([np.zeros((shape[1], 1)), truth[0]], axis=1).astype(np.float32),
        position=position,
        reprojected=truth,
        rendered=rendered,
        state=state,
        evidence={"distrust": np.clip(error / 10, 0, 1).astype(np.float32)},
        score=np.clip(error / 8, 0, 1).astype(np.float32),
        category=category,
    )


class Scene:
    """A `viewer.pictures.PaneSource` of the synthetic scene."""

    def __init__(self, rasterizer: Rasterizer | None, dense: int = 1, tracks: int = 60) -> None:
        self.rasterizer, self.dense, self.tracks = rasterizer, dense, tracks
        self.panes: dict[int, PaneRequest] = {0: PaneRequest(1, overlay=1)}
        self.events: list[dict[str, Any]] = []
        self.shown: list[tuple[int, int, bool]] = []  # pane, frame, in full
        self._wakes: list[Callable[[], None]] = []

    def set(self, pane: int, **changes: Any) -> None:
        self.panes[pane] = replace(self.panes.get(pane, PaneRequest(1, overlay=1)), **changes)
        for wake in self._wakes:
            wake()

    def request(self, pane: int) -> PaneRequest | None:
        return self.panes.get(pane)

    def sources(self, request: PaneRequest) -> Sources:
        source = max(frame for frame in RECONSTRUCTED if frame <= request.frame)
        camera = cameras()[request.camera]
        scene = gaussians(source, self.dense)
        walls = wall_count() if self.dense == 1 else 0
        moved = torch.zeros(len(scene), 3)
        moved[walls:] = torch.tensor((0.08, 0.05, -0.03))
        return Sources(
            camera=camera,
            held_out=camera.name in HELD_OUT,
            photo=lambda: photo(request.camera, request.frame),
            rasterizer=self.rasterizer,
            waiting="Compiling kernels, once per machine: blending (2 of 6) …",
            gaussians=scene,
            source_frame=source,
            motion=moved if source else None,
            static=torch.arange(len(scene)) < walls,
            age=torch.arange(len(scene)).float() % 7,
            missing={"motion": "Frame 1 has no motion: no frame comes before it."},
            other=gaussians(0, self.dense),
            other_name="run of yesterday",
        )

    def overlay(self, request: PaneRequest) -> Overlay | None:
        if not request.overlay:
            return None
        name = cameras()[request.camera].name
        return pane_overlay(
            name, request.frame, held_out=name in HELD_OUT, reconstructed=RECONSTRUCTED, diagnosis=diagnosis(self.tracks), trail_length=8
        )

    def dragged(self) -> bool:
        return False

    def acknowledged(self, pane: int, request: PaneRequest, picture: PanePicture) -> None:
        self.shown.append((pane, picture.frame, request.full))

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        self._wakes.append(wake)
        return lambda: self._wakes.remove(wake)


def serve() -> None:
    import uvicorn
    from fastapi import FastAPI
    from nicegui import ui
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    from trackersplat.rendering.registry import choose_rasterizer
    from viewer.components.camera_pane import CameraPane, MarkStyle, PanePoint
    from viewer.pictures import Pictures
    from viewer.views.overlays import mark_colours

    rasterizer = choose_rasterizer()
    scene = Scene(rasterizer)
    pictures = Pictures()
    web = FastAPI()
    panes: dict[int, CameraPane] = {}

    def style(by: str, residual: float = 1.0) -> MarkStyle:
        colour = mark_colours(by, categories=CATEGORIES, high=8.0)  # type: ignore[arg-type]
        return MarkStyle(residual=residual, colour=colour, categories=tuple(name for name, _ in CATEGORIES))

    async def serve_pictures(websocket: WebSocket) -> None:
        await pictures.handle(websocket, scene)

    async def change(request: Request) -> JSONResponse:
        given = dict(request.query_params)
        pane = int(given.pop("pane", 0))
        scene.dense, scene.tracks = int(given.pop("dense", scene.dense)), int(given.pop("tracks", scene.tracks))
        scene.rasterizer = rasterizer if given.pop("ready", "1") == "1" else None
        numbers = {"camera": int, "frame": int, "overlay": int, "revision": int, "wipe": float}
        scene.set(pane, **{name: numbers.get(name, str)(value) for name, value in given.items()})
        return JSONResponse({})

    async def events(request: Request) -> JSONResponse:
        found, scene.events = scene.events, []
        return JSONResponse(found)

    async def marks(request: Request) -> JSONResponse:
        given = dict(request.query_params)
        for pane in panes.values():
            pane.set_marks(style(given.get("by", "category"), float(given.get("residual", 1))))
            if "select" in given:
                pane.select([int(given["select"])])
                row = int(np.flatnonzero(diagnosis().ids == int(given["select"]))[0])
                source, shown = cameras()[int(diagnosis().camera[row])], scene.panes[pane.pane]
                x, y = (float(value) for value in diagnosis().position[shown.frame, row])
                other = source.name != cameras()[shown.camera].name
                pane.set_epipolar(source.name, epipolar_segment(source, (x, y), cameras()[shown.camera]) if other else None)
        return JSONResponse({})

    web.router.routes.append(WebSocketRoute("/pictures", serve_pictures))
    web.router.routes.extend(Route(path, endpoint) for path, endpoint in (("/set", change), ("/events", events), ("/marks", marks)))

    def report(kind: str) -> Callable[[PanePoint], None]:
        return lambda point: scene.events.append({"kind": kind, **vars(point)})

    @ui.page("/")
    def page(count: int = 1, width: int = 640, height: int = 506) -> None:
        ui.query("body").style("margin: 0; overflow: hidden; background: #14171c")
        ui.query(".nicegui-content").classes("p-0 gap-0")
        columns = 1 if count == 1 else 2
        grid = ui.element("div").style(
            f"display: grid; width: {width}px; height: {height}px; grid-template-columns: repeat({columns}, minmax(0, 1fr));"
            f"grid-auto-rows: minmax(0, 1fr); gap: 2px"
        )
        panes.clear()
        with grid:
            for index in range(count):
                pane = panes[index] = CameraPane(index, "test")
                pane.set_marks(
                    MarkStyle(colour=mark_colours("category", categories=CATEGORIES), categories=tuple(n for n, _ in CATEGORIES))
                )
                pane.on_pick(report("pick")).on_correct(report("correct")).on_hover(report("hover"))
                pane.on_wipe(lambda value, index=index: scene.set(index, wipe=value))
                pane.on_activate(lambda index: scene.events.append({"kind": "activate", "pane": index}))
        strip = ui.element("div").props('id="strip"').style(f"width: {width}px; height: 24px; background: #323a46")
        strip.on(
            "pointermove",
            lambda event: scene.set(0, frame=int(event.args["frame"])),
            js_handler=f"""(event) => {{
                const frame = Math.min(Math.floor(event.offsetX / {width} * {len(RECONSTRUCTED)}), {len(RECONSTRUCTED) - 1});
                if (frame === window.scrubbed) return;
                window.scrubbed = frame;
                (window.scrubs ??= []).push([frame, event.timeStamp]);
                emit({{ frame }});
            }}""",
        )

    ui.run_with(web, title="panes", show_welcome_message=False, reconnect_timeout=60.0)  # a busy machine must not reload the page
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
    server = uvicorn.Server(uvicorn.Config(web, log_level="warning"))
    asyncio.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    serve()
