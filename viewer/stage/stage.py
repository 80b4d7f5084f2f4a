"""The 3D stage of every tab: the exact picture and what lies over it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import viser

from viewer.document import Document
from viewer.stage.exact import ExactView
from viewer.stage.server import StageServer
from viewer.tab import Tab


class Overlay(Protocol):
    """Something drawn over the picture of one tab's stage, in viser's scene of that client."""

    def state(self) -> object:
        """What it is drawn from: when this changes, a new picture with new overlays is sent."""
        ...

    def draw(self, frame: int) -> None:
        """Puts it where it is in this frame. Called on the stage's worker thread, in one message with the picture."""
        ...

    def close(self) -> None: ...


# Each is called with the client and the tab; adding an overlay is a module of this folder and a line here.
OVERLAYS: tuple[Callable[[viser.ClientHandle, Tab], Overlay], ...] = ()


class Stage:
    """Puts a worker and its overlays behind every stage that a page opens."""

    def __init__(self, server: StageServer, document: Document) -> None:
        self.server = server
        self._document = document
        self._views: dict[int, tuple[ExactView, list[Overlay]]] = {}
        self._lock = threading.Lock()
        framing = document.framing
        home = document.capture.cameras[framing.home]
        server.scene.world_axes.visible = False
        server.scene.set_up_direction(framing.up)
        start = server.initial_camera
        start.position = framing.start
        start.look_at, start.up, start.fov = framing.focus, framing.up, home.fov_y
        start.near, start.far = 0.005 * framing.extent, 100 * framing.extent

    def connect(self, tab: Tab, client: viser.ClientHandle) -> None:
        client.camera.min_orbit_distance = 0.01 * self._document.framing.extent
        overlays = [make(client, tab) for make in OVERLAYS]

        def draw(frame: int) -> None:
            for overlay in overlays:
                overlay.draw(frame)

        view = ExactView(client, tab, draw, lambda: tuple(overlay.state() for overlay in overlays))
        with self._lock:
            self._views[client.client_id] = (view, overlays)

    def disconnect(self, client: viser.ClientHandle) -> None:
        with self._lock:
            found = self._views.pop(client.client_id, None)
        if found is not None:
            view, overlays = found
            view.close()
            for overlay in overlays:
                overlay.close()

    @property
    def views(self) -> list[ExactView]:
        with self._lock:
            return [view for view, _ in self._views.values()]

    def clients(self, tab: str) -> list[viser.ClientHandle]:
        """viser's handles of the stage of a tab."""
        with self._lock:
            return [view.client for view, _ in self._views.values() if view.tab_id == tab]

    def close(self) -> None:
        with self._lock:
            views = list(self._views.values())
            self._views.clear()
        for view, overlays in views:
            view.close()
            for overlay in overlays:
                overlay.close()
        self.server.stop()
