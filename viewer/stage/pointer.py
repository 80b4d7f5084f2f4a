"""Clicks on the stage of one tab: a head selects its track, anything else picks the Gaussian under the pointer."""

from __future__ import annotations

import logging
from concurrent.futures import Executor

import viser

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from viewer.stage.exact import ExactView
from viewer.stage.marks import Marks
from viewer.stage.picking import nearest_head, pixel_weights, strongest
from viewer.tab import Tab

CLOSE = 9.0  # CSS pixels from a head that still mean it

log = logging.getLogger(__name__)


class Pointer:
    """viser's events arrive on its event loop, in order; the work is done on ``executor``."""

    def __init__(self, tab: Tab, view: ExactView, marks: Marks, executor: Executor) -> None:
        self._tab = tab
        self._view = view
        self._marks = marks
        self._executor = executor
        self._on_camera: tuple[float, float] | None = None

    def listen(self, client: viser.ClientHandle) -> None:
        async def plain(event: viser.SceneClickEvent) -> None:
            self._clicked(event.screen_pos, add=False)

        async def with_shift(event: viser.SceneClickEvent) -> None:
            self._clicked(event.screen_pos, add=True)

        client.scene.on_click()(plain)  # type: ignore[arg-type]  # viser awaits coroutines, in order
        client.scene.on_click(modifier="shift")(with_shift)  # type: ignore[arg-type]

    def on_camera(self, at: tuple[float, float]) -> None:
        """A camera was clicked there: viser reports the same click once more, for the scene."""
        self._on_camera = at

    def _clicked(self, at: tuple[float, float], add: bool) -> None:
        camera, self._on_camera = self._on_camera, None
        if camera != at:
            self._executor.submit(self.pick, at, add)

    def pick(self, at: tuple[float, float], add: bool = False) -> None:
        """``at``: place on the stage, 0 to 1 across and down."""
        try:
            view, frame = self._view.view(), self._tab.view.frame
            pixel = (at[0] * view.width, at[1] * view.height)
            if not self._pick_head(view, frame, pixel, add):
                self._pick_gaussian(view, frame, pixel)
            self._tab.store.problem("picking", None)
        except KeyError:
            return  # the tab is closed
        except InputError as error:
            self._tab.store.problem("picking", str(error))
        except Exception as error:
            log.exception("picking failed")
            self._tab.store.problem("picking", f"This could not be picked ({type(error).__name__}: {error}).")

    def _pick_head(self, view: Camera, frame: int, pixel: tuple[float, float], add: bool) -> bool:
        trails = self._marks.trails(frame)
        row = nearest_head(trails.heads, view, pixel, CLOSE * self._view.pixels_per_css(view))
        if row is None:
            return False
        identity = int(trails.ids[row])
        if self._tab.view.trails_of == "gaussians" and self._tab.view.show_trails:
            self._tab.set(gaussian=identity, tracks=(), inspector="gaussian")
            return True
        before = self._tab.view.tracks
        tracks: tuple[int, ...] = (identity,)
        if add:
            tracks = tuple(track for track in before if track != identity) if identity in before else (*before, identity)
        self._tab.set(tracks=tracks, gaussian=None)
        return True

    def _pick_gaussian(self, view: Camera, frame: int, pixel: tuple[float, float]) -> None:
        document = self._tab.document
        rasterizer = document.renderer.rasterizer
        shown = document.scene(frame) if rasterizer is not None else None
        if rasterizer is None or shown is None:
            return
        with document.renderer.lock:
            index = strongest(pixel_weights(rasterizer, shown.gaussians, view, pixel))
        if index is not None and shown.rows is not None:
            index = int(shown.rows[index])  # of the run's own frame
        if index is None:
            self._tab.set(gaussian=None, tracks=())
        else:
            self._tab.set(gaussian=index, tracks=(), inspector="gaussian")
