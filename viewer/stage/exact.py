"""Streams the server's own rendering to the stage of one tab: newest request first, paced by the page's acknowledgements."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import viser
import viser.transforms as tf

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from viewer.stage.marks import Marks
from viewer.stage.picture import Picture, free_picture, page_camera, smaller, with_highlight
from viewer.stage.strokes import draw
from viewer.state import Draft
from viewer.tab import Tab

REST_AFTER, REST_AFTER_DRAGGED = 0.2, 0.6  # seconds without a change until the full picture is drawn; while the time is dragged
# While the time is dragged the camera panes come first. Between two pictures: seconds at least, times what the last one took, and at most.
TIME_PAUSE, TIME_PAUSE_SHARE, LONGEST_TIME_PAUSE = 0.2, 8.0, 2.0
QUALITY_MOVING, QUALITY_AT_REST = 60, 92  # JPEG
MOVING_BUDGET = 1 / 15  # seconds a picture may take while things move
STEP_BUDGET = 0.1  # seconds the full picture may take to be the first one after a rest, without a smaller one before it
SMALLEST = 0.25  # of the full width and height
SMALLEST_MARKED = 0.5  # of them, of a picture that marks are drawn into
MOST_PIXELS = 2_000_000  # of a picture at rest
SIDES = (16, 8192)  # pixels: the smallest and largest width and height
ACK_TIMEOUT = 5.0  # seconds; a hidden tab answers late or never

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Request:
    """All that determines the picture of a stage."""

    frame: int
    source: int | None
    revision: int
    draft: Draft | None
    ready: bool
    marks: object  # what the marks are drawn from
    moment: float | None  # of the camera path, if it is followed
    scene: int  # grows with the edits of the scene
    selected: object  # the selected Gaussians
    position: tuple[float, ...]
    wxyz: tuple[float, ...]
    fov: float
    canvas: tuple[int, int]  # width, height
    pixel_ratio: float


class ExactView:
    """The worker thread of one stage. It ends when the page disconnects and never because a picture failed."""

    def __init__(self, client: viser.ClientHandle, tab: Tab, marks: Marks, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._tab = tab
        self._marks = marks
        self._clock = clock
        self._wake = threading.Event()
        self._closed = False
        self._seconds_per_pixel = 2e-7
        self.pictures = 0  # drawn so far
        self._complete: _Request | None = None  # the last request that was drawn at full quality, if nothing came after
        # The last picture without marks, and what it is of: a selection needs no rendering.
        self._plain: tuple[object, Picture] | None = None
        client.camera.on_update(self._on_camera)
        tab.store.subscribe(self._on_change)
        self._thread = threading.Thread(target=self._run, name=f"stage-{client.client_id}", daemon=True)

    def start(self) -> None:
        """Draws from now on. The first picture shows the stage: whatever can be done there is to be ready before."""
        self._thread.start()

    @property
    def client(self) -> viser.ClientHandle:
        return self._client

    @property
    def tab_id(self) -> str:
        return self._tab.id

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._tab.store.unsubscribe(self._on_change)
            self._wake.set()

    @property
    def rests(self) -> bool:
        """Whether the page has received the full picture of what is wanted now."""
        return self._requested() == self._complete

    def view(self) -> Camera:
        """What the stage looks through now, at the full picture's size. Raises KeyError if the tab is closed."""
        return self._view(self._requested(), full=True)

    def pixels_per_css(self, view: Camera) -> float:
        """Raises KeyError if the tab is closed."""
        request = self._requested()
        return request.pixel_ratio * view.width / request.canvas[0]

    async def _on_camera(self, _: viser.CameraHandle) -> None:
        self._wake.set()

    def _on_change(self, tab: str | None, changed: frozenset[str]) -> None:
        if tab in (None, self._tab.id) and not changed <= {"shown", "path_shown", "stage_shown"}:
            self._wake.set()

    # -- worker -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with contextlib.suppress(_Gone, KeyError):  # KeyError: the tab is closed
            self._draw_what_is_wanted()
        self.close()

    def _draw_what_is_wanted(self) -> None:
        shown: _Request | None = None  # the last request that was drawn
        seen: _Request | None = None
        changed_at = drawn_at = took = 0.0
        single = False  # the change before this one was so long ago that this one may be the only one, and its full picture is quick
        while not self._closed:
            request = self._requested()
            now = self._clock()
            rest_after = REST_AFTER_DRAGGED if self._tab.view.dragging else REST_AFTER
            if request != seen:
                single = now - changed_at >= rest_after and self._is_quick(request)
                seen, changed_at = request, now
            drawn = request == shown
            at_rest = single or now - changed_at >= rest_after or shown is None
            complete = drawn and self._complete is shown
            if drawn and (complete or not at_rest):
                self._wake.wait(None if complete else max(changed_at + rest_after - now, 0.001))
                self._wake.clear()
                continue
            pause = drawn_at + min(max(TIME_PAUSE, TIME_PAUSE_SHARE * took), LONGEST_TIME_PAUSE) - now
            if shown is not None and not at_rest and pause > 0 and self._is_dragged(shown, request):
                self._wake.wait(min(pause, changed_at + rest_after - now))
                self._wake.clear()
                continue
            try:
                self._show(request, full=at_rest)
            except InputError as error:
                self._tab.store.problem("stage", str(error))
                at_rest = True  # the same request would fail again: wait for another one
            except (_Gone, KeyError):
                raise
            except Exception as error:
                log.exception("the picture of the stage could not be drawn")
                sentence = f"The picture could not be drawn ({type(error).__name__}: {error}); the terminal shows where."
                self._tab.store.problem("stage", sentence)
                at_rest = True
            shown, self._complete, drawn_at = request, request if at_rest else None, self._clock()
            took = drawn_at - now

    def _is_dragged(self, shown: _Request, request: _Request) -> bool:
        """Whether nothing but the time has changed, and it does not play."""
        return not self._tab.view.playing and replace(shown, frame=request.frame, source=request.source, marks=request.marks) == request

    def _is_quick(self, request: _Request) -> bool:
        """Whether the full picture is there soon, and nothing moves of which smaller ones would show more."""
        view = self._tab.view
        width, height = request.canvas
        pixels = min(width * height, MOST_PIXELS)
        return not view.playing and not view.dragging and self._seconds_per_pixel * pixels <= STEP_BUDGET

    def _requested(self) -> _Request:
        camera, view, shared = self._client.camera, self._tab.view, self._tab.shared
        # The page knows the size of its frame at once; viser tells it now and then late, or not at all.
        width, height, ratio = view.canvas or (camera.image_width, camera.image_height, 1.0)
        canvas = (min(max(int(width), SIDES[0]), SIDES[1]), min(max(int(height), SIDES[0]), SIDES[1]))
        draft = shared.draft if shared.draft is not None and shared.draft.frame == view.frame else None
        return _Request(
            view.frame, shared.source_of(view.frame), shared.revision, draft, shared.ready, self._marks.state(), view.path_moment,
            shared.scene, view.selected,
            tuple(camera.position), tuple(camera.wxyz), float(camera.fov), canvas, float(ratio),
        )  # fmt: skip

    def _show(self, request: _Request, full: bool) -> None:
        started = self._clock()
        view = self._view(request, full)
        image = self._paint(request, view)
        quality = QUALITY_AT_REST if full else QUALITY_MOVING
        self._client.scene.set_background_image(image, format="jpeg", jpeg_quality=quality)
        self._client.flush()
        answered = self._await_acknowledgement()
        self.pictures += 1
        if answered:  # how long a hidden tab slept says nothing about the next picture's cost
            self._tab.set(shown=request.frame, path_shown=request.moment, stage_shown=True)
            cost = (self._clock() - started) / max(view.width * view.height, 1)
            self._seconds_per_pixel += 0.3 * (cost - self._seconds_per_pixel)
        if full:
            self._tab.store.problem("stage", None)

    def _paint(self, request: _Request, view: Camera) -> np.ndarray:
        """(H, W, 3) uint8: the scene and the marks over it."""
        of = (replace(request, marks=None, moment=None, selected=None), view.width, view.height)
        if self._plain is None or self._plain[0] != of:
            self._plain = (of, free_picture(self._tab, request.frame, view))
        plain = self._plain[1]
        if request.selected is not None:
            scale = request.pixel_ratio * view.width / request.canvas[0]
            plain = replace(plain, image=with_highlight(self._tab, request.frame, plain.image, view, scale))
        strokes = self._marks.strokes(request.frame)
        if not strokes:
            return plain.image
        least = SMALLEST_MARKED * request.canvas[0] / view.width
        if least > 1:  # thin lines in a small picture would be a blur
            view = view.resized(round(view.width * least), round(view.height * least))
            image = cv2.resize(plain.image, (view.width, view.height), interpolation=cv2.INTER_LINEAR)
            depth = None if plain.depth is None else cv2.resize(plain.depth, (view.width, view.height), interpolation=cv2.INTER_NEAREST)
        else:
            image, depth = plain.image.copy(), plain.depth
        draw(image, strokes, view, depth, request.pixel_ratio * view.width / request.canvas[0])
        return image

    def _view(self, request: _Request, full: bool) -> Camera:
        width, height = request.canvas
        rotation = tf.SO3(np.array(request.wxyz)).as_matrix()
        view = page_camera(np.array(request.position), rotation, request.fov, width, height)
        limit = float(np.sqrt(MOST_PIXELS / (width * height)))
        if not full:
            affordable = np.sqrt(MOVING_BUDGET / (self._seconds_per_pixel * width * height))
            limit = min(limit, float(np.clip(affordable, SMALLEST, 1.0)))
        return smaller(view, limit)

    def _await_acknowledgement(self) -> bool:
        """The page answers messages in order, so its answer means that the picture has arrived and is applied.

        False if no answer came in time. Raises _Gone if the page has disconnected.
        """
        try:
            self._client.local_storage.get_item("shown", timeout=ACK_TIMEOUT)
        except TimeoutError:
            return False  # a hidden tab; go on with what is wanted then
        except RuntimeError as error:
            if self._closed or "disconnected" in str(error):
                raise _Gone from error
            log.debug("no acknowledgement: %s", error)
            return False
        return True


class _Gone(Exception):
    """The page has disconnected."""
