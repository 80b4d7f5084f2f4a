"""The selection tools over a camera pane or the stage (select_tool.js): what was drawn there, checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard, get_args

from nicegui import events
from nicegui.element import Element

from viewer.state import Tool

Mode = Literal["replace", "add", "subtract", "intersect"]
MODES: tuple[Mode, ...] = get_args(Mode)
MOST_POINTS = 4096  # of an outline
FARTHEST = 1e6  # camera pixels; a point farther away is none
FEWEST: dict[str, int] = {"click": 1, "rectangle": 2, "lasso": 3, "brush": 1}  # points of an outline


@dataclass(frozen=True)
class Outline:
    """What was drawn: camera pixels with centres at +0.5 in a pane, shares of width and height (radius: of the height) on the stage.

    ``points``: one of a click, two corners of a rectangle, the polygon of a lasso, the path of a brush.
    """

    tool: Tool
    mode: Mode
    points: tuple[tuple[float, float], ...]
    radius: float = 0.0  # of the brush


class SelectTool(Element, component="select_tool.js"):
    """Lies over the pane or frame that is beside it in the same element, and takes the pointer there while a tool is chosen."""

    def __init__(self, *, stage: bool = False) -> None:
        super().__init__()
        self._props["stage"] = stage
        self._props["tool"] = ""
        self._props["brush"] = 24.0
        self._props["answered"] = 0

    def follow(self, tool: Tool, brush: float, answered: int) -> None:
        """``brush``: radius in CSS pixels. ``answered``: grows when an outline was taken; what the page drew goes then."""
        wanted = {"tool": tool, "brush": brush, "answered": answered}
        if any(self._props[name] != value for name, value in wanted.items()):
            self._props.update(wanted)
            self.update()

    def on_outline(self, handler: Callable[[Outline], None]) -> SelectTool:
        def received(event: events.GenericEventArguments) -> None:
            outline = read_outline(event.args)
            if outline is not None:
                handler(outline)

        self.on("outline", received)
        return self

    def on_brush(self, handler: Callable[[float], None]) -> SelectTool:
        """The brush was given another radius, in CSS pixels."""

        def received(event: events.GenericEventArguments) -> None:
            if _finite(event.args):
                handler(float(event.args))

        self.on("brush", received)
        return self


def read_outline(data: Any) -> Outline | None:
    """What the page sent, or None if it is malformed."""
    if not isinstance(data, dict):
        return None
    tool, mode, points, radius = data.get("tool"), data.get("mode"), data.get("points"), data.get("radius")
    if not isinstance(tool, str) or tool not in FEWEST or mode not in MODES or not isinstance(points, list):
        return None
    if not FEWEST[tool] <= len(points) <= MOST_POINTS or not _finite(radius) or radius < 0:
        return None
    if not all(isinstance(point, list) and len(point) == 2 and all(map(_finite, point)) for point in points):
        return None
    return Outline(tool, mode, tuple((float(x), float(y)) for x, y in points), float(radius))  # type: ignore[arg-type]


def _finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= FARTHEST and math.isfinite(value)
