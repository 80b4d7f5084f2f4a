"""The websocket of the camera panes: newest first, paced by acknowledgements, deaf to nonsense."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocket, WebSocketDisconnect
from test_picture import CAMERA, Rays, one, painted, photo

from trackersplat.errors import InputError
from viewer.pane_messages import MOST_BYTES, pack, parse
from viewer.pictures import MOST_MALFORMED, REST_AFTER, Pictures
from viewer.views.overlays import FIELDS, Overlay
from viewer.views.request import PanePicture, PaneRequest, Sources

SIZE = {"t": "size", "pane": 0, "w": 64, "h": 48}


class Source:
    """One pane of the tiny camera."""

    def __init__(self) -> None:
        self.panes: dict[int, PaneRequest] = {0: PaneRequest(1, 4)}
        self.rasterizer = Rays()
        self.wakes: list[Callable[[], None]] = []
        self.made: list[tuple[PaneRequest, str]] = []
        self.acknowledgements: list[tuple[int, int]] = []
        self.marks = False
        self.drags = False
        self.fails: Exception | None = None
        self.gate: threading.Event | None = None

    def set(self, pane: int = 0, **changes: Any) -> None:
        self.panes[pane] = replace(self.panes.get(pane, PaneRequest(1, 4)), **changes)
        for wake in self.wakes:
            wake()

    def request(self, pane: int) -> PaneRequest | None:
        return self.panes.get(pane)

    def dragged(self) -> bool:
        return self.drags

    def sources(self, request: PaneRequest) -> Sources:
        self.made.append((request, threading.current_thread().name))
        if self.gate is not None:
            self.gate.wait(20)
        if self.fails is not None:
            raise self.fails
        return Sources(CAMERA, False, photo, self.rasterizer, gaussians=one(), source_frame=request.frame)  # type: ignore[arg-type]

    def overlay(self, request: PaneRequest) -> Overlay | None:
        if not self.marks:
            return None
        return Overlay(request.frame, np.full((len(FIELDS), 2), request.frame, np.float32), trails=np.zeros((3, 2, 2), np.float32))

    def acknowledged(self, pane: int, request: PaneRequest, picture: PanePicture) -> None:
        self.acknowledgements.append((pane, picture.frame))

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        self.wakes.append(wake)
        return lambda: self.wakes.remove(wake)


class Page:
    """The page's end of the socket."""

    def __init__(self, socket: WebSocketTestSession) -> None:
        self.socket = socket

    def send(self, **message: Any) -> None:
        self.socket.send_text(json.dumps(message))

    def receive(self, kind: str = "picture") -> tuple[dict[str, Any], bytes]:
        """The next message of a kind."""
        while True:
            data = self.socket.receive_bytes()
            (length,) = struct.unpack_from("<I", data)
            header = json.loads(data[4 : 4 + length])
            if header["t"] == kind:
                return header, data[4 + length :]

    def acknowledge(self, header: dict[str, Any]) -> None:
        self.send(t="ack", pane=header["pane"], serial=header["serial"])

    def rest(self) -> dict[str, Any]:
        """Acknowledges until a picture at rest has come."""
        while True:
            header, _ = self.receive()
            self.acknowledge(header)
            if header["exact"]:
                return header


@contextmanager
def connected(source: Source, pictures: Pictures | None = None) -> Iterator[Page]:
    served = pictures or Pictures()

    async def endpoint(websocket: WebSocket) -> None:
        await served.handle(websocket, source)

    with TestClient(Starlette(routes=[WebSocketRoute("/pictures", endpoint)])) as client, client.websocket_connect("/pictures") as socket:
        yield Page(socket)
    served.close()


def decoded(payload: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_the_first_picture_is_complete_and_says_what_it_is() -> None:
    with connected(Source()) as page:
        page.send(**SIZE)
        header, payload = page.receive()
    assert {name: header[name] for name in ("pane", "frame", "wanted", "camera", "role", "w", "h", "rect", "label", "exact")} == {
        "pane": 0, "frame": 4, "wanted": 4, "camera": "cam01", "role": "training", "w": 64, "h": 48, "rect": [0, 0, 64, 48],
        "label": "Render", "exact": True,
    }  # fmt: skip
    assert header["score"]["pixels"] == "whole image, 64×48"
    assert header["mime"] == "image/jpeg"
    assert np.abs(decoded(payload).astype(int) - painted()).mean() < 3


def test_single_pixels_and_error_maps_arrive_without_loss() -> None:
    source = Source()
    with connected(source) as page:
        page.send(**SIZE)
        page.send(t="view", pane=0, rect=[8, 4, 16, 10], camera=1)
        header = page.rest()
        while header["rect"] != [8, 4, 16, 10]:
            header = page.rest()
        source.set(compare="error")
        while True:
            header, payload = page.receive()
            page.acknowledge(header)
            if header["exact"]:
                break
    assert header["mime"] == "image/png"
    assert decoded(payload).shape == (6, 8, 3)
    assert header["scale"]["stops"]


def test_the_next_picture_waits_for_the_acknowledgement_and_is_the_newest() -> None:
    source = Source()
    with connected(source) as page:
        page.send(**SIZE)
        header, _ = page.receive()
        for frame in (0, 1, 2, 3):
            source.set(frame=frame)
        page.send(t="ack", pane=0, serial=header["serial"] + 1)  # of a picture that was never sent
        assert len(source.made) == 1
        page.acknowledge(header)
        header, _ = page.receive()
        assert (header["frame"], header["exact"], header["score"]) == (3, False, None)
        page.acknowledge(header)
        header, _ = page.receive()
        assert (header["frame"], header["exact"]) == (3, True)
        assert header["score"] is not None
        page.acknowledge(header)
        assert [request.frame for request, _ in source.made] == [4, 3, 3]
        source.set(frame=1)
        page.receive()
    assert source.acknowledgements == [(0, 4), (0, 3), (0, 3)]
    assert source.wakes == [], "the source is left when the page leaves"


def test_while_the_time_is_dragged_a_slow_machine_makes_no_full_pictures_of_the_frames_between() -> None:
    source, now = Source(), [0.0]
    with connected(source, Pictures(clock=lambda: now[0])) as page:
        page.send(**SIZE)
        page.acknowledge(page.receive()[0])
        source.drags = True
        source.set(frame=2)
        page.acknowledge(page.receive()[0])
        now[0] += REST_AFTER
        for mark in (1, 2, 3):  # each answer comes after whatever was due before
            source.set(overlay=mark)
            page.receive("overlay")
        assert [(request.frame, request.full) for request, _ in source.made] == [(4, True), (2, False)]
        source.drags = False
        source.set()
        header, _ = page.receive()
        assert (header["frame"], header["exact"]) == (2, True)


def test_a_page_that_does_not_answer_gets_the_next_picture_after_a_while() -> None:
    source = Source()
    with connected(source, Pictures(ack_timeout=0.0)) as page:
        page.send(**SIZE)
        page.receive()
        source.set(frame=2)
        assert page.receive()[0]["frame"] == 2


def test_pictures_are_made_on_one_thread_of_their_own_and_the_socket_stays_awake() -> None:
    source = Source()
    source.gate = threading.Event()
    with connected(source) as page:
        page.send(**SIZE)
        assert page.receive("state")[0]["sentence"] == "Rendering …"  # said while the thread is busy
        source.gate.set()
        page.receive()
    assert {name for _, name in source.made} == {"pictures_0"}


def test_what_fails_becomes_a_sentence_and_the_next_request_is_served() -> None:
    source = Source()
    source.fails = InputError("cam01.mp4 cannot be decoded.")
    with connected(source) as page:
        page.send(**SIZE)
        assert page.receive("state")[0]["sentence"] == "cam01.mp4 cannot be decoded."
        source.fails = RuntimeError("boom")
        source.set(frame=1)
        assert "boom" in page.receive("state")[0]["sentence"]
        source.fails = None
        source.set(compare="error", channel="depth")
        header, _ = page.receive("state")
        assert "has colours only" in header["sentence"]
        assert (header["camera"], header["frame"]) == ("cam01", 1)
        source.set(compare="render", channel="colour")
        assert page.receive()[0]["frame"] == 1


def test_marks_come_before_the_picture_of_their_frame() -> None:
    source = Source()
    source.marks = True
    with connected(source) as page:
        page.send(**SIZE)
        header, payload = page.receive("overlay")
        assert (header["frame"], header["count"], header["fields"], header["trail"]) == (4, 2, list(FIELDS), 3)
        assert len(payload) == 4 * 2 * (len(FIELDS) + 6)
        assert page.rest()["wanted"] == 4
        source.marks = False
        source.set(overlay=1)  # only the marks are another: no picture
        assert page.receive("overlay")[0]["count"] == 0
        source.set(frame=2)
        assert page.rest()["frame"] == 2
    assert [request.frame for request, _ in source.made] == [4, 2, 2]


def test_panes_take_turns() -> None:
    source = Source()
    source.set(1, camera=1, frame=2)
    with connected(source) as page:
        page.send(**SIZE)
        page.send(**{**SIZE, "pane": 1})
        seen = set()
        while seen != {0, 1}:
            header, _ = page.receive()
            page.acknowledge(header)
            seen.add(header["pane"])
        page.send(t="gone", pane=0)
        source.set(0, frame=0)
        source.set(1, frame=0)
        assert page.receive()[0]["pane"] == 1


# -- nonsense -------------------------------------------------------------------------------------------------------------

GOOD = (
    {"t": "size", "pane": 3, "w": 4096, "h": 1},
    {"t": "view", "pane": 0, "rect": None},
    {"t": "view", "pane": 0, "rect": [-5.5, 0, 10, 20], "camera": 2},
    {"t": "ack", "pane": 0, "serial": 1},
    {"t": "gone", "pane": 1},
)
BAD = (
    "", "[]", "{", "null", "1", '"size"', b"{}", None, "[" * 50_000, '{"t":"size"}', '{"t":"size","pane":0,"w":NaN,"h":1}',
    '{"t":"size","pane":0,"w":1e999,"h":1}', '{"t":"size","pane":4,"w":9,"h":9}', '{"t":"size","pane":-1,"w":9,"h":9}',
    '{"t":"size","pane":0,"w":1000000000,"h":1}', '{"t":"size","pane":0,"w":0,"h":1}', '{"t":"size","pane":true,"w":9,"h":9}',
    '{"t":"size","pane":0,"w":"9","h":9}', '{"t":"size","pane":0.5,"w":9,"h":9}', '{"t":"size","pane":0,"w":' + "9" * 5000 + ',"h":1}',
    '{"t":"view","pane":0,"rect":[0,0,1]}', '{"t":"view","pane":0,"rect":[0,0,0,1],"camera":0}',
    '{"t":"view","pane":0,"rect":[0,0,1e7,1],"camera":0}', '{"t":"view","pane":0,"rect":[0,0,1,1],"camera":-1}',
    '{"t":"view","pane":0,"rect":[0,0,1,1]}', '{"t":"view","pane":0,"rect":"0011","camera":0}', '{"t":"ack","pane":0,"serial":-1}',
    '{"t":"ack","pane":0,"serial":1.5}', '{"t":"run","pane":0}', '{"t":["size"],"pane":0}', '"' + "x" * MOST_BYTES + '"',
)  # fmt: skip


@pytest.mark.parametrize("message", GOOD)
def test_well_formed_messages_are_read(message: dict[str, Any]) -> None:
    found = parse(json.dumps(message))
    assert found is not None
    assert (found.kind, found.pane) == (message["t"], message["pane"])


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_malformed_messages_are_none(text: Any) -> None:
    assert parse(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=5) | st.dictionaries(st.text(max_size=6), children, max_size=5),
    max_leaves=8,
)
MESSAGES = st.fixed_dictionaries(
    {"t": st.sampled_from(("size", "view", "ack", "gone", "pick", "")) | JSON},
    optional={name: JSON | st.integers(-1, 5) | st.floats() for name in ("pane", "w", "h", "serial", "camera", "rect")},
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(max_size=200) | st.binary(max_size=200) | MESSAGES.map(json.dumps), max_size=MOST_MALFORMED - 1))
def test_the_server_lives_through_garbage(garbage: list[str | bytes]) -> None:
    source = Source()
    with connected(source, PICTURES) as page:
        for message in garbage:
            if isinstance(message, bytes):
                page.socket.send_bytes(message)
            else:
                page.socket.send_text(message)
        page.send(**{**SIZE, "pane": 0})
        source.set(frame=2)
        while page.receive()[0]["frame"] != 2:
            page.acknowledge({"pane": 0, "serial": 1})


class _Shared(Pictures):
    def close(self) -> None:
        """It serves all examples."""


PICTURES = _Shared(ack_timeout=0.0)


def test_a_page_that_sends_only_garbage_is_shown_out_and_others_stay() -> None:
    pictures, patient, rude = Pictures(), Source(), Source()
    sources = iter((patient, rude))

    async def endpoint(websocket: WebSocket) -> None:
        await pictures.handle(websocket, next(sources))

    with TestClient(Starlette(routes=[WebSocketRoute("/pictures", endpoint)])) as client, client.websocket_connect("/pictures") as good:
        with client.websocket_connect("/pictures") as bad:
            for _ in range(MOST_MALFORMED):
                bad.send_text("{")
            with pytest.raises(WebSocketDisconnect) as closed:
                bad.receive_bytes()
            assert closed.value.code == 1008
        good.send_text(json.dumps(SIZE))
        assert Page(good).receive()[0]["frame"] == 4
    pictures.close()


def test_a_message_to_the_page_begins_with_the_length_of_its_header() -> None:
    assert pack({"t": "state"}, b"xyz") == b'\x0e\x00\x00\x00{"t": "state"}xyz'
