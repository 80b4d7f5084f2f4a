"""Residuals and states of one track over time, drawn by ``track_curve.js``."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui
from nicegui.events import GenericEventArguments

from viewer.components.checked import whole
from viewer.views.evidence import Curve


class TrackCurve(ui.element, component="track_curve.js"):
    """``on_seek`` gets the frame index that was clicked."""

    def __init__(self, on_seek: Callable[[int], object]) -> None:
        super().__init__()
        self._on_seek = on_seek
        self._end = 0
        self.props.update({"frames": [], "reprojection": [], "gap": [], "score": [], "states": "", "frame": 0})
        self.on("seek", self._seek)

    def show(self, curve: Curve) -> None:
        self._end = max(curve.frames, default=-1) + 1
        self.props.update(
            {
                "frames": list(curve.frames),
                "reprojection": list(curve.reprojection),
                "gap": list(curve.gap),
                "score": list(curve.score),
                "states": curve.states,
            }
        )

    def set_cursor(self, frame: int) -> None:
        self.props["frame"] = frame

    def _seek(self, event: GenericEventArguments) -> None:
        frame = whole(event.args, "frame", self._end)
        if frame is not None:
            self._on_seek(frame)
