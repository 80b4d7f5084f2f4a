"""Streams the server's own rendering to one page: newest request first, paced by the page's acknowledgements."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import viser
import viser.transforms as tf

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from viewer.scene.framing import Framing
from viewer.scene.painter import Painter, Picture, page_camera, smaller
from viewer.scene.trails import Trails
from viewer.state import PICTURE_FIELDS, State, Store

REST_AFTER = 0.2  # seconds without a change until the full picture is drawn
QUALITY_MOVING, QUALITY_AT_REST = 60, 92  # JPEG
MOVING_BUDGET = 1 / 15  # seconds a picture may take while things move
SIZE_QUESTIONS = (0.4, 0.8, 2.0)  # seconds to wait before each
SETTLING = 1.0  # seconds that a new page must stay where it was put until a move is a person's
MOST_RETURNS = 30  # times that a new page is put back; a drag that goes on for longer wins
TRAIL_THICKNESS = 1.4  # pixels
SMALLEST = 0.25  # of the full width and height
MOST_PIXELS = 2_000_000  # of a picture at rest
ACK_TIMEOUT = 5.0  # seconds; a hidden tab answers late or never

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _PictureRequest:
    """All that determines a picture of one page."""

    state: State
    position: tuple[float, ...]
    wxyz: tuple[float, ...]
    fov: float
    canvas: tuple[int, int]  # width, height

    def same_picture(self, other: _PictureRequest | None) -> bool:
        if other is None or self.canvas != other.canvas:
            return False
        if any(getattr(self.state, name) != getattr(other.state, name) for name in PICTURE_FIELDS):
            return False
        return self.state.camera is not None or (self.position, self.wxyz, self.fov) == (other.position, other.wxyz, other.fov)


class ExactView:
    """One page's worker thread. It ends when the page disconnects and never because a picture failed."""

    def __init__(
        self,
        client: viser.ClientHandle,
        store: Store,
        painter: Painter,
        trails: Trails,
        framing: Framing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock``: seconds."""
        self._client = client
        self._clock = clock
        self._trails = trails
        self._lines: viser.LineSegmentsHandle | None = None
        self._framing = framing
        self._through_camera: int | None = None  # the camera that the page was moved to
        self._arrived_at: float | None = None  # since when the page is where it was put, or free to go anywhere
        self._settled = False  # the page has had its picture and stays where it was put
        self._returns = 0  # times that it was put back
        self._store = store
        self._painter = painter
        self._wake = threading.Event()
        self._closed = False
        self._seconds_per_pixel = 2e-7
        self.pictures = 0  # drawn so far
        self._complete: _PictureRequest | None = None  # the last request that was drawn at full quality, if nothing came after
        self._look_through(store.state)
        client.camera.on_update(self._on_camera)
        store.subscribe(self._on_change)
        self._thread = threading.Thread(target=self._run, name=f"exact-view-{client.client_id}", daemon=True)
        self._thread.start()
        threading.Thread(target=self._ask_for_size, name=f"page-size-{client.client_id}", daemon=True).start()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._store.unsubscribe(self._on_change)
            self._wake.set()

    @property
    def rests(self) -> bool:
        """Whether the page has received the full picture of what is wanted now."""
        return self._requested().same_picture(self._complete)

    async def _on_camera(self, _: viser.CameraHandle) -> None:
        if self.pictures and self._arrived_at is not None and self._clock() - self._arrived_at > SETTLING:
            self._settled = True
        if self._store.state.camera is not None:
            self._leave_if_moved(self._store.state.camera)
        self._wake.set()

    def _on_change(self, state: State, changed: frozenset[str]) -> None:
        if "camera" in changed:
            self._look_through(state)
        if changed.intersection(PICTURE_FIELDS):
            self._wake.set()

    def _ask_for_size(self) -> None:
        """Makes a page that has just come up report its size again.

        viser 1.1.1's page tells its size with its viewpoint, and now and then not again after the docked panel has
        narrowed it: the picture would be stretched. A change of the field of view, far below a pixel, brings an answer.
        """
        for delay, factor in zip(SIZE_QUESTIONS, (1 + 3e-5, 1 / (1 + 3e-5), 1 + 3e-5), strict=True):
            time.sleep(delay)
            if self._closed:
                return
            self._client.camera.fov = self._client.camera.fov * factor

    # -- looking through a camera -------------------------------------------------------------------------------------

    def _look_through(self, state: State) -> None:
        """Puts the page's own viewpoint where the camera is, so that leaving it starts from there."""
        self._arrived_at = self._clock() if state.camera is None else None
        page = self._client.camera
        left, self._through_camera = self._through_camera, state.camera
        if state.camera is None:
            if state.source_frame() is None:  # nothing to see from there: show the rig
                page.position = self._framing.overview
                page.look_at = self._framing.rig
            elif left is not None:  # a step forward, out of that camera's own frustum
                camera = self._painter.camera(left)
                page.position = page.position + 1.3 * self._framing.frustum * camera.rotation[2]
                page.look_at = self._target(camera)
            return
        camera = self._painter.camera(state.camera)
        with self._client.atomic():
            page.up_direction = self._framing.up
            page.position = camera.center
            page.look_at = self._target(camera)
            page.fov = camera.fov_y

    def _target(self, camera: Camera) -> np.ndarray:
        return camera.center + camera.rotation[2] * float(np.linalg.norm(self._framing.focus - camera.center))

    def _leave_if_moved(self, index: int) -> None:
        """A drag, wheel or key that moves the viewpoint away from the camera's leads back to the free view.

        A page that comes up also moves by itself, to viser's own viewpoint and to the starting one, in any order with
        ours and late on a busy machine: until it has settled it is put back instead.
        """
        camera, page = self._painter.camera(index), self._client.camera
        away = max(np.linalg.norm(page.position - camera.center), np.linalg.norm(page.look_at - self._target(camera)))
        if away < 1e-3 * self._framing.extent:
            if self._arrived_at is None:
                self._arrived_at = self._clock()
        elif not self._settled and self._returns < MOST_RETURNS:
            self._returns += 1
            self._look_through(self._store.state)
        elif self._arrived_at is not None:
            self._store.set(camera=None)

    # -- worker -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        shown: _PictureRequest | None = None  # the last request that was drawn
        changed_at = 0.0
        seen: _PictureRequest | None = None
        while not self._closed:
            request = self._requested()
            now = self._clock()
            if not request.same_picture(seen):
                seen, changed_at = request, now
            drawn = request.same_picture(shown)
            at_rest = now - changed_at >= REST_AFTER or shown is None
            complete = drawn and self._complete is shown
            if drawn and (complete or not at_rest):
                self._wake.wait(None if complete else max(changed_at + REST_AFTER - now, 0.001))
                self._wake.clear()
                continue
            try:
                self._show(request, full=at_rest)
            except _Gone:
                self.close()
                return
            except InputError as error:
                self._store.problem("picture", str(error))
                at_rest = True  # the same request would fail again: wait for another one
            except Exception as error:
                log.exception("the picture could not be drawn")
                self._store.problem(
                    "picture", f"The picture could not be drawn ({type(error).__name__}: {error}); the terminal shows where."
                )
                at_rest = True
            shown, self._complete = request, request if at_rest else None

    def _requested(self) -> _PictureRequest:
        camera = self._client.camera
        canvas = (max(int(camera.image_width), 16), max(int(camera.image_height), 16))
        return _PictureRequest(self._store.state, tuple(camera.position), tuple(camera.wxyz), float(camera.fov), canvas)

    def _show(self, request: _PictureRequest, full: bool) -> None:
        state = request.state
        started = self._clock()
        if state.camera is not None:
            picture, pixels = self._picture_through(request, full)
        else:
            view = self._view(request, full)
            picture, pixels = self._painter.free(state, view), view.width * view.height
        # JPEG halves the resolution of colour, which is all that an error map is made of.
        lossless = full and state.camera is not None and state.compare == "error"
        quality = QUALITY_AT_REST if full else QUALITY_MOVING
        with self._client.atomic():
            self._client.scene.set_background_image(picture.image, format="png" if lossless else "jpeg", jpeg_quality=quality)
            self._show_trails(state)
        answered = self._await_acknowledgement()
        self.pictures += 1
        if answered:  # how long a hidden tab slept says nothing about the next picture's cost
            cost = (self._clock() - started) / max(pixels, 1)
            self._seconds_per_pixel += 0.3 * (cost - self._seconds_per_pixel)
        if full:
            self._store.set(comparison=picture.comparison)
            self._store.problem("picture", None)

    def _show_trails(self, state: State) -> None:
        """The trails travel with the picture, so that both are of one frame and the page is never flooded."""
        trails = self._trails.at(state)
        if trails is None:
            if self._lines is not None and self._lines.visible:
                self._lines.visible = False
            return
        points, colours = trails
        if self._lines is not None and self._lines.points.shape != points.shape:
            self._lines.remove()
            self._lines = None
        if self._lines is None:
            scene = self._client.scene
            self._lines = scene.add_line_segments("/trails", points, colours, thickness=TRAIL_THICKNESS, thickness_units="screen")
            return
        self._lines.points, self._lines.colors = points, colours
        if not self._lines.visible:
            self._lines.visible = True

    def _view(self, request: _PictureRequest, full: bool) -> Camera:
        width, height = request.canvas
        rotation = tf.SO3(np.array(request.wxyz)).as_matrix()
        view = page_camera(np.array(request.position), rotation, request.fov, width, height)
        limit = np.sqrt(MOST_PIXELS / (width * height))
        return smaller(view, min(limit, 1.0) if full else min(limit, self._moving_scale(width * height)))

    def _picture_through(self, request: _PictureRequest, full: bool) -> tuple[Picture, int]:
        assert request.state.camera is not None
        camera = self._painter.camera(request.state.camera)
        scale = 1.0 if full else self._moving_scale(camera.width * camera.height)
        pixels = int(camera.width * camera.height * scale**2)
        return self._painter.through(request.state, request.canvas, scale), pixels

    def _moving_scale(self, pixels: int) -> float:
        """Share of the width and height that the time budget allows."""
        affordable = np.sqrt(MOVING_BUDGET / (self._seconds_per_pixel * pixels))
        return float(np.clip(affordable, SMALLEST, 1.0))

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
