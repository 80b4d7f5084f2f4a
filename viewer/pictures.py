"""The websocket /pictures: the pictures and marks of a tab's camera panes, newest request first, paced by the page's acknowledgements."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from trackersplat.errors import InputError
from viewer.moving_jpeg import MovingJpeg
from viewer.pane_messages import Message, encode, pack, parse, picture_header
from viewer.state import MOST_PANES
from viewer.views.overlays import Overlay, nothing
from viewer.views.painting import Renderings
from viewer.views.picture import pane_picture, picture_title
from viewer.views.request import PanePicture, PaneRequest, Sources

MOST_MALFORMED = 20  # messages until the socket is closed
POLICY_VIOLATION = 1008  # websocket close code

REST_AFTER, REST_AFTER_DRAGGED = 0.2, 0.6  # seconds without a change until the full picture is made; while the time is dragged
LOADING_AFTER = 0.4  # seconds that a picture may take until the page says that it is being made
ACK_TIMEOUT = 5.0  # seconds; a hidden tab answers late or never
MOVING_BUDGET = 1 / 15  # seconds that a picture may take while things move
SMALLEST_DETAIL = 0.25  # of the width and height while things move
TRAILS_MOVING_BYTES = 200_000  # of trails that are sent while things move; larger ones wait for rest

log = logging.getLogger(__name__)

T = TypeVar("T")


class PaneSource(Protocol):
    """What one tab's panes show."""

    def request(self, pane: int) -> PaneRequest | None:
        """What a pane is to show now, without size and visible part; None if there is no such pane. Quick; called on the event loop."""
        ...

    def dragged(self) -> bool:
        """Whether the time is being dragged. Quick; called on the event loop."""
        ...

    def sources(self, request: PaneRequest) -> Sources:
        """Called on the worker thread. May raise InputError."""
        ...

    def overlay(self, request: PaneRequest) -> Overlay | None:
        """The marks of the camera and frame, None if none are wanted. Called on the worker thread. May raise InputError."""
        ...

    def acknowledged(self, pane: int, request: PaneRequest, picture: PanePicture) -> None:
        """The page has drawn this picture. Quick; called on the event loop."""
        ...

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """``wake`` may be called from any thread whenever a request may have changed. Returns what ends it."""
        ...


class Pictures:
    """Serves all tabs. One picture is made at a time, on a thread of its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, ack_timeout: float = ACK_TIMEOUT) -> None:
        self.clock = clock
        self.ack_timeout = ack_timeout
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="pictures")
        self.kept = Renderings()
        self.jpeg = MovingJpeg()

    def close(self) -> None:
        self.executor.shutdown(wait=False, cancel_futures=True)

    async def handle(self, websocket: WebSocket, source: PaneSource) -> None:
        """Accepts the socket and serves it until the page leaves. Who may connect is decided before."""
        await websocket.accept()
        session = _Session(self, websocket, source)
        unsubscribe = source.subscribe(session.wake)

        async def until_it_ends(work: Callable[[], Awaitable[None]]) -> None:
            try:
                await work()
            except WebSocketDisconnect:
                pass  # the page has left
            except Exception:
                log.exception("the pictures of a tab ended")
            group.cancel_scope.cancel()

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(until_it_ends, session.send)
                group.start_soon(until_it_ends, session.receive)
        finally:
            unsubscribe()
        if websocket.application_state == WebSocketState.CONNECTED and websocket.client_state == WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the page may leave at this moment
                await websocket.close(POLICY_VIOLATION if session.malformed >= MOST_MALFORMED else 1011)


# -- one tab ------------------------------------------------------------------------------------------------------------


@dataclass
class _Pane:
    """What is known about one pane of the page."""

    size: tuple[int, int]
    rect: tuple[float, float, float, float] | None = None
    rect_camera: int | None = None  # the camera that the visible part belongs to
    seen: PaneRequest | None = None  # the last request, without its marks; the next three likewise
    changed_at: float = -math.inf
    shown: PaneRequest | None = None  # the last request that was answered
    full: bool = False  # it was answered in full
    marks: tuple[int, ...] | None = None  # whose marks the page has
    trails: bool = False  # and whether all of their trails
    awaiting: int | None = None  # serial of the picture that the page has not acknowledged
    sent: tuple[float, PaneRequest, PanePicture] | None = None  # when the picture was begun, and what it is
    sent_at: float = 0.0
    limits: dict[tuple[Any, ...], tuple[float, float]] = field(default_factory=dict)  # of colour scales, from pictures at rest
    seconds_per_pixel: float = 2e-7  # of a moving picture, until it is on the screen
    pixels: float = 0.0  # of the last picture, had it been made in full detail; 0: not known yet


@dataclass(frozen=True)
class _Job:
    index: int
    request: PaneRequest
    full: bool
    picture: bool
    marks: bool


@dataclass(frozen=True)
class _Made:
    picture: PanePicture | None
    mime: str
    data: bytes
    overlay: Overlay | None
    why: str = ""  # there is no picture
    facts: dict[str, Any] = field(default_factory=dict)  # what it would be of


class _Session:
    def __init__(self, pictures: Pictures, websocket: WebSocket, source: PaneSource) -> None:
        self._pictures, self._websocket, self._source = pictures, websocket, source
        self._panes: dict[int, _Pane] = {}
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._serial = 0
        self._last = 0  # the pane that was served last
        self.malformed = 0

    def wake(self) -> None:
        """From any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the page
            self._loop.call_soon_threadsafe(self._wake.set)

    # -- from the page ------------------------------------------------------------------------------------------------

    async def receive(self) -> None:
        """Ends when the page leaves or sends too much nonsense."""
        while self.malformed < MOST_MALFORMED:
            received = await self._websocket.receive()
            if received["type"] == "websocket.disconnect":
                return
            message = parse(received.get("text"))
            if message is None:
                self.malformed += 1
                continue
            self._apply(message)
            self._wake.set()

    def _apply(self, message: Message) -> None:
        if message.kind == "gone":
            self._panes.pop(message.pane, None)
            return
        if message.kind == "size":
            pane = self._panes.setdefault(message.pane, _Pane(message.size))
            pane.size = message.size
            return
        found = self._panes.get(message.pane)
        if found is None:
            return
        if message.kind == "view":
            found.rect, found.rect_camera = message.rect, message.camera
        elif message.serial == found.awaiting:
            self._acknowledge(message.pane, found)

    def _acknowledge(self, index: int, pane: _Pane) -> None:
        pane.awaiting = None
        if pane.sent is None:
            return
        began, request, picture = pane.sent
        if not request.full:
            pixels = picture.image.shape[0] * picture.image.shape[1]
            cost = (self._pictures.clock() - began) / max(pixels, 1)
            cost = min(max(cost, 0.25 * pane.seconds_per_pixel), 4 * pane.seconds_per_pixel)  # one slow picture says little
            pane.seconds_per_pixel += 0.3 * (cost - pane.seconds_per_pixel)
        try:
            self._source.acknowledged(index, request, picture)
        except Exception:
            log.exception("what was shown could not be noted")

    # -- to the page --------------------------------------------------------------------------------------------------

    async def send(self) -> None:
        """Never ends by itself."""
        while True:
            self._wake.clear()
            job, deadline = self._next(self._pictures.clock())
            if job is not None:
                self._last = job.index
                await self._answer(job)
                continue
            alarm = None
            if deadline is not None:
                alarm = self._loop.call_later(max(deadline - self._pictures.clock(), 0.001), self._wake.set)
            try:
                await self._wake.wait()  # not asyncio.wait_for: before Python 3.12 it may lose a cancellation
            finally:
                if alarm is not None:
                    alarm.cancel()

    def _next(self, now: float) -> tuple[_Job | None, float | None]:
        """What to do next, what moves before what rests; else the time at which to look again, if time alone changes anything."""
        resting: _Job | None = None
        deadlines: list[float] = []
        rest_after = REST_AFTER_DRAGGED if self._source.dragged() else REST_AFTER
        for index in sorted(self._panes, key=lambda index: (index - self._last - 1) % MOST_PANES):
            pane, request = self._panes[index], self._source.request(index)
            if request is None:
                continue
            request = replace(
                request, rect=pane.rect if pane.rect_camera == request.camera else None, size=pane.size, full=True, detail=1.0
            )
            bare = replace(request, overlay=0)
            if bare != pane.seen:
                pane.seen, pane.changed_at = bare, now if pane.shown is not None else -math.inf
            if pane.awaiting is not None and now - pane.sent_at < self._pictures.ack_timeout:
                deadlines.append(pane.sent_at + self._pictures.ack_timeout)
                continue
            pane.awaiting = None
            rests = now - pane.changed_at >= rest_after
            marks = pane.marks != _marks(request) or (rests and not pane.trails)
            picture = bare != pane.shown or (rests and not pane.full)
            if picture and rests:
                resting = resting or _Job(index, request, True, True, marks)
            elif picture or marks:
                return _Job(index, request, rests, picture, marks), None
            elif not pane.full or not pane.trails:
                deadlines.append(pane.changed_at + rest_after)
        return resting, min(deadlines, default=None)

    async def _answer(self, job: _Job) -> None:
        pane, began = self._panes[job.index], self._pictures.clock()
        request = self._asked(pane, job)
        making = self._loop.run_in_executor(self._pictures.executor, self._make, request, job)
        done, _ = await asyncio.wait((making,), timeout=LOADING_AFTER)
        if not done and job.picture:
            await self._say(job.index, "loading", "Rendering …")
        made = await making
        if job.marks:
            pane.marks, pane.trails = _marks(request), await self._send_marks(job, made.overlay)
        if not job.picture:
            return
        pane.shown, pane.full = replace(job.request, overlay=0), job.full
        picture = made.picture
        if picture is None:
            pane.full = True  # the same request would fail again: wait for another one
            await self._say(job.index, "error", made.why, **made.facts)
            return
        if picture.scale is not None and job.full:
            pane.limits[_scale_key(request)] = (picture.scale.low, picture.scale.high)
        pane.pixels = picture.image.shape[0] * picture.image.shape[1] / request.detail**2
        self._serial += 1
        pane.awaiting, pane.sent, pane.sent_at = self._serial, (began, request, picture), self._pictures.clock()
        await self._websocket.send_bytes(pack(picture_header(job.index, self._serial, request, picture, made.mime), made.data))

    def _asked(self, pane: _Pane, job: _Job) -> PaneRequest:
        """The request with the means of the moment."""
        request = job.request
        if job.full or not job.picture:
            return request
        pixels = pane.pixels or request.size[0] * request.size[1]
        affordable = math.sqrt(MOVING_BUDGET / (pane.seconds_per_pixel * pixels))
        limits = request.limits if request.limits is not None else pane.limits.get(_scale_key(request))
        return replace(request, full=False, detail=min(max(affordable, SMALLEST_DETAIL), 1.0), limits=limits)

    def _make(self, request: PaneRequest, job: _Job) -> _Made:
        """On the worker thread."""
        overlay: Overlay | None = None
        if job.marks:
            found = _tried(lambda: self._source.overlay(request), "The tracks could not be drawn")
            overlay = nothing(request.frame, found) if isinstance(found, str) else found
        if not job.picture:
            return _Made(None, "", b"", overlay)

        facts: dict[str, Any] = {}

        def make() -> _Made:
            sources = self._source.sources(request)
            facts.update(camera=sources.camera.name, role=sources.role, frame=request.frame, label=picture_title(request, sources))
            picture = pane_picture(request, sources, self._pictures.kept)
            device = None if sources.rasterizer is None else sources.rasterizer.device
            return _Made(picture, *encode(picture, request.full, lambda image: self._pictures.jpeg(image, device)), overlay)

        made = _tried(make, "The picture could not be made")
        return _Made(None, "", b"", overlay, made, facts) if isinstance(made, str) else made

    async def _say(self, index: int, kind: str, sentence: str, **facts: Any) -> None:
        await self._websocket.send_bytes(pack({"t": "state", "pane": index, "kind": kind, "sentence": sentence, **facts}))

    async def _send_marks(self, job: _Job, overlay: Overlay | None) -> bool:
        """Whether the trails went along."""
        header: dict[str, Any] = {"t": "overlay", "pane": job.index, "frame": job.request.frame, "index": job.request.camera}
        if overlay is None:
            await self._websocket.send_bytes(pack({**header, "count": 0, "fields": [], "trail": 0, "note": ""}))
            return True
        trails = job.full or overlay.trails.nbytes <= TRAILS_MOVING_BYTES
        header |= {"count": len(overlay), "fields": list(overlay.fields), "note": overlay.note, "number": overlay.number}
        header["trail"] = len(overlay.trails) if trails else 0
        await self._websocket.send_bytes(pack(header, overlay.payload(trails)))
        return trails


def _tried(make: Callable[[], T], what: str) -> T | str:
    """What fails becomes a sentence, so that the page goes on."""
    try:
        return make()
    except InputError as error:
        return str(error)
    except Exception as error:
        log.exception(what)
        return f"{what} ({type(error).__name__}: {error}); the terminal shows where."


def _marks(request: PaneRequest) -> tuple[int, int, int, int]:
    return request.camera, request.frame, request.overlay, request.revision


def _scale_key(request: PaneRequest) -> tuple[Any, ...]:
    return request.camera, request.channel, request.compare == "other"
