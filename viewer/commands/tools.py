"""Commands about the tools that select Gaussians in the camera panes and on the stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viewer.commands.command import Command
from viewer.state import TOOLS, Tool

if TYPE_CHECKING:
    from viewer.tab import Tab

GROUP = "Select"
SMALLEST_BRUSH, LARGEST_BRUSH = 2.0, 300.0  # radius, CSS pixels
BRUSH_STEP = 1.25


def _use(tab: Tab, tool: Tool) -> None:
    """The tool that is in use already is put away."""
    if tool in TOOLS:
        tab.set(tool="" if tab.view.tool == tool else tool)


def _brush(tab: Tab, radius: float) -> None:
    tab.set(brush=min(max(float(radius), SMALLEST_BRUSH), LARGEST_BRUSH))


def _through(tab: Tab) -> None:
    tab.set(through=not tab.view.through)


def _in_time(tab: Tab) -> None:
    tab.set(in_time=not tab.view.in_time)


TOOL_COMMANDS = (
    Command("tool.pointer", "Pointer: move, pick and look around", GROUP, lambda tab: tab.set(tool=""), "shift+u"),
    Command("tool.click", "Select by click", GROUP, lambda tab: _use(tab, "click"), "u"),
    Command("tool.rectangle", "Select by rectangle", GROUP, lambda tab: _use(tab, "rectangle"), "d"),
    Command("tool.lasso", "Select by lasso", GROUP, lambda tab: _use(tab, "lasso"), "z"),
    Command("tool.brush", "Select by brush", GROUP, lambda tab: _use(tab, "brush"), "s"),
)

COMMANDS = (
    *TOOL_COMMANDS,
    Command("tool.through", "Tools select what is seen only, or through everything", GROUP, _through, "shift+d"),
    Command("tool.time", "Select what continues it in other frames, too, or in this frame only", GROUP, _in_time, "shift+z"),
    Command("tool.radius", "Size of the brush", GROUP, _brush),
    Command("tool.smaller", "Smaller brush", GROUP, lambda tab: _brush(tab, tab.view.brush / BRUSH_STEP), "alt+[", repeats=True),
    Command("tool.larger", "Larger brush", GROUP, lambda tab: _brush(tab, tab.view.brush * BRUSH_STEP), "alt+]", repeats=True),
)
