"""Patches of one track over time, laid out by ``filmstrip.js``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nicegui import ui
from nicegui.events import GenericEventArguments

from viewer.components.checked import whole
from viewer.views.filmstrip import Strip

CELL = 44  # CSS pixels


class FilmStrip(ui.element, component="filmstrip.js"):
    """``on_pick`` gets the index of the camera in the capture and the frame index of a patch that was clicked."""

    def __init__(self, camera_count: int, frame_count: int, on_pick: Callable[[int, int], object]) -> None:
        super().__init__()
        self._on_pick = on_pick
        self._ends = (camera_count, frame_count)
        self.props.update({"frames": [], "rows": [], "current": 0, "size": CELL})
        self.on("pick", self._pick)

    def show(self, frames: Sequence[int], strips: Sequence[Strip]) -> None:
        self.props.update(
            {
                "frames": list(frames),
                "rows": [
                    {
                        "camera": strip.camera,
                        "label": strip.label,
                        "hint": strip.hint,
                        "states": strip.states,
                        "titles": list(strip.titles),
                        "src": strip.source,
                    }
                    for strip in strips
                ],
            }
        )

    def set_cursor(self, frame: int) -> None:
        self.props["current"] = frame

    def _pick(self, event: GenericEventArguments) -> None:
        camera, frame = whole(event.args, "camera", self._ends[0]), whole(event.args, "frame", self._ends[1])
        if camera is not None and frame is not None:
            self._on_pick(camera, frame)
