"""A heat map of cameras over time, drawn by ``heatmap.js``."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection

import numpy as np
from nicegui import ui
from nicegui.events import GenericEventArguments

from viewer.components.checked import whole
from viewer.views.heatmap import HeatMap


class HeatMapElement(ui.element, component="heatmap.js"):
    """``on_pick`` gets the camera (a row of the map) and the frame index that was clicked; None where the name of the camera was."""

    def __init__(self, on_pick: Callable[[int, int | None], object]) -> None:
        super().__init__()
        self._on_pick = on_pick
        self._shape = (0, 0)
        self.clear()
        self.on("pick", self._pick)

    def show(self, heat: HeatMap, found: Collection[int] = ()) -> None:
        """``found``: rows of cameras that something is wrong with."""
        self._shape = (len(heat.cameras), max(heat.frames, default=-1) + 1)
        self.props.update(
            {
                "title": heat.title,
                "unit": heat.unit,
                "cameras": list(heat.cameras),
                "frames": list(heat.frames),
                "counts": _text(heat.counts.astype("<i4")),
                "values": _text(heat.values.astype("<f4")),
                "high": heat.high,
                "found": sorted(found),
            }
        )

    def set_nothing(self) -> None:
        self.props.update({"title": "", "unit": "", "cameras": [], "frames": [], "values": "", "counts": "", "high": 1, "found": []})

    def set_cursor(self, frame: int, camera: int | None) -> None:
        """The frame on the screen and the row of the camera that is looked through."""
        self.props["frame"], self.props["camera"] = frame, -1 if camera is None else camera

    def _pick(self, event: GenericEventArguments) -> None:
        camera, frame = whole(event.args, "camera", self._shape[0]), whole(event.args, "frame", self._shape[1])
        if camera is not None:
            self._on_pick(camera, frame)


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
