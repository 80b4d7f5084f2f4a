"""Passes viser's client and its socket on under ``/stage/TAB/``, so that the page needs one port.

Of what the page sends only what the stage needs goes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import viser
import websockets
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from viewer.stage.server import SECRET_HEADER, StageServer

LARGEST_MESSAGE = 64 << 10  # bytes, of one from the page
LARGEST_CANVAS = 8192  # pixels, width and height
LARGEST_COORDINATE = 1e12
MOST_NONSENSE = 20  # messages that are no message, after which the socket is closed
_FILES = Path(viser.__file__).parent / "client" / "build"

# What the stage needs from the page. Everything else, GUI messages and uploads above all, is dropped.
ALLOWED = frozenset(
    {
        "ViewerCameraMessage",
        "ScenePointerMessage",
        "SceneNodeClickMessage",
        "LocalStorageGetItemResponseMessage",
    }
)

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
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        await self._http.aclose()

    async def file(self, request: Request) -> Response:
        """One file of viser's client."""
        path = str(request.path_params["path"])
        if request.method not in ("GET", "HEAD"):
            return Response("Only GET.", 405)
        wanted = {key: value for key, value in request.headers.items() if key in ("accept-encoding", "if-none-match")}
        async with self._http.stream("GET", "/" + path, headers=wanted) as found:
            body = b"".join([part async for part in found.aiter_raw()])
            kept = {key: value for key, value in found.headers.items() if key in ("content-type", "content-encoding", "etag")}
            return Response(body, found.status_code, kept)

    async def socket(self, page: WebSocket) -> None:
        """One page's stage, until either side ends it."""
        tab = str(page.path_params["tab"])
        if not self._known_tab(tab):
            await page.close(1008)
            return
        address = f"ws://127.0.0.1:{self._stage.get_port()}"
        headers = {SECRET_HEADER: self._stage.secret}
        protocols = [websockets.Subprotocol(name) for name in page.scope.get("subprotocols", [])]
        client: viser.ClientHandle | None = None
        try:
            async with self._opening:  # one at a time: that is how viser's handle of the connection is told
                before = set(self._stage.get_clients())
                inner = await websockets.connect(
                    address, additional_headers=headers, subprotocols=protocols, max_size=None, compression=None, ping_interval=None
                )
                await page.accept(subprotocol=inner.subprotocol)
                out = asyncio.ensure_future(_outwards(inner, page))
                into = asyncio.ensure_future(self._inwards(page, inner))
                for _ in range(1500):
                    new = [handle for key, handle in self._stage.get_clients().items() if key not in before]
                    if new or out.done() or into.done():
                        break
                    await asyncio.sleep(0.01)
                if new:
                    client = new[0]
            if client is not None:
                self._connected(tab, client)
            await asyncio.wait([out, into], return_when=asyncio.FIRST_COMPLETED)
            for task in (out, into):
                task.cancel()
            await asyncio.gather(out, into, return_exceptions=True)
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


async def _outwards(inner: websockets.ClientConnection, page: WebSocket) -> None:
    async for message in inner:
        if isinstance(message, bytes):
            await page.send_bytes(message)


def judge(raw: bytes) -> bool | None:
    """Whether a message of the page is passed on: None if it is no message, False if it is one that the stage does not need."""
    if len(raw) > LARGEST_MESSAGE:
        return None
    try:
        message = msgspec.msgpack.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return None
    if message["type"] not in ALLOWED:
        return False
    if message["type"] == "ViewerCameraMessage":
        return True if _is_camera(message) else None
    return True


def _is_camera(message: dict[str, Any]) -> bool:
    vectors = {"wxyz": 4, "position": 3, "look_at": 3, "up_direction": 3}
    if not all(_numbers(message.get(name), count) for name, count in vectors.items()):
        return False
    if not all(_numbers([message.get(name)], 1) for name in ("fov", "near", "far")):
        return False
    if not 0 < message["fov"] < math.pi or sum(value * value for value in message["wxyz"]) < 1e-12:
        return False
    return all(type(message.get(name)) is int and 0 <= message[name] <= LARGEST_CANVAS for name in ("image_width", "image_height"))


def _numbers(values: Any, count: int) -> bool:
    if not isinstance(values, (list, tuple)) or len(values) != count:
        return False
    return all(type(value) in (int, float) and math.isfinite(value) and abs(value) < LARGEST_COORDINATE for value in values)
