"""Commands that change how Gaussians look and where they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trackersplat.errors import InputError
from viewer.commands.command import Command
from viewer.commands.gaussians import EDIT, change, extent_of, frames_of, none_selected, source_of, target_of

if TYPE_CHECKING:
    from viewer.tab import Tab


def _tint(tab: Tab, colour: str, strength: float = 0.5, group: str | None = None) -> None:
    """``colour``: #rrggbb."""
    try:
        if len(colour) != 7 or colour[0] != "#":
            raise ValueError
        red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    except ValueError as error:
        raise InputError(f"{colour[:20]!r} is no colour: expected #rrggbb.") from error
    change(tab, "Change the colour", "tint", group, colour=[red, green, blue], strength=strength)


def _opacity(tab: Tab, factor: float, group: str | None = None) -> None:
    change(tab, "Change the opacity", "opacity", group, factor=factor)


def _freeze(tab: Tab, group: str | None = None) -> None:
    """As in the frame on the screen."""
    change(tab, "Freeze", "freeze", group, at=source_of(tab) + 1)


def _transform(
    tab: Tab,
    move: tuple[float, float, float] = (0.0, 0.0, 0.0),
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0),  # degrees about x, y and z, in this order
    scale: float = 1.0,
    group: str | None = None,
) -> None:
    """About the middle of what is changed in this frame."""
    frames = frames_of(tab)

    def work() -> None:
        import viser.transforms as tf

        selection = target_of(tab, group)
        low, high = extent_of(tab, selection)
        rotation = tf.SO3.from_rpy_radians(*(math.radians(value) for value in turn)).wxyz.tolist() if any(turn) else None
        how = {"translation": list(move), "rotation": rotation, "scale": scale, "center": (0.5 * (low + high)).tolist()}
        tab.document.editing.do({"edit": "transform", **selection, "frames": frames, **how})

    tab.document.editing.run("Move, rotate or scale", work)


COMMANDS = (
    Command("gaussians.tint", "Change the colour of what is selected", EDIT, _tint, enabled=none_selected),
    Command("gaussians.opacity", "Change the opacity of what is selected", EDIT, _opacity, enabled=none_selected),
    Command("gaussians.freeze", "Freeze what is selected as it is now", EDIT, _freeze, enabled=none_selected),
    Command("gaussians.transform", "Move, rotate or scale what is selected", EDIT, _transform, enabled=none_selected),
)
