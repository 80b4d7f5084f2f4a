"""Commands that change how Gaussians look and where they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trackersplat.errors import InputError
from viewer.commands.command import Command
from viewer.commands.gaussians import (
    EDIT,
    centres_of,
    change,
    frames_of,
    none_selected,
    source_of,
    target_of,
    without_strays,
)
from viewer.state import Placing, vector

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
        centres = without_strays(centres_of(tab, selection))
        middle = 0.5 * (centres.min(axis=0) + centres.max(axis=0))
        rotation = tf.SO3.from_rpy_radians(*(math.radians(value) for value in turn)).wxyz.tolist() if any(turn) else None
        how = {"translation": list(move), "rotation": rotation, "scale": scale, "center": middle.tolist()}
        tab.document.editing.do({"edit": "transform", **selection, "frames": frames, **how})

    tab.document.editing.run("Move, rotate or scale", work, tab.refuse)


def _handle(tab: Tab, group: str | None = None) -> None:
    """Shows the handle on the stage, or takes it away."""
    placing = tab.view.placing
    if placing is not None and placing.group == group:
        tab.set(placing=None)
    else:
        tab.document.editing.run("Show the handle", lambda: tab.set(placing=_placing(tab, group), tool=""), tab.refuse)


def _placing(tab: Tab, group: str | None) -> Placing:
    """Raises InputError if nothing of it is shown in this frame."""
    centres = without_strays(centres_of(tab, target_of(tab, group)))
    before = tab.view.placing
    serial = 0 if before is None else before.serial + 1
    return Placing(serial, group, vector(centres.min(axis=0)), vector(centres.max(axis=0)))


def _apply(tab: Tab) -> None:
    """What the handle was dragged by becomes an edit; the handle goes on from there."""
    placing = tab.view.placing
    if placing is None or not placing.moved:
        raise InputError("Nothing was moved on the stage: drag the arrows or rings of the handle.")
    try:
        frames = frames_of(tab)
    except InputError:
        _follow(tab)
        raise

    def work() -> None:
        how = {
            "translation": list(placing.translation),
            "rotation": list(placing.rotation),
            "center": list(placing.center),
        }
        try:
            tab.document.editing.do({"edit": "transform", **target_of(tab, placing.group), "frames": frames, **how})
        except InputError:
            tab.set(placing=_placing(tab, placing.group))
            raise

    tab.document.editing.run("Move or rotate", work, tab.refuse)


def _follow(tab: Tab) -> None:
    """The handle goes to where its Gaussians are in this frame; if they are not there, it goes away."""

    def work() -> None:
        placing = tab.view.placing
        if placing is None:
            return
        try:
            tab.set(placing=_placing(tab, placing.group))
        except InputError:
            tab.set(placing=None)

    tab.document.editing.run("Put the handle in its place", work, tab.refuse)


def _no_placing(tab: Tab) -> str | None:
    return None if tab.view.placing is not None else "There is no handle on the stage."


COMMANDS = (
    Command("gaussians.tint", "Change the colour of what is selected", EDIT, _tint, enabled=none_selected),
    Command("gaussians.opacity", "Change the opacity of what is selected", EDIT, _opacity, enabled=none_selected),
    Command("gaussians.freeze", "Freeze what is selected as it is now", EDIT, _freeze, enabled=none_selected),
    Command("place.handle", "Move and rotate by a handle on the stage", EDIT, _handle, enabled=none_selected),
    Command("place.apply", "Move what the handle on the stage was dragged by", EDIT, _apply, enabled=_no_placing),
    Command("place.follow", "Put the handle on the stage where its Gaussians are", EDIT, _follow, enabled=_no_placing),
    Command("gaussians.transform", "Move, rotate or scale what is selected", EDIT, _transform, enabled=none_selected),
)
