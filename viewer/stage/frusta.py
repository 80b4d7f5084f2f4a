"""The capture's cameras in the 3D stage of one tab, each with its name and its image of the frame at rest."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import cv2
import numpy as np
import viser
import viser.transforms as tf

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from viewer.tab import Tab

THUMBNAIL = 160  # pixels wide
MOST_NAMED = 40  # cameras; the names of more would cover each other
REST = 0.3  # seconds without a change until the images follow
DOUBLE_CLICK = 0.45  # seconds
COLOUR = (122, 136, 156)
HELD_OUT_COLOUR = (240, 180, 70)
ACTIVE_COLOUR = (90, 169, 240)  # of the camera in the active pane

log = logging.getLogger(__name__)


class Frusta:
    """A click shows that camera in the active pane, a double click looks through it."""

    def __init__(self, client: viser.ClientHandle, tab: Tab, clicked: Callable[[tuple[float, float]], None]) -> None:
        """``clicked`` gets the place of every click on a camera, so that nothing behind it is picked as well."""
        self._tab = tab
        self._clicked = clicked
        self._wake = threading.Event()
        self._closed = False
        self._last_click: tuple[int, float] = (-1, 0.0)
        capture, depth = tab.document.capture, tab.document.framing.frustum
        view = tab.view
        self._root = client.scene.add_frame("/cameras", show_axes=False, visible=view.show_cameras)
        self._handles: list[viser.CameraFrustumHandle] = []
        for index, camera in enumerate(capture.cameras):
            handle = client.scene.add_camera_frustum(
                f"/cameras/{index}",  # file-derived names stay out of node names, where "/" has a meaning
                fov=camera.fov_y,
                aspect=camera.width / camera.height,
                scale=frustum_scale(camera, depth),
                thickness=1.5,
                thickness_units="screen",
                color=self._colour(index),
                wxyz=tf.SO3.from_matrix(camera.rotation.T).wxyz,
                position=camera.center,
                cast_shadow=False,
                receive_shadow=False,
            )
            handle.on_click(self._on_click(index))
            self._handles.append(handle)
            if len(capture.cameras) <= MOST_NAMED:
                above = np.array([0.0, -0.62 * depth * camera.height / camera.fy, depth])
                client.scene.add_label(
                    f"/cameras/{index}/name",
                    camera.name,
                    position=above,
                    font_screen_scale=0.75,
                    anchor="bottom-center",
                )
        tab.store.subscribe(self._on_change)
        threading.Thread(target=self._run, name=f"thumbnails-{client.client_id}", daemon=True).start()
        self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._tab.store.unsubscribe(self._on_change)
        self._wake.set()

    def _colour(self, index: int) -> tuple[int, int, int]:
        if index == self._tab.view.pane().camera:
            return ACTIVE_COLOUR
        return HELD_OUT_COLOUR if index in self._tab.document.capture.held_out_cameras else COLOUR

    def _on_click(self, index: int) -> Callable[[viser.SceneNodePointerEvent], Coroutine[Any, Any, None]]:
        async def clicked(event: viser.SceneNodePointerEvent) -> None:
            if event.screen_pos is not None:
                self._clicked(event.screen_pos)
            now = time.monotonic()
            last, at = self._last_click
            self._last_click = (index, now)
            if last == index and now - at < DOUBLE_CLICK:
                self._last_click = (-1, 0.0)
                self._tab.do("stage.look_through", camera=index)
            else:
                self._tab.do("camera.show", camera=index)

        return clicked

    def _on_change(self, tab: str | None, changed: frozenset[str]) -> None:
        if tab == self._tab.id and changed & {"frame", "playing", "dragging", "show_cameras", "panes", "active", "path_moment"}:
            self._wake.set()

    def _run(self) -> None:
        shown, active = -1, self._tab.view.pane().camera
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            try:
                view = self._tab.view
            except KeyError:
                return  # the tab is closed
            visible = view.show_cameras and view.path_moment is None  # a path may lead through them
            if self._root.visible != visible:
                self._root.visible = visible
            if view.pane().camera != active:
                before, active = active, view.pane().camera
                for index in (before, active):
                    if index < len(self._handles):
                        self._handles[index].color = self._colour(index)
            if ((view.playing or view.dragging) and shown >= 0) or view.frame == shown or not view.show_cameras:
                continue
            if not view.playing and self._wake.wait(REST):
                continue  # still scrubbing
            shown = self._show_images(view.frame, shown)

    def _show_images(self, frame: int, shown: int) -> int:
        """The frame that the images are of, afterwards."""
        capture, store = self._tab.document.capture, self._tab.store
        try:
            for index, handle in enumerate(self._handles):
                if self._closed or self._wake.is_set():
                    return shown
                handle.image = thumbnail(capture.image(index, frame))
            store.problem("thumbnails", None)
        except InputError as error:
            store.problem("thumbnails", str(error))
        except Exception as error:
            log.exception("the images of the cameras could not be shown")
            store.problem("thumbnails", f"A camera's image could not be shown ({type(error).__name__}: {error}).")
        return frame


def frustum_scale(camera: Camera, depth: float) -> float:
    """viser's scale of a frustum that ends ``depth`` before the camera: it sizes frusta by the cube root of their volume."""
    y = np.tan(camera.fov_y / 2)
    return depth * float(np.cbrt(y * y * camera.width / camera.height / 3))


def thumbnail(image: np.ndarray) -> np.ndarray:
    height = max(round(image.shape[0] * THUMBNAIL / image.shape[1]), 1)
    return cv2.resize(image, (THUMBNAIL, height), interpolation=cv2.INTER_AREA)
