"""Passes viser's client and its socket on under ``/stage/TAB/``, so that the page needs one port.

Of what the page sends only what the stage needs goes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import logging
import math
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import viser
import websockets
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from viewer.stage.client_files import ClientFile, unpack
from viewer.stage.server import SECRET_HEADER, StageServer

LARGEST_MESSAGE = 64 << 10  # bytes, of one from the page
LONGEST_PATH = 200  # characters, of a file of viser's client; at longer names its server fails
LARGEST_CANVAS = 8192  # pixels, width and height
LARGEST_COORDINATE = 1e12
POLL = 0.01  # seconds
PROTOCOL = websockets.Subprotocol(f"viser-v{viser.__version__}")
MOST_NONSENSE = 20  # messages that are no message, after which the socket is closed

# viser's own panel, its notices (that of software rendering among them) and its logo have no switch; the stage is nothing but the picture.
_STYLE = b"""<style>
.mantine-Paper-root, .mantine-Notifications-root, [class*="mantine-Notification"], [class*="ViserLogo"], .mantine-AppShell-aside,
.mantine-Modal-root { display: none !important }
html, body, #root { background: #14171c !important; overflow: hidden }
</style></head>"""

log = logging.getLogger(__name__)


class Relay:
    """``connected`` and ``disconnected`` are called on the event loop with the id of the tab and viser's handle of its stage."""

    def __init__(
        self,
        stage: StageServer,
        known_tab: Callable[[str], bool],
        connected: Callable[[str, viser.ClientHandle], None],
        disconnected: Callable[[str, viser.ClientHandle], None],
    ) -> None:
        self._stage = stage
        self._known_tab = known_tab
        self._connected = connected
        self._disconnected = disconnected
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{stage.get_port()}", headers={SECRET_HEADER: stage.secret})
        self._index: tuple[bytes, bytes, str] | None = None  # viser's page: plain, gzipped, and its tag
        self._files: dict[str, ClientFile] = {}  # what was packed into it
        self._reading = asyncio.Lock()

    async def close(self) -> None:
        await self._http.aclose()

    async def file(self, request: Request) -> Response:
        """One file of viser's client."""
        path = str(request.path_params["path"])
        if path in ("", "index.html"):
            return await self._page(request)
        if path in self._files:
            return _kept(self._files[path], request)
        if len(path) > LONGEST_PATH:
            return Response(status_code=404)
        async with self._http.stream("GET", "/" + quote(path), headers={"accept-encoding": "identity"}) as found:
            body = b"".join([part async for part in found.aiter_raw()])
            kept = {key: value for key, value in found.headers.items() if key == "content-type"}
            return Response(body, found.status_code, kept)

    async def _page(self, request: Request) -> Response:
        """viser's page without its own panel; kept by the browser between visits."""
        whole, packed, tag = await self._read()
        headers = {"etag": tag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if _takes_gzip(request):
            return Response(packed, headers={**headers, "content-encoding": "gzip"}, media_type="text/html")
        return Response(whole, headers=headers, media_type="text/html")

    async def _read(self) -> tuple[bytes, bytes, str]:
        """viser's page, read and unpacked once."""
        async with self._reading:
            if self._index is None:
                found = await self._http.get("/", headers={"accept-encoding": "identity"})
                found.raise_for_status()
                unpacked = await asyncio.to_thread(unpack, found.content)
                if unpacked is None:
                    log.debug("viser's page is packed in another way; browsers unpack it")
                page, self._files = unpacked or (found.content, {})
                whole = page.replace(b"</head>", _STYLE, 1)
                packed = await asyncio.to_thread(gzip.compress, whole, 6)
                self._index = (whole, packed, f'"{hashlib.sha256(whole).hexdigest()[:32]}"')
            return self._index

    async def socket(self, page: WebSocket) -> None:
        """One page's stage, until either side ends it."""
        tab = str(page.path_params["tab"])
        if not self._known_tab(tab):
            await page.close(1008)
            return
        if PROTOCOL not in page.scope.get("subprotocols", []):
            await page.close(1002)
            return
        client: viser.ClientHandle | None = None
        try:
            inner = await websockets.connect(
                f"ws://127.0.0.1:{self._stage.get_port()}",
                additional_headers={SECRET_HEADER: self._stage.secret},
                subprotocols=[PROTOCOL],
                max_size=None,
                compression=None,
                ping_interval=None,
            )
            await page.accept(subprotocol=inner.subprotocol)
            ways = [asyncio.ensure_future(_outwards(inner, page)), asyncio.ensure_future(self._inwards(page, inner))]
            try:
                # viser makes a handle once the page has told its viewpoint; a page that never does keeps nobody waiting.
                while client is None and not any(way.done() for way in ways):
                    client = self._stage.client_at(inner.local_address[1])
                    if client is None:
                        await asyncio.sleep(POLL)
                if client is not None:
                    self._connected(tab, client)
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                await inner.close()
            with contextlib.suppress(RuntimeError):  # it is closed already
                await page.close()
        except (OSError, websockets.WebSocketException, WebSocketDisconnect) as error:
            log.debug("the stage of a page ended: %s", error)
        finally:
            if client is not None:
                self._disconnected(tab, client)

    async def _inwards(self, page: WebSocket, inner: websockets.ClientConnection) -> None:
        nonsense = 0
        while True:
            message = await page.receive()
            if message["type"] == "websocket.disconnect":
                return
            raw = message.get("bytes")
            verdict = judge(raw) if raw is not None else None
            if verdict is None:
                nonsense += 1
                if nonsense >= MOST_NONSENSE:
                    await page.close(1008)
                    return
            elif verdict:
                assert raw is not None
                await inner.send(raw)


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def _kept(file: ClientFile, request: Request) -> Response:
    """A file whose name changes with its content."""
    headers = {"cache-control": "private, max-age=31536000, immutable", "vary": "accept-encoding"}
    if _takes_gzip(request):
        return Response(file.gzipped, headers={**headers, "content-encoding": "gzip"}, media_type=file.media_type)
    return Response(file.content, headers=headers, media_type=file.media_type)


async def _outwards(inner: websockets.ClientConnection, page: WebSocket) -> None:
    async for message in inner:
        if isinstance(message, bytes):
            await page.send_bytes(message)


def judge(raw: bytes) -> bool | None:
    """Whether a message of the page is passed on: None if it is no message, False if it is one that the stage does not need.

    viser reads messages without checks of its own, so whatever passes has exactly the fields, types and ranges that it expects.
    """
    if len(raw) > LARGEST_MESSAGE:
        return None
    try:
        message = msgspec.msgpack.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    kind = message.pop("type", None)
    if not isinstance(kind, str):
        return None
    fields = ALLOWED.get(kind)
    if fields is None:
        return False
    if not fields.keys() - _OPTIONAL <= message.keys() <= fields.keys():
        return None
    return True if all(fields[name](value) for name, value in message.items()) else None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < LARGEST_COORDINATE


def _numbers(count: int) -> Callable[[Any], bool]:
    return lambda values: isinstance(values, (list, tuple)) and len(values) == count and all(map(_is_number, values))


def _text(longest: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and len(value) <= longest


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _is_rotation(value: Any) -> bool:
    return _numbers(4)(value) and sum(part * part for part in value) > 1e-12


def _is_canvas(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_CANVAS


def _is_click_place(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 1 and _numbers(2)(value[0])


_vector, _modifier = _numbers(3), _or_none(_text(40))

# What the stage needs from the page, with a check of every field. Everything else, GUI messages and uploads above all, is dropped.
ALLOWED: dict[str, dict[str, Callable[[Any], bool]]] = {
    "ViewerCameraMessage": {
        "wxyz": _is_rotation, "position": _vector, "look_at": _vector, "up_direction": _vector,
        "fov": lambda value: _is_number(value) and 0 < value < math.pi, "near": _is_number, "far": _is_number,
        "image_width": _is_canvas, "image_height": _is_canvas,
    },
    "ScenePointerMessage": {
        "event_type": lambda value: value == "click", "ray_origin": _or_none(_vector), "ray_direction": _or_none(_vector),
        "screen_pos": _is_click_place, "modifier": _modifier,
    },
    "SceneNodeClickMessage": {
        "name": _text(200), "instance_index": _or_none(lambda value: type(value) is int and 0 <= value < 1 << 31),
        "ray_origin": _vector, "ray_direction": _vector, "screen_pos": _numbers(2), "modifier": _modifier, "owner": _text(200),
    },
    "TransformControlsUpdateMessage": {"name": _text(200), "wxyz": _is_rotation, "position": _vector, "owner": _text(200)},
    "TransformControlsDragStartMessage": {"name": _text(200), "owner": _text(200)},
    "TransformControlsDragEndMessage": {"name": _text(200), "owner": _text(200)},
    "LocalStorageGetItemResponseMessage": {
        "value": _or_none(_text(1000)), "error": _or_none(_text(1000)), "request_uuid": _text(100),
    },
}  # fmt: skip
_OPTIONAL = frozenset({"owner"})
