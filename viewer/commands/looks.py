"""Commands that change how Gaussians look and where they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from trackersplat.errors import InputError
from viewer.commands.command import Command
from viewer.commands.gaussians import EDIT, NONE, frames_of, none_selected, selected_extent

if TYPE_CHECKING:
    from viewer.tab import Tab


def change(tab: Tab, kind: str, group: str | None, **values: Any) -> None:
    """An edit of what is selected, or of a group, in the frames of the scope; on the thread of the edits."""
    from trackersplat.document.registry import SCENE_EDITS
    from trackersplat.document.scene_edit import Target
    from trackersplat.edits.frame_range import FrameRange

    frames = FrameRange.parse(frames_of(tab))

    def work() -> None:
        if group is None and tab.view.selected is None:
            raise InputError(NONE)
        target = Target(group=group) if group is not None else Target(selection=tab.view.selected)
        tab.document.editing.do(SCENE_EDITS.load(kind)(target, frames, **values))

    tab.document.editing.run(COMMAND_OF[kind], work)


COMMAND_OF = {"tint": "Change the colour", "opacity": "Change the opacity", "freeze": "Freeze", "transform": "Move, rotate or scale"}


def _tint(tab: Tab, colour: str, strength: float = 0.5, group: str | None = None) -> None:
    """``colour``: #rrggbb."""
    try:
        if len(colour) != 7 or colour[0] != "#":
            raise ValueError
        red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    except ValueError as error:
        raise InputError(f"{colour[:20]!r} is no colour: expected #rrggbb.") from error
    change(tab, "tint", group, colour=(red, green, blue), strength=min(max(float(strength), 0.0), 1.0))


def _opacity(tab: Tab, factor: float, group: str | None = None) -> None:
    if not 0 <= float(factor) <= 100:
        raise InputError(f"The opacity is multiplied by a number from 0 to 100, not by {factor:g}.")
    change(tab, "opacity", group, factor=float(factor))


def _freeze(tab: Tab, group: str | None = None) -> None:
    """As in the frame on the screen."""
    source = tab.shared.source_of(tab.view.frame)
    if source is None:
        raise InputError("Nothing is reconstructed yet.")
    change(tab, "freeze", group, at=source)


def _transform(
    tab: Tab,
    move: tuple[float, float, float] = (0.0, 0.0, 0.0),
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0),  # degrees about x, y and z, in this order
    scale: float = 1.0,
    group: str | None = None,
) -> None:
    """About the middle of what is changed in this frame."""
    if not 1e-4 <= float(scale) <= 1e4 or not all(math.isfinite(value) and abs(value) < 1e9 for value in (*move, *turn)):
        raise InputError("Moving, turning and scaling takes finite numbers, and a scale from 0.0001 to 10,000.")

    def work() -> None:
        import viser.transforms as tf

        from trackersplat.document.kinds.transform import Transform
        from trackersplat.document.scene_edit import Target
        from trackersplat.edits.frame_range import FrameRange

        editing, selected = tab.document.editing, tab.view.selected
        if group is not None:
            target, of = Target(group=group), editing.document().scene.clip.group(group).selection
        elif selected is not None:
            target, of = Target(selection=selected), selected
        else:
            raise InputError(NONE)
        low, high = selected_extent(tab, of)
        rotation = tf.SO3.from_rpy_radians(*(math.radians(value) for value in turn)).wxyz if any(turn) else (1.0, 0.0, 0.0, 0.0)
        w, x, y, z = (float(value) for value in rotation)
        cx, cy, cz = (float(value) for value in 0.5 * (low + high))
        mx, my, mz = (float(value) for value in move)
        editing.do(
            Transform(
                target, FrameRange.parse(frames), translation=(mx, my, mz), rotation=(w, x, y, z), scale=float(scale), center=(cx, cy, cz)
            )
        )

    frames = frames_of(tab)
    tab.document.editing.run(COMMAND_OF["transform"], work)


COMMANDS = (
    Command("gaussians.tint", "Change the colour of what is selected", EDIT, _tint, enabled=none_selected),
    Command("gaussians.opacity", "Change the opacity of what is selected", EDIT, _opacity, enabled=none_selected),
    Command("gaussians.freeze", "Freeze what is selected as it is now", EDIT, _freeze, enabled=none_selected),
    Command("gaussians.transform", "Move, rotate or scale what is selected", EDIT, _transform, enabled=none_selected),
)
