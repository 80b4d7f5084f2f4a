"""The 3D stage of every tab: the exact picture with its marks, the cameras, flights and picking."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import viser

from viewer.document import Document
from viewer.stage.exact import ExactView
from viewer.stage.flights import to_start
from viewer.stage.frusta import Frusta
from viewer.stage.handles import Handles
from viewer.stage.marks import Marks
from viewer.stage.path_pilot import PathPilot
from viewer.stage.pilot import Pilot
from viewer.stage.pointer import Pointer
from viewer.stage.server import StageServer
from viewer.tab import Tab


@dataclass(frozen=True, eq=False)
class _Parts:
    tab: Tab
    view: ExactView
    frusta: Frusta
    pilot: Pilot
    path: PathPilot
    handles: Handles

    def close(self) -> None:
        self.view.close()
        self.frusta.close()
        self.pilot.close()
        self.path.close()
        self.handles.close()


class Stage:
    """Puts these parts behind every stage that a page opens."""

    def __init__(self, server: StageServer, document: Document) -> None:
        self.server = server
        self._document = document
        self._parts: dict[int, _Parts] = {}
        self._gone: set[int] = set()  # clients that left before their parts were made
        self._lock = threading.Lock()
        self._picking = ThreadPoolExecutor(1, "picking")
        framing = document.framing
        server.scene.world_axes.visible = False
        server.scene.set_up_direction(framing.up)
        start = server.initial_camera
        start.position = framing.start
        start.look_at, start.up, start.fov = framing.focus, framing.up, document.capture.cameras[framing.home].fov_y
        start.near, start.far = 0.005 * framing.extent, 100 * framing.extent

    def connect(self, tab: Tab, client: viser.ClientHandle) -> None:
        client.camera.min_orbit_distance = 0.01 * self._document.framing.extent
        marks = Marks(tab)
        path = PathPilot(client, tab)  # before the view: it moves the camera first
        view = ExactView(client, tab, marks)
        pointer = Pointer(tab, view, marks, self._picking)
        parts = _Parts(tab, view, Frusta(client, tab, pointer.on_camera), Pilot(client, tab, to_start(tab)), path, Handles(client, tab))
        pointer.listen(client)
        with self._lock:
            if client.client_id in self._gone:
                self._gone.discard(client.client_id)
                parts.close()
                return
            self._parts[client.client_id] = parts
            self._document.viewpoints[tab.id] = view.view
        view.start()

    def disconnect(self, client: viser.ClientHandle) -> None:
        with self._lock:
            parts = self._parts.pop(client.client_id, None)
            if parts is None:
                self._gone.add(client.client_id)
        if parts is not None:
            parts.close()
            tab = parts.tab
            if self._document.viewpoints.get(tab.id) == parts.view.view:
                del self._document.viewpoints[tab.id]
                with contextlib.suppress(KeyError):  # the tab is closed
                    tab.set(stage_shown=False)

    @property
    def views(self) -> list[ExactView]:
        with self._lock:
            return [parts.view for parts in self._parts.values()]

    def clients(self, tab: str) -> list[viser.ClientHandle]:
        """viser's handles of the stage of a tab."""
        return [view.client for view in self.views if view.tab_id == tab]

    def close(self) -> None:
        with self._lock:
            everything = list(self._parts.values())
            self._parts.clear()
        for parts in everything:
            parts.close()
        self._picking.shutdown(wait=False, cancel_futures=True)
        self.server.stop()
