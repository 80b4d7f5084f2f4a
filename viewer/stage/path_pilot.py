"""Takes the stage of one tab along the camera path while the tab follows it."""

from __future__ import annotations

import logging

import numpy as np
import viser

from viewer.stage.path_marks import widening
from viewer.tab import Tab

log = logging.getLogger(__name__)


class PathPilot:
    """Moves viser's camera on the thread that changes the moment, before the picture of that moment is drawn."""

    def __init__(self, client: viser.ClientHandle, tab: Tab) -> None:
        self._client = client
        self._tab = tab
        self._free_fov: float | None = None  # angle of view before the path was followed
        tab.store.subscribe(self._on_change)

    def close(self) -> None:
        self._tab.store.unsubscribe(self._on_change)

    def _on_change(self, tab: str | None, changed: frozenset[str]) -> None:
        if tab not in (None, self._tab.id) or not changed & {"path_moment", "frame", "camera_path", "canvas", "video_aspect"}:
            return
        try:
            view = self._tab.view
            trajectory = self._tab.document.camera_paths.trajectory()
            if view.path_moment is None or trajectory is None:
                self._leave()
            elif "frame" in changed and not changed & {"path_moment"} and trajectory.frame_shown(view.path_moment) != view.frame:
                self._tab.set(path_moment=trajectory.first_time_of(view.frame))  # comes back here with the moment
            else:
                self._go(view.path_moment)
        except (KeyError, RuntimeError) as error:  # the tab is closed
            log.debug("the path was not followed: %s", error)

    def _aspect(self) -> float:
        canvas, camera = self._tab.view.canvas, self._client.camera
        width, height = (canvas[0], canvas[1]) if canvas is not None else (camera.image_width, camera.image_height)
        return max(width, 1) / max(height, 1)

    def _leave(self) -> None:
        if self._free_fov is not None:
            self._client.camera.fov = self._free_fov
            self._free_fov = None

    def _go(self, moment: float) -> None:
        trajectory = self._tab.document.camera_paths.trajectory()
        assert trajectory is not None
        there = trajectory.at([moment])
        place, turn = there.positions[0], there.rotations[0]
        ahead = float((self._tab.document.framing.focus - place) @ turn[:, 2])
        distance = max(ahead, 0.1 * self._tab.document.framing.extent)
        camera = self._client.camera
        if self._free_fov is None:
            self._free_fov = float(camera.fov)
        with self._client.atomic():
            wider = widening(self._aspect(), self._tab.view.video_aspect)  # all of the video is seen
            camera.fov = 2 * float(np.arctan(0.5 / there.focal[0] * wider))
            camera.up_direction = -turn[:, 1]
            camera.position = place  # takes the point that is looked at along
            camera.look_at = place + distance * turn[:, 2]
