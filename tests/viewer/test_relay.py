"""What goes from a page to viser: only well-formed messages that the stage needs."""

from __future__ import annotations

import contextlib
import http.client
import math
import re
from collections.abc import Iterator
from concurrent.futures import CancelledError
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import viser
import viser._messages as messages
import websockets.sync.client
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocket, WebSocketDisconnect
from waiting import wait_for

from viewer.relay import ALLOWED, LARGEST_CANVAS, LARGEST_MESSAGE, MOST_NONSENSE, Relay, judge
from viewer.stage.server import SECRET_HEADER, StageServer

CAMERA: dict[str, Any] = {
    "type": "ViewerCameraMessage", "wxyz": [1.0, 0.0, 0.0, 0.0], "position": [0.0, 0.0, 0.0], "fov": 1.0, "near": 0.1, "far": 10.0,
    "image_height": 475, "image_width": 320, "look_at": [0.0, 0.0, 1.0], "up_direction": [0.0, -1.0, 0.0],
}  # fmt: skip
CLICK: dict[str, Any] = {
    "type": "ScenePointerMessage", "event_type": "click", "ray_origin": [0.0, 0.0, 0.0], "ray_direction": [0.0, 0.0, 1.0],
    "screen_pos": [[0.5, 0.5]], "modifier": None,
}  # fmt: skip
ANSWER: dict[str, Any] = {"type": "LocalStorageGetItemResponseMessage", "value": None, "error": None, "request_uuid": "1"}
HELD: dict[str, Any] = {"name": "/zone/move", "owner": ""}
DRAGS: list[dict[str, Any]] = [
    {"type": "TransformControlsUpdateMessage", "wxyz": [1.0, 0.0, 0.0, 0.0], "position": [0.0, 1.0, 2.0], **HELD},
    {"type": "TransformControlsDragStartMessage", **HELD},
    {"type": "TransformControlsDragEndMessage", **HELD},
]
UPDATE = {"type": "GuiUpdateMessage", "uuid": "u", "updates": {"disabled": True}}


def packed(message: object) -> bytes:
    return msgspec.msgpack.encode(message)


@pytest.mark.parametrize("message", [CAMERA, CLICK, ANSWER, *DRAGS])
def test_what_the_stage_needs_passes_and_viser_can_read_it(message: dict[str, Any]) -> None:
    assert judge(packed(message)) is True
    assert type(messages.Message.deserialize(packed(message))).__name__ == message["type"]


@pytest.mark.parametrize("name", sorted({kind.__name__ for kind in messages.Message.get_subclasses()} - set(ALLOWED)))
def test_every_other_message_of_viser_is_dropped(name: str) -> None:
    assert judge(packed({"type": name})) is False
    assert judge(packed({**CAMERA, "type": name})) is False


@pytest.mark.parametrize(
    "changes",
    [
        {"image_width": 10**9, "image_height": 1},
        {"image_width": LARGEST_CANVAS + 1},
        {"image_width": -1},
        {"image_width": 320.5},
        {"image_width": True},
        {"image_height": None},
        {"fov": 0.0},
        {"fov": math.pi},
        {"fov": math.nan},
        {"near": "0.1"},
        {"position": [0.0, 0.0]},
        {"position": [0.0, 0.0, math.inf]},
        {"position": [0.0, 0.0, 1e300]},
        {"wxyz": [0.0, 0.0, 0.0, 0.0]},
        {"look_at": {"x": 1}},
        {"extra": 1},
        {"kwargs": {}},
    ],
)
def test_a_viewpoint_that_is_none_is_dropped(changes: dict[str, Any]) -> None:
    assert judge(packed({**CAMERA, **changes})) is None


def test_a_viewpoint_with_a_field_missing_is_dropped() -> None:
    for name in set(CAMERA) - {"type"}:
        assert judge(packed({key: value for key, value in CAMERA.items() if key != name})) is None


def test_a_message_too_large_is_dropped_unread() -> None:
    assert judge(packed({**ANSWER, "value": "x" * LARGEST_MESSAGE})) is None
    assert judge(packed({**ANSWER, "value": "x" * 2000})) is None


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_judge_fail(raw: bytes) -> None:
    assert judge(raw) in (None, False, True)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([CAMERA, CLICK, ANSWER]), st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_passes_can_be_read_by_viser(message: dict[str, Any], data: st.DataObject) -> None:
    changed = {**message, data.draw(st.sampled_from([*message, "other", "owner"])): data.draw(anything)}
    try:
        raw = packed(changed)
    except (UnicodeEncodeError, msgspec.EncodeError, OverflowError):
        return
    if judge(raw) is True:
        messages.Message.deserialize(raw)


# -- over real sockets ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site() -> Iterator[SimpleNamespace]:
    server, app = StageServer(), FastAPI()
    here: dict[str, viser.ClientHandle] = {}
    relay: list[Relay] = []

    def relayed() -> Relay:
        if not relay:
            relay.append(Relay(server, lambda tab: tab in ("a", "b"), here.__setitem__, lambda tab, client: here.pop(tab, None) and None))
        return relay[0]

    async def file(request: Request) -> object:
        return await relayed().file(request)

    async def socket(websocket: WebSocket) -> None:
        await relayed().socket(websocket)

    app.add_api_route("/stage/{tab}/{path:path}", file, methods=["GET"])
    app.add_api_websocket_route("/stage/{tab}", socket)
    with TestClient(app) as client:
        yield SimpleNamespace(client=client, server=server, here=here)
        server.stop()


def opened(site: SimpleNamespace, tab: str) -> WebSocketTestSession:
    session: WebSocketTestSession = site.client.websocket_connect(f"/stage/{tab}", subprotocols=[f"viser-v{viser.__version__}"])
    return session


def test_nonsense_and_foreign_messages_reach_nobody_and_other_tabs_go_on(site: SimpleNamespace) -> None:
    reached: list[object] = []
    for kind in (messages.GuiUpdateMessage, messages.FileTransferStartUpload, messages.GetRenderResponseMessage):
        site.server._websock_server.register_handler(kind, lambda client, message: reached.append(message))
    with opened(site, "a") as bad, opened(site, "b") as good:
        bad.send_bytes(packed(CAMERA))
        good.send_bytes(packed(CAMERA))
        wait_for(lambda: set(site.here) == {"a", "b"})
        for message in (
            UPDATE,
            {"type": "FileTransferStartUpload", "source_component_uuid": "u", "transfer_uuid": "t", "filename": "f", "mime_type": "",
             "part_count": 1, "size_bytes": 0},
            {"type": "GetRenderResponseMessage", "payload": b"x"},
            {"type": "ShareUrlRequest"},
        ):  # fmt: skip
            bad.send_bytes(packed(message))
        for raw in (b"", b"\xc1", b"\xff" * 100, packed([1, 2]), packed({**CAMERA, "image_width": 10**9, "image_height": 1})):
            bad.send_bytes(raw)
        bad.send_text("{}")
        bad.send_bytes(packed({**CAMERA, "fov": 0.5}))  # it is read after all those before it
        wait_for(lambda: site.here["a"].camera.fov == 0.5)
        assert reached == []
        assert site.here["a"].camera.image_width == 320
        good.send_bytes(packed({**CAMERA, "fov": 0.25}))
        wait_for(lambda: site.here["b"].camera.fov == 0.25)
        assert site.here["a"].camera.fov == 0.5
        bad.close()
        good.close()
        wait_for(lambda: not site.here)


def test_a_page_that_never_tells_its_viewpoint_keeps_nobody_waiting(site: SimpleNamespace) -> None:
    with opened(site, "a"), opened(site, "b") as second:
        second.send_bytes(packed(CAMERA))
        wait_for(lambda: "b" in site.here)
        assert "a" not in site.here
        second.close()
        wait_for(lambda: not site.here)


def test_a_page_of_another_version_of_viser_is_refused(site: SimpleNamespace) -> None:
    with pytest.raises(WebSocketDisconnect), site.client.websocket_connect("/stage/a", subprotocols=["viser-v0.0.1"]):
        pass


def test_a_page_that_sends_nothing_but_nonsense_is_closed(site: SimpleNamespace) -> None:
    closed = False
    with contextlib.suppress(CancelledError), opened(site, "a") as page:  # leaving it may cut off what the relay still tidies up
        page.send_bytes(packed(CAMERA))
        for _ in range(MOST_NONSENSE):
            page.send_bytes(b"\xff")
        closed = closed_in_the_end(page)
    assert closed


def closed_in_the_end(page: WebSocketTestSession) -> bool:
    """Reads what comes until the other side closes."""
    while True:
        if page.receive()["type"] == "websocket.close":
            return True


def test_a_socket_of_an_unknown_tab_is_refused(site: SimpleNamespace) -> None:
    with pytest.raises(WebSocketDisconnect), opened(site, "somebody"):
        pass


def test_visers_page_comes_without_its_panel_and_its_notices_and_is_read_once(site: SimpleNamespace) -> None:
    first = site.client.get("/stage/a/")
    assert first.status_code == 200
    head = first.text.partition("</head>")[0]
    assert "mantine-Paper-root" in head
    assert "mantine-Notifications-root" in head
    again = site.client.get("/stage/b/", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert site.client.get("/stage/a/no/such/file").status_code == 404
    assert site.client.get("/stage/a/" + 5000 * "a").status_code == 404
    assert site.client.post("/stage/a/").status_code == 405


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_visers_code_and_styles_are_files_that_all_tabs_share_and_that_the_browser_keeps(site: SimpleNamespace, encoding: str) -> None:
    page = site.client.get("/stage/a/").text
    assert len(page) < 10_000
    linked = set(re.findall(r'"\.\.(/client/[^"]+)"', page))
    assert {name.rpartition(".")[2] for name in linked} == {"css", "js", "wasm"}
    for name in linked:
        answer = site.client.get("/stage" + name, headers={"accept-encoding": encoding})
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] in ("text/css", "text/javascript", "application/wasm")
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers.get("content-encoding", "identity") == encoding
        assert answer.content == site.client.get("/stage" + name, headers={"accept-encoding": "identity"}).content
    assert site.client.get("/stage/client/viser-0.js").status_code == 404


def test_the_inner_port_answers_nobody_without_the_secret(site: SimpleNamespace) -> None:
    port = site.server.get_port()
    for headers, status in (({}, 403), ({SECRET_HEADER: "guess"}, 403), ({SECRET_HEADER: site.server.secret}, 200)):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/", headers=headers)
        assert connection.getresponse().status == status
        connection.close()
    protocol = websockets.Subprotocol(f"viser-v{viser.__version__}")
    with (
        pytest.raises(websockets.InvalidStatus) as refused,
        websockets.sync.client.connect(f"ws://127.0.0.1:{port}", subprotocols=[protocol]),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_the_share_tunnel_cannot_be_asked_for(site: SimpleNamespace) -> None:
    handlers = site.server._websock_server._incoming_handlers
    assert messages.ShareUrlRequest not in handlers
    assert messages.ShareUrlDisconnect not in handlers
    assert site.server.request_share_url() is None
