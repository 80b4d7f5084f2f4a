"""Puts the page together: panels, 3D overlays, and one exact view per browser tab."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import viser

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.events import FrameDone
from viewer.frame_cache import FrameCache
from viewer.panels.capture import CapturePanel
from viewer.panels.look import LookPanel
from viewer.panels.quality import QualityPanel
from viewer.panels.reconstruct import ReconstructPanel
from viewer.panels.timeline import Timeline
from viewer.scene.exact import ExactView
from viewer.scene.framing import frame_capture
from viewer.scene.frusta import Frusta
from viewer.scene.painter import Painter
from viewer.scene.trails import Trails
from viewer.server import PageServer
from viewer.state import Store

if TYPE_CHECKING:
    from trackersplat.store.run import Run
    from viewer.app import Arguments

BRAND = (76, 155, 232)
PANEL_WIDTH = 340.0

log = logging.getLogger(__name__)


class Page:
    """The visible whole; owns what follows the store."""

    def __init__(
        self,
        server: PageServer,
        capture: Capture,
        store: Store,
        frame_cache: FrameCache,
        painter: Painter,
        arguments: Arguments,
        options: Sequence[str],
    ) -> None:
        self._server = server
        self._capture = capture
        self._store = store
        self._frame_cache = frame_cache
        self._painter = painter
        self._arguments = arguments
        self._out: Path | None = None  # known once the runs are looked for
        self._views: dict[int, ExactView] = {}
        self._lock = threading.Lock()

        server.gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, brand_color=BRAND)
        self._frame_scene()
        self._frusta = Frusta(server, capture, store, depth=self._framing.frustum)
        self._trails = Trails(store, frame_cache, self._framing.extent)
        self._build_panels(arguments, options)
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

    def _build_panels(self, arguments: Arguments, options: Sequence[str]) -> None:
        gui = self._server.gui
        tabs = gui.add_tab_group()
        with tabs.add_tab("View"):
            LookPanel(gui, self._capture, self._store, self.show_run)
        with tabs.add_tab("Reconstruct"):
            self._reconstruct = ReconstructPanel(
                gui, self._capture, self._store, arguments.path, options, on_frame=self._frame_done, on_end=self._job_over
            )
        with tabs.add_tab("Quality"):
            self._quality = QualityPanel(gui, self._capture, self._store)
        with tabs.add_tab("Capture"):
            self._check = CapturePanel(gui, self._capture, self._store, arguments.path)
        gui.main_panel.dock_right()
        gui.main_panel.set_width(PANEL_WIDTH)
        Timeline(self._server, self._capture, self._store)

    # -- the run ------------------------------------------------------------------------------------------------------

    def find_run(self) -> None:
        """Shows the first run found; without one, the photographs of one camera. Problems become messages."""
        from trackersplat.store.run import default_out, find_runs

        self._out = self._arguments.out if self._arguments.out is not None else default_out(self._capture)
        self._reconstruct.enable(self._out)
        try:
            runs = find_runs(self._capture, self._arguments.out)
        except InputError as error:
            self._store.problem("run", str(error))
            runs = []
        self._store.set(runs=tuple(runs))
        shown = next((path for path in runs if self.show_run(path)), None)
        if shown is None:
            self._store.set(camera=self._framing.home, compare="photo")

    def show_run(self, path: Path) -> bool:
        """Shows a run from its disk. False if it has no frame yet or cannot be read (then a message says why)."""
        from trackersplat.store.run import Run

        try:
            run = Run.open(path)
            self._check_owner(run)
            frames = tuple(frame for frame in run.frames() if frame < self._capture.frame_count)
            records = run.records()
        except InputError as error:
            self._store.problem("run", str(error))
            return False
        self._store.problem("run", None)
        if not frames:
            return False
        state = self._store.state
        runs = state.runs if path in state.runs else (*state.runs, path)
        self._store.set(runs=runs, run=path, reconstructed=frames, revision=state.revision + 1)
        self._quality.show(records)
        return True

    def _check_owner(self, run: Run) -> None:
        """Raises InputError if the run says that it is of a capture with other cameras. Runs of other programs say nothing."""
        made_of = run.info.get("capture")
        if not isinstance(made_of, dict) or "cameras" not in made_of:
            return
        if made_of["cameras"] != [camera.name for camera in self._capture.cameras]:
            raise InputError(f"{run.path} is a run of another capture ({made_of.get('name')}): choose another folder with --out.")

    def _frame_done(self, done: FrameDone) -> None:
        if self._out is not None:
            self._frame_cache.forget(self._out, done.frame)
            self.show_run(self._out)

    def _job_over(self) -> None:
        if self._out is not None and self._out.is_dir():
            self.show_run(self._out)

    def set_device(self, description: str) -> None:
        self._reconstruct.set_device(description)

    @property
    def reconstruct(self) -> ReconstructPanel:
        return self._reconstruct

    @property
    def views(self) -> list[ExactView]:
        with self._lock:
            return list(self._views.values())

    # -- tabs of the browser ------------------------------------------------------------------------------------------

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

    @property
    def check(self) -> CapturePanel:
        return self._check

    def close(self) -> None:
        self._reconstruct.close()
        self._check.close()
        self._frusta.close()
        self._trails.close()
        for view in self.views:
            view.close()
