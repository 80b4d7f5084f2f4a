"""The stream of pictures to one stage, with a page that only keeps what it gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from waiting import wait_for

import viewer.stage.exact
from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from viewer.stage.exact import MOST_PIXELS, QUALITY_AT_REST, QUALITY_MOVING, REST_AFTER, SIDES, TIME_PAUSE, ExactView
from viewer.stage.picture import Picture
from viewer.stage.strokes import Dots
from viewer.state import Shared, Store, View
from viewer.tab import Tab


class FakePage:
    """The parts of viser's client handle that the view uses. ``gate`` holds back its acknowledgements."""

    def __init__(self) -> None:
        import threading

        self.client_id = 0
        self.images: list[np.ndarray] = []
        self.qualities: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.moved: list[Callable[[Any], Any]] = []
        self.camera = SimpleNamespace(
            image_width=80, image_height=60, position=np.zeros(3), wxyz=np.array([1.0, 0, 0, 0]), fov=1.0, on_update=self.moved.append
        )
        self.scene = SimpleNamespace(set_background_image=self._show)
        self.local_storage = SimpleNamespace(get_item=lambda key, timeout: self.gate.wait(timeout))

    def _show(self, image: np.ndarray, format: str, jpeg_quality: int) -> None:
        self.qualities.append(jpeg_quality)
        self.images.append(image)

    def flush(self) -> None:
        pass


class FakeMarks:
    """One dot in the middle once there is a selection."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab

    def state(self) -> object:
        return self._tab.view.tracks

    def strokes(self, frame: int) -> list[Dots]:
        if not self._tab.view.tracks:
            return []
        return [Dots(np.array([[0, 0, 1]], np.float32), np.full((1, 3), 255, np.uint8), np.zeros(1, bool), np.ones(1, np.float32))]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A view whose clock stands still. It takes every change for the last one and draws it fully, unless a test says otherwise.

    The picture is the frame's number; frame 7 cannot be read and frame 8 hits a defect.
    """
    painted: list[tuple[int, int]] = []  # frame, width

    def paint(tab: Tab, frame: int, view: Camera) -> Picture:
        painted.append((frame, view.width))
        if frame == 7:
            raise InputError("frame 8 is broken.")
        if frame == 8:
            raise ZeroDivisionError("a defect")
        return Picture(np.full((view.height, view.width, 3), frame, np.uint8))

    monkeypatch.setattr(viewer.stage.exact, "REST_AFTER", 0.0)
    monkeypatch.setattr(viewer.stage.exact, "free_picture", paint)
    now = [0.0]
    store, page = Store(Shared(frame_count=50, reconstructed=(0,))), FakePage()
    store.open_tab("a", View())
    tab = Tab("a", store, None)  # type: ignore[arg-type]
    view = ExactView(page, tab, FakeMarks(tab), lambda: now[0])  # type: ignore[arg-type]
    view.start()
    yield SimpleNamespace(store=store, tab=tab, page=page, painted=painted, view=view, now=now)
    page.gate.set()
    view.close()


@pytest.fixture
def patient(scene: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The scene at rest, which from now on waits after a change whether another one comes, as on a page."""
    wait_for(lambda: scene.view.rests)
    monkeypatch.setattr(viewer.stage.exact, "REST_AFTER", REST_AFTER)
    return scene


def test_a_change_is_shown_and_what_changes_no_picture_is_not_drawn(scene: SimpleNamespace) -> None:
    wait_for(lambda: scene.view.rests)
    scene.tab.set(frame=5)
    assert not scene.view.rests
    wait_for(lambda: scene.view.rests)
    assert (scene.page.images[-1] == 5).all()
    assert scene.page.images[-1].shape == (60, 80, 3)
    scene.tab.set(speed=2.0)
    assert scene.view.rests


def test_the_frame_shown_is_the_one_that_the_page_has_acknowledged(scene: SimpleNamespace) -> None:
    wait_for(lambda: scene.view.rests)
    assert scene.tab.view.shown == 0
    assert scene.tab.view.stage_shown
    scene.page.gate.clear()
    scene.tab.set(frame=5, stage_shown=False)
    wait_for(lambda: scene.painted[-1][0] == 5)
    assert scene.tab.view.shown == 0
    assert not scene.tab.view.stage_shown
    scene.page.gate.set()
    wait_for(lambda: scene.tab.view.shown == 5 and scene.tab.view.stage_shown)


def test_the_size_that_the_page_tells_counts_before_that_of_viser(scene: SimpleNamespace) -> None:
    wait_for(lambda: scene.view.rests)
    scene.tab.set(canvas=(200, 120, 2.0))
    wait_for(lambda: scene.view.rests)
    assert scene.page.images[-1].shape == (120, 200, 3)
    assert scene.view.pixels_per_css(scene.view.view()) == 2.0


@pytest.mark.parametrize("size", [(10**9, 1), (1, 10**9), (10**9, 10**9), (0, 0)])
def test_no_size_of_a_page_costs_memory(scene: SimpleNamespace, size: tuple[int, int]) -> None:
    wait_for(lambda: scene.view.rests)
    scene.page.camera.image_width, scene.page.camera.image_height = size
    view = scene.view.view()
    assert view.width * view.height <= 1.01 * MOST_PIXELS
    assert SIDES[0] <= view.width <= SIDES[1]
    assert SIDES[0] <= view.height <= SIDES[1]


def test_marks_are_drawn_over_the_same_picture_without_rendering_it_again(scene: SimpleNamespace) -> None:
    wait_for(lambda: scene.view.rests)
    rendered = len(scene.painted)
    scene.tab.set(tracks=(3,))
    wait_for(lambda: scene.view.rests)
    assert len(scene.painted) == rendered
    assert scene.page.images[-1][30, 40].tolist() == [255, 255, 255]
    assert (scene.page.images[-1][:20] == 0).all()
    scene.tab.set(tracks=())
    wait_for(lambda: scene.view.rests)
    assert not scene.page.images[-1].any()


def test_the_full_picture_is_drawn_once_nothing_changes_any_more(patient: SimpleNamespace) -> None:
    patient.view._seconds_per_pixel = 1.0  # a slow machine
    patient.now[0] += TIME_PAUSE
    patient.tab.set(frame=5)
    wait_for(lambda: patient.page.images[-1].max() == 5)
    assert not patient.view.rests
    patient.now[0] += REST_AFTER
    wait_for(lambda: patient.view.rests)
    assert [width for frame, width in patient.painted if frame == 5] == [20, 80]
    assert patient.page.images[-1].shape == (60, 80, 3)


def test_a_single_step_after_a_rest_gets_its_full_picture_at_once_if_that_is_quick(patient: SimpleNamespace) -> None:
    patient.now[0] += REST_AFTER
    patient.tab.set(frame=10)
    wait_for(lambda: patient.view.rests)
    drawn = patient.view.pictures
    patient.page.camera.fov *= 1.1  # at the same moment: it may be one of many
    patient.view._wake.set()
    wait_for(lambda: patient.view.pictures > drawn)
    assert not patient.view.rests
    patient.now[0] += REST_AFTER
    patient.view._wake.set()
    wait_for(lambda: patient.view.rests)
    assert patient.page.qualities[-3:] == [QUALITY_AT_REST, QUALITY_MOVING, QUALITY_AT_REST]


@pytest.mark.parametrize("moving", ["playing", "dragging"])
def test_what_moves_gets_pictures_that_are_made_quickly(patient: SimpleNamespace, moving: str) -> None:
    patient.now[0] += 10.0
    patient.tab.set(frame=10, **{moving: True})
    wait_for(lambda: patient.tab.view.shown == 10)
    assert patient.page.qualities[-1] == QUALITY_MOVING


def test_while_the_time_is_dragged_the_stage_leaves_the_processor_to_the_panes(patient: SimpleNamespace) -> None:
    patient.now[0] += TIME_PAUSE
    patient.tab.set(frame=10)
    wait_for(lambda: patient.painted[-1][0] == 10)
    wait_for(lambda: patient.tab.view.shown == 10)
    patient.tab.set(frame=11)  # at the same moment
    patient.tab.set(frame=12)
    patient.now[0] += TIME_PAUSE / 2
    patient.tab.set(frame=13)
    patient.now[0] += TIME_PAUSE / 2
    patient.tab.set(frame=14)
    wait_for(lambda: patient.painted[-1][0] == 14)
    patient.page.camera.fov *= 1.1  # whoever turns the camera waits for the stage itself
    patient.view._wake.set()
    wait_for(lambda: patient.page.images[-1].max() == 14 and len(patient.painted) > len({frame for frame, _ in patient.painted}))
    assert [frame for frame, _ in patient.painted if frame >= 10] == [10, 14, 14]


def test_a_slow_stage_leaves_more_time_between_its_pictures_and_rests_only_when_the_time_is_let_go(patient: SimpleNamespace) -> None:

    def answer(key: str, timeout: float) -> None:
        patient.now[0] += 0.15  # what a picture takes

    patient.page.local_storage.get_item = answer
    patient.now[0] += 5.0
    patient.tab.set(frame=10, dragging=True)
    wait_for(lambda: patient.tab.view.shown == 10)
    patient.now[0] += 0.5  # less than eight times as long, and more than REST_AFTER
    patient.tab.set(frame=11)
    patient.now[0] += 0.4
    patient.tab.set(frame=12)
    patient.now[0] += 0.4
    patient.tab.set(frame=13)
    wait_for(lambda: patient.tab.view.shown == 13)
    assert not patient.view.rests
    patient.tab.set(dragging=False)
    patient.now[0] += REST_AFTER
    patient.view._wake.set()
    wait_for(lambda: patient.view.rests)
    assert [frame for frame, _ in patient.painted if frame >= 10] == [10, 13]


def test_while_the_page_is_busy_only_the_newest_request_is_kept(scene: SimpleNamespace) -> None:
    wait_for(lambda: scene.view.rests)
    scene.page.gate.clear()
    scene.tab.set(frame=10)
    wait_for(lambda: scene.painted[-1][0] == 10)
    for frame in range(11, 40):
        scene.tab.set(frame=frame)
    scene.page.gate.set()
    wait_for(lambda: scene.view.rests)
    assert [frame for frame, _ in scene.painted if frame >= 10] == [10, 39]


@pytest.mark.parametrize(("frame", "words"), [(7, "frame 8 is broken."), (8, "ZeroDivisionError")])
def test_a_picture_that_fails_is_a_message_and_the_next_one_is_shown(scene: SimpleNamespace, frame: int, words: str) -> None:
    wait_for(lambda: scene.view.rests)
    scene.tab.set(frame=frame)
    wait_for(lambda: any(words in text for _, text in scene.store.shared.problems))
    wait_for(lambda: scene.view.rests)  # it is not tried over and over
    scene.tab.set(frame=9)
    wait_for(lambda: scene.view.rests and not scene.store.shared.problems)
    assert (scene.page.images[-1] == 9).all()
    assert [number for number, _ in scene.painted if number == frame] == [frame]


def test_a_page_without_acknowledgement_does_not_stop_the_stream(scene: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(key: str, timeout: float) -> None:
        raise TimeoutError

    wait_for(lambda: scene.view.rests)
    monkeypatch.setattr(scene.page.local_storage, "get_item", late)
    scene.tab.set(frame=6)
    wait_for(lambda: scene.view.rests)
    assert (scene.page.images[-1] == 6).all()
    assert scene.tab.view.shown == 0


def test_the_thread_ends_with_its_page(scene: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(key: str, timeout: float) -> None:
        raise RuntimeError("localStorage request failed: the client disconnected before returning a response.")

    wait_for(lambda: scene.view.rests)
    monkeypatch.setattr(scene.page.local_storage, "get_item", gone)
    scene.tab.set(frame=3)
    wait_for(lambda: not scene.view._thread.is_alive())


def test_the_thread_ends_with_its_tab(scene: SimpleNamespace) -> None:
    wait_for(lambda: scene.view.rests)
    scene.store.close_tab("a")
    scene.store.set(revision=1)
    wait_for(lambda: not scene.view._thread.is_alive())


def test_another_tab_changes_nothing_here(scene: SimpleNamespace) -> None:
    wait_for(lambda: scene.view.rests)
    scene.store.open_tab("b", replace(View(), linked=False))
    scene.store.set_view("b", frame=30, tracks=(1,))
    assert scene.view.rests
