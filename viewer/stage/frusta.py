"""The capture's cameras in 3D, each with its image; a click looks through one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import cv2
import numpy as np
import viser
import viser.transforms as tf

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from viewer.state import State, Store

THUMBNAIL = 160  # pixels wide
COLOUR = (110, 122, 140)
HELD_OUT_COLOUR = (240, 180, 70)

log = logging.getLogger(__name__)


class Frusta:
    """Frusta of a given depth (scene units) under the scene node "/cameras"; their images follow the frame when it rests."""

    def __init__(self, server: viser.ViserServer, capture: Capture, store: Store, depth: float) -> None:
        self._capture = capture
        self._store = store
        self._wake = threading.Event()
        self._closed = False
        self._root = server.scene.add_frame("/cameras", show_axes=False)
        self._handles: list[viser.CameraFrustumHandle] = []
        for index, camera in enumerate(capture.cameras):
            rotation = tf.SO3.from_matrix(camera.rotation.T)
            handle = server.scene.add_camera_frustum(
                f"/cameras/{index}",  # file-derived names stay out of node names, where "/" has a meaning
                fov=camera.fov_y,
                aspect=camera.width / camera.height,
                scale=_scale(camera, depth),
                thickness=1.5,
                thickness_units="screen",
                color=HELD_OUT_COLOUR if camera.name in capture.held_out else COLOUR,
                wxyz=rotation.wxyz,
                position=camera.center,
                cast_shadow=False,
                receive_shadow=False,
            )
            handle.on_click(self._look_through(index))
            self._handles.append(handle)
        self._on_change(store.state, frozenset({"camera"}))
        store.subscribe(self._on_change)
        threading.Thread(target=self._run, name="thumbnails", daemon=True).start()
        self._wake.set()

    def _look_through(self, index: int) -> Callable[[viser.SceneNodePointerEvent], None]:
        return lambda _: self._store.set(camera=index)

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    def _on_change(self, state: State, changed: frozenset[str]) -> None:
        if changed & {"camera", "show_cameras"}:
            self._root.visible = state.show_cameras and state.camera is None
        if changed & {"frame", "playing", "camera", "show_cameras"}:
            self._wake.set()

    def _run(self) -> None:
        shown = -1
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            state = self._store.state
            if (state.playing and shown >= 0) or state.frame == shown or not self._root.visible:
                continue
            if not state.playing and self._wake.wait(0.3):
                continue  # still scrubbing
            try:
                for index, handle in enumerate(self._handles):
                    if self._closed or (self._store.state.frame != state.frame and not self._store.state.playing):
                        break
                    handle.image = thumbnail(self._capture.image(index, state.frame))
                else:
                    shown = state.frame
                self._store.problem("thumbnails", None)
            except InputError as error:
                shown = state.frame
                self._store.problem("thumbnails", str(error))
            except Exception as error:
                log.exception("thumbnails failed")
                shown = state.frame
                self._store.problem("thumbnails", f"A camera's image could not be shown ({type(error).__name__}: {error}).")


def _scale(camera: Camera, depth: float) -> float:
    """viser's scale of a frustum that ends ``depth`` before the camera: it sizes frusta by the cube root of their volume."""
    y = np.tan(camera.fov_y / 2)
    return depth * float(np.cbrt(y * y * camera.width / camera.height / 3))


def thumbnail(image: np.ndarray) -> np.ndarray:
    height = max(round(image.shape[0] * THUMBNAIL / image.shape[1]), 1)
    return cv2.resize(image, (THUMBNAIL, height), interpolation=cv2.INTER_AREA)
