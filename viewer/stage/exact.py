"""Streams the server's own rendering to the stage of one tab: newest request first, paced by the page's acknowledgements."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import viser
import viser.transforms as tf

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from viewer.state import Draft
from viewer.tab import Tab

REST_AFTER = 0.2  # seconds without a change until the full picture is drawn
QUALITY_MOVING, QUALITY_AT_REST = 60, 92  # JPEG
MOVING_BUDGET = 1 / 15  # seconds a picture may take while things move
SIZE_QUESTIONS = (0.4, 0.8, 2.0)  # seconds to wait before each
SMALLEST = 0.25  # of the full width and height
MOST_PIXELS = 2_000_000  # of a picture at rest
ACK_TIMEOUT = 5.0  # seconds; a hidden tab answers late or never
DIM = 0.4  # brightness of a frame that stands in for one that is not reconstructed
BACKDROP = (20, 23, 28)  # RGB where nothing is

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Request:
    """All that determines the picture of a stage."""

    frame: int
    source: int | None
    revision: int
    draft: Draft | None
    ready: bool
    overlays: object  # what the overlays are drawn from
    position: tuple[float, ...]
    wxyz: tuple[float, ...]
    fov: float
    canvas: tuple[int, int]  # width, height


class ExactView:
    """The worker thread of one stage. It ends when the page disconnects and never because a picture failed.

    ``overlays`` is called with the frame of each picture, together with which its drawings are sent; ``overlay_state`` tells when they
    change.
    """

    def __init__(
        self,
        client: viser.ClientHandle,
        tab: Tab,
        overlays: Callable[[int], None] = lambda frame: None,
        overlay_state: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._tab = tab
        self._overlays = overlays
        self._overlay_state = overlay_state
        self._clock = clock
        self._wake = threading.Event()
        self._closed = False
        self._seconds_per_pixel = 2e-7
        self.pictures = 0  # drawn so far
        self._complete: _Request | None = None  # the last request that was drawn at full quality, if nothing came after
        client.camera.on_update(self._on_camera)
        tab.store.subscribe(self._on_change)
        threading.Thread(target=self._run, name=f"stage-{client.client_id}", daemon=True).start()
        threading.Thread(target=self._ask_for_size, name=f"stage-size-{client.client_id}", daemon=True).start()

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

    async def _on_camera(self, _: viser.CameraHandle) -> None:
        self._wake.set()

    def _on_change(self, tab: str | None, changed: frozenset[str]) -> None:
        if tab in (None, self._tab.id):
            self._wake.set()

    def _ask_for_size(self) -> None:
        """Makes a page that has just come up report its size again.

        viser 1.1.1's page tells its size with its viewpoint, and now and then not again after its own layout has settled: the picture
        would be stretched. A change of the field of view, far below a pixel, brings an answer.
        """
        for delay, factor in zip(SIZE_QUESTIONS, (1 + 3e-5, 1 / (1 + 3e-5), 1 + 3e-5), strict=True):
            time.sleep(delay)
            if self._closed:
                return
            self._client.camera.fov = self._client.camera.fov * factor

    # -- worker -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        shown: _Request | None = None  # the last request that was drawn
        seen: _Request | None = None
        changed_at = 0.0
        while not self._closed:
            try:
                request = self._requested()
            except KeyError:
                return  # the tab is closed
            now = self._clock()
            if request != seen:
                seen, changed_at = request, now
            drawn = request == shown
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
                self._tab.store.problem("stage", str(error))
                at_rest = True  # the same request would fail again: wait for another one
            except Exception as error:
                log.exception("the picture of the stage could not be drawn")
                sentence = f"The picture could not be drawn ({type(error).__name__}: {error}); the terminal shows where."
                self._tab.store.problem("stage", sentence)
                at_rest = True
            shown, self._complete = request, request if at_rest else None

    def _requested(self) -> _Request:
        camera, view, shared = self._client.camera, self._tab.view, self._tab.shared
        canvas = (min(max(int(camera.image_width), 16), 8192), min(max(int(camera.image_height), 16), 8192))
        draft = shared.draft if shared.draft is not None and shared.draft.frame == view.frame else None
        return _Request(
            view.frame, shared.source_of(view.frame), shared.revision, draft, shared.ready, self._overlay_state(),
            tuple(camera.position), tuple(camera.wxyz), float(camera.fov), canvas,
        )  # fmt: skip

    def _show(self, request: _Request, full: bool) -> None:
        started = self._clock()
        view = self._view(request, full)
        image = free_picture(self._tab, request.frame, view)
        with self._client.atomic():
            quality = QUALITY_AT_REST if full else QUALITY_MOVING
            self._client.scene.set_background_image(image, format="jpeg", jpeg_quality=quality)
            self._overlays(request.frame)
        answered = self._await_acknowledgement()
        self.pictures += 1
        if answered:  # how long a hidden tab slept says nothing about the next picture's cost
            cost = (self._clock() - started) / max(view.width * view.height, 1)
            self._seconds_per_pixel += 0.3 * (cost - self._seconds_per_pixel)
        if full:
            self._tab.store.problem("stage", None)

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


def free_picture(tab: Tab, frame: int, view: Camera) -> np.ndarray:
    """(H, W, 3) uint8: the scene from any viewpoint, dimmed if another frame stands for this one; the backdrop where nothing is there.

    Raises InputError if the frame cannot be read.
    """
    document, shared = tab.document, tab.shared
    page = np.empty((view.height, view.width, 3), np.uint8)
    page[:] = BACKDROP
    if document.renderer.rasterizer is None:
        return page
    gaussians = document.shown(frame)
    if gaussians is None:
        return page
    rendering = document.renderer.render(gaussians, view)
    colour, alpha = rendering.color[0].cpu().numpy(), rendering.alpha[0].cpu().numpy()[..., None]
    image = np.clip(colour * 255.0 + (1.0 - alpha) * np.array(BACKDROP), 0, 255)
    return (image * (1.0 if shared.source_of(frame) == frame else DIM) + 0.5).astype(np.uint8)


def page_camera(position: np.ndarray, rotation: np.ndarray, fov_y: float, width: int, height: int) -> Camera:
    """The pinhole view of a page: ``rotation`` (3, 3) camera to world in OpenCV axes, centred principal point."""
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = rotation.T
    world_to_camera[:3, 3] = -rotation.T @ position
    focal = 0.5 * height / np.tan(0.5 * fov_y)
    K = np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    return Camera("page", width, height, K, world_to_camera)


def smaller(view: Camera, scale: float) -> Camera:
    """The same view with fewer pixels."""
    if scale >= 1:
        return view
    return replace(view.resized(max(round(view.width * scale), 16), max(round(view.height * scale), 16)))
