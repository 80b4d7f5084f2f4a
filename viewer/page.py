"""Puts the page together: panels, 3D overlays, and one exact view per browser tab."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import viser

from trackersplat.captures.capture import Capture
from viewer.arguments import Arguments
from viewer.frame_cache import FrameCache
from viewer.panels.panel import Panel, PanelContext
from viewer.panels.registry import PANELS, PanelFacts
from viewer.runs import Runs
from viewer.scene.exact import ExactView
from viewer.scene.framing import frame_capture
from viewer.scene.frusta import Frusta
from viewer.scene.painter import Painter
from viewer.scene.trails import Trails
from viewer.server import PageServer
from viewer.state import Store

BRAND = (76, 155, 232)
SIDE_WIDTH = 340.0  # pixels
BELOW = {"x": 15.0, "y": -15.0, "width": 620.0}  # pixels; leaves room beside it; no height: it grows with the messages in it


class Page:
    """The visible whole; owns what follows the store."""

    def __init__(
        self,
        server: PageServer,
        capture: Capture,
        store: Store,
        runs: Runs,
        frame_cache: FrameCache,
        painter: Painter,
        arguments: Arguments,
        worker_options: Sequence[str] = (),
    ) -> None:
        self._server = server
        self._capture = capture
        self._store = store
        self._runs = runs
        self._painter = painter
        self._views: dict[int, ExactView] = {}
        self._lock = threading.Lock()
        self.panels: dict[str, Panel] = {}  # by the names of the registry

        server.gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, brand_color=BRAND)
        self._frame_scene()
        self._frusta = Frusta(server, capture, store, depth=self._framing.frustum)
        self._trails = Trails(store, runs, frame_cache, self._framing.extent)
        self._build_panels(PanelContext(server.gui, capture, store, runs, frame_cache, arguments, tuple(worker_options)))
        server.on_client_connect(self._connect)
        server.on_client_disconnect(self._disconnect)

    def _frame_scene(self) -> None:
        self._framing = frame_capture(self._capture)
        self._painter.home = self._framing.home
        home = self._capture.cameras[self._framing.home]
        scene, start = self._server.scene, self._server.initial_camera
        scene.world_axes.visible = False
        scene.set_up_direction(self._framing.up)
        start.position = self._framing.start
        start.look_at, start.up, start.fov = self._framing.focus, self._framing.up, home.fov_y
        start.near, start.far = 0.005 * self._framing.extent, 100 * self._framing.extent

    def _build_panels(self, context: PanelContext) -> None:
        tabs = context.gui.add_tab_group()
        context.gui.main_panel.dock_right()
        context.gui.main_panel.set_width(SIDE_WIDTH)
        for facts in PANELS:
            with self._placed(facts, tabs):
                self.panels[facts.name] = PANELS.load(facts.name)(context)

    @contextmanager
    def _placed(self, facts: PanelFacts, tabs: viser.GuiTabGroupHandle) -> Iterator[None]:
        """Where the widgets of a panel go."""
        if facts.place == "side":
            with tabs.add_tab(facts.title):
                yield
        else:
            panel = self._server.gui.add_panel()
            with panel.add_tab(facts.title, viser.Icon.TIMELINE):
                yield
            panel.float(**BELOW)

    def find_run(self) -> None:
        """Shows the first run found; without one, the photographs of one camera. Problems become messages."""
        if not self._runs.find():
            self._store.set(camera=self._framing.home, compare="photo")

    # -- tabs of the browser ------------------------------------------------------------------------------------------

    @property
    def views(self) -> list[ExactView]:
        with self._lock:
            return list(self._views.values())

    def _connect(self, client: viser.ClientHandle) -> None:
        client.camera.min_orbit_distance = 0.01 * self._framing.extent
        with self._lock:
            self._views[client.client_id] = ExactView(client, self._store, self._painter, self._trails, self._framing)
        if client.client_id not in self._server.get_clients():
            self._disconnect(client)  # it left before its view was there, and nobody will tell us again

    def _disconnect(self, client: viser.ClientHandle) -> None:
        with self._lock:
            view = self._views.pop(client.client_id, None)
        if view is not None:
            view.close()

    def close(self) -> None:
        for panel in self.panels.values():
            panel.close()
        self._frusta.close()
        self._trails.close()
        for view in self.views:
            view.close()
