"""The stream of pictures to one page, with a page that only keeps what it gets."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from waiting import wait_for

import viewer.scene.exact
from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from viewer.scene.exact import MOST_RETURNS, REST_AFTER, SETTLING, ExactView
from viewer.scene.painter import Picture
from viewer.state import State, Store

HOME = Camera("home", 40, 30, np.array([[50.0, 0, 20], [0, 50.0, 15], [0, 0, 1]]), np.eye(4))


class FakePage:
    """The parts of viser's client handle that the view uses. ``gate`` holds back its acknowledgements."""

    def __init__(self) -> None:
        self.client_id = 0
        self.images: list[np.ndarray] = []
        self.gate = threading.Event()
        self.gate.set()
        self.moved: list[Callable[[Any], Any]] = []
        self.camera = SimpleNamespace(
            image_width=80, image_height=60, position=np.zeros(3), look_at=np.array([0.0, 0, 1]), wxyz=np.array([1.0, 0, 0, 0]), fov=1.0,
            up_direction=np.array([0.0, -1, 0]), on_update=self.moved.append,
        )  # fmt: skip
        self.scene = SimpleNamespace(set_background_image=lambda image, **_: self.images.append(image))
        self.local_storage = SimpleNamespace(get_item=lambda key, timeout: self.gate.wait(timeout))

    def atomic(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


class FakePainter:
    """Paints the frame's number; frame 7 cannot be read and frame 8 hits a defect."""

    def __init__(self) -> None:
        self.painted: list[tuple[int, int]] = []  # frame, width

    def camera(self, index: int) -> Camera:
        return HOME

    def free(self, state: State, view: Camera) -> Picture:
        self.painted.append((state.frame, view.width))
        if state.frame == 7:
            raise InputError("frame 8 is broken.")
        if state.frame == 8:
            raise ZeroDivisionError("a defect")
        return Picture(np.full((view.height, view.width, 3), state.frame, np.uint8))

    def through(self, state: State, canvas: tuple[int, int], scale: float) -> Picture:
        return Picture(np.full((canvas[1], canvas[0], 3), 100 + state.frame, np.uint8))


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A view whose clock stands still. It takes every change for the last one and draws it fully, unless a test says otherwise."""
    monkeypatch.setattr(viewer.scene.exact, "REST_AFTER", 0.0)
    now = [0.0]
    store, page, painter = Store(State(frame_count=50, reconstructed=(0,))), FakePage(), FakePainter()
    ahead = np.array([0.0, 0, 1])
    framing = SimpleNamespace(
        up=np.array([0.0, -1, 0]), start=0.5 * ahead, focus=4 * ahead, rig=0 * ahead, overview=-4 * ahead, extent=4.0, frustum=0.4
    )
    trails = SimpleNamespace(at=lambda state: None)
    view = ExactView(page, store, painter, trails, framing, lambda: now[0])  # type: ignore[arg-type]
    yield SimpleNamespace(store=store, page=page, painter=painter, view=view, now=now)
    page.gate.set()
    view.close()


def test_a_change_is_shown_and_what_changes_no_picture_is_not_drawn(scene: SimpleNamespace) -> None:
    wait_for(lambda: scene.view.rests)
    scene.store.set(frame=5)
    assert not scene.view.rests
    wait_for(lambda: scene.view.rests)
    assert (scene.page.images[-1] == 5).all()
    assert scene.page.images[-1].shape == (60, 80, 3)
    scene.store.set(speed=2.0)
    assert scene.view.rests


def test_the_full_picture_is_drawn_once_nothing_changes_any_more(scene: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for(lambda: scene.view.rests)
    monkeypatch.setattr(viewer.scene.exact, "REST_AFTER", REST_AFTER)
    scene.view._seconds_per_pixel = 1.0  # a slow machine
    scene.store.set(frame=5)
    wait_for(lambda: scene.page.images[-1].max() == 5)
    assert not scene.view.rests
    scene.now[0] += REST_AFTER
    wait_for(lambda: scene.view.rests)
    assert [width for frame, width in scene.painter.painted if frame == 5] == [20, 80]
    assert scene.page.images[-1].shape == (60, 80, 3)


def test_while_the_page_is_busy_only_the_newest_request_is_kept(scene: SimpleNamespace) -> None:
    wait_for(lambda: scene.view.rests)
    scene.page.gate.clear()
    scene.store.set(frame=10)
    wait_for(lambda: scene.painter.painted[-1][0] == 10)
    for frame in range(11, 40):
        scene.store.set(frame=frame)
    scene.page.gate.set()
    wait_for(lambda: scene.view.rests)
    assert [frame for frame, _ in scene.painter.painted if frame >= 10] == [10, 39]


@pytest.mark.parametrize(("frame", "words"), [(7, "frame 8 is broken."), (8, "ZeroDivisionError")])
def test_a_picture_that_fails_is_a_message_and_the_next_one_is_shown(scene: SimpleNamespace, frame: int, words: str) -> None:
    wait_for(lambda: scene.view.rests)
    scene.store.set(frame=frame)
    wait_for(lambda: any(words in sentence for _, sentence in scene.store.state.problems))
    wait_for(lambda: scene.view.rests)  # it is not tried over and over
    scene.store.set(frame=9)
    wait_for(lambda: scene.view.rests and not scene.store.state.problems)
    assert (scene.page.images[-1] == 9).all()
    assert [number for number, _ in scene.painter.painted if number == frame] == [frame]


def test_a_page_without_acknowledgement_does_not_stop_the_stream(scene: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(key: str, timeout: float) -> None:
        raise TimeoutError

    wait_for(lambda: scene.view.rests)
    monkeypatch.setattr(scene.page.local_storage, "get_item", late)
    scene.store.set(frame=6)
    wait_for(lambda: scene.view.rests)
    assert (scene.page.images[-1] == 6).all()


def test_looking_through_a_camera_moves_the_page_there_and_moving_away_leaves_it(scene: SimpleNamespace) -> None:
    wait_for(lambda: scene.view.rests)
    page = scene.page
    page.camera.position = np.array([3.0, 0, 0])
    scene.store.set(camera=0)
    assert np.allclose(page.camera.position, HOME.center)
    assert np.allclose(page.camera.look_at, (0, 0, 4))
    wait_for(lambda: scene.view.rests)
    assert (page.images[-1] == 100).all()

    report(page, (3.0, 0, 0))  # a message from before the page got there
    assert scene.store.state.camera == 0
    report(page, (0.0, 0, 0))
    report(page, (0.0, 0, 1e-4))  # rounding
    assert scene.store.state.camera == 0
    scene.now[0] += SETTLING + 0.05
    report(page, (0.0, 0.5, 0))  # a drag
    assert scene.store.state.camera is None
    assert np.allclose(page.camera.position, (0, 0.5, 1.3 * 0.4))  # out of the camera's frustum


def test_a_page_that_comes_up_is_put_back_until_it_stays_or_someone_drags_on(scene: SimpleNamespace) -> None:
    page = scene.page
    scene.store.set(camera=0)
    for own in ((3.2, -3, 2.7), (0.0, 0, 0.5)):  # viser's own viewpoint, the starting one
        report(page, (0.0, 0, 0))
        report(page, own)
        assert scene.store.state.camera == 0
        assert np.allclose(page.camera.position, HOME.center)
    for _ in range(MOST_RETURNS):
        report(page, (0.0, 0, 0))
        report(page, (0.0, 0.5, 0))
    assert scene.store.state.camera is None


def test_a_page_that_has_settled_in_the_free_view_is_left_at_once(scene: SimpleNamespace) -> None:
    wait_for(lambda: scene.view.rests)
    scene.now[0] += SETTLING + 0.05
    report(scene.page, (0.0, 0, 0.5))
    scene.store.set(camera=0)
    report(scene.page, (0.0, 0, 0))
    report(scene.page, (0.0, 0.5, 0))  # a drag
    assert scene.store.state.camera is None


def report(page: FakePage, position: tuple[float, float, float]) -> None:
    """The page tells where it is."""
    page.camera.position = np.array(position)
    with contextlib.suppress(StopIteration):
        page.moved[0](page.camera).send(None)


def test_a_closed_tab_ends_its_thread(scene: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(key: str, timeout: float) -> None:
        raise RuntimeError("localStorage request failed: the client disconnected before returning a response.")

    wait_for(lambda: scene.view.rests)
    monkeypatch.setattr(scene.page.local_storage, "get_item", gone)
    scene.store.set(frame=3)
    wait_for(lambda: not scene.view._thread.is_alive())
