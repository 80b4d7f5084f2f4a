"""Handles on the stage of one tab: of the box or sphere, and of Gaussians that are moved and turned.

They are viser's transform controls, drawn by the browser over the picture. They are there while no tool takes the pointer. Of a box or
sphere, squares move it and arrows its sides; Gaussians are moved by arrows and squares and turned by rings.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import numpy as np
import viser

from viewer.state import Placing, View, Zone, vector
from viewer.tab import Tab

REACH = 1.0  # size of a handle, of the longest side
SIDE_REACH = 0.7  # likewise, of the arrow that moves one side
LEAST_REACH, MOST_REACH = 0.03, 0.25  # of the extent of the scene
THINNEST = 1e-4  # of the extent of the scene: sides are not pushed through each other
MOVERS = frozenset({"frame", "playing", "selected", "scene"})  # after a change of these, the Gaussians of the handle are elsewhere
FIELDS = frozenset({"zone", "placing", "tool", "path_moment"}) | MOVERS

Vector = tuple[float, float, float]
Moved = Callable[[viser.TransformControlsEvent], Coroutine[Any, Any, None]]

log = logging.getLogger(__name__)


def shifted(zone: Zone, center: np.ndarray) -> Zone:
    return replace(zone, center=vector(center))


def resized(zone: Zone, axis: int, place: float, least: float) -> Zone:
    """With the side before ``axis`` at this coordinate; the opposite side stays. Of a sphere the centre stays."""
    if zone.shape == "sphere":
        across = max(2 * (place - zone.center[axis]), least)
        return replace(zone, size=(across, across, across))
    other = zone.center[axis] - 0.5 * zone.size[axis]
    length = max(place - other, least)
    center, size = list(zone.center), list(zone.size)
    center[axis], size[axis] = other + 0.5 * length, length
    return replace(zone, center=vector(center), size=vector(size))


def side(zone: Zone, axis: int) -> np.ndarray:
    """(3,) the middle of the side before ``axis``."""
    place = np.array(zone.center)
    place[axis] += 0.5 * zone.size[axis]
    return place


class Handles:
    """viser's events arrive on its event loop, in order; changes of the store on the thread that made them."""

    def __init__(self, client: viser.ClientHandle, tab: Tab) -> None:
        self._client, self._tab = client, tab
        self._extent = float(tab.document.framing.extent)
        self._nodes: dict[str, viser.TransformControlsHandle] = {}
        self._dragged = ""  # the name of the one that is held
        self._lock = threading.RLock()
        tab.store.subscribe(self._on_change)
        self._follow()

    def close(self) -> None:
        self._tab.store.unsubscribe(self._on_change)

    def _on_change(self, tab: str | None, changed: frozenset[str]) -> None:
        if tab not in (None, self._tab.id) or not changed & FIELDS:
            return
        try:
            view = self._tab.view
            if changed & MOVERS and view.placing is not None and not (self._dragged or view.playing):
                self._tab.do("place.follow")
            self._follow()
        except (KeyError, RuntimeError) as error:  # the tab is closed
            log.debug("handles were not drawn: %s", error)

    def _follow(self) -> None:
        """Makes, moves and removes handles so that they are those of the state."""
        with self._lock:
            self._become(self._tab.view)

    def _become(self, view: View) -> None:
        free = not view.tool and view.path_moment is None
        wanted = {**self._of_zone(view.zone if free else None), **self._of_placing(view if free else None)}
        for name in [name for name in self._nodes if name not in wanted]:
            self._nodes.pop(name).remove()
        for name, (place, options, moved) in wanted.items():
            node = self._nodes.get(name)
            if node is None:
                node = self._client.scene.add_transform_controls(name, depth_test=False, line_width=3.0, position=place, **options)
                node.on_update(moved)
                self._nodes[name] = node
            elif name != self._dragged:
                if not np.allclose(node.position, place, rtol=0, atol=1e-9):
                    node.position = place
                if node.scale != options["scale"]:
                    node.scale = options["scale"]

    def _reach(self, share: float, longest: float) -> float:
        return min(max(share * longest, LEAST_REACH * self._extent), MOST_REACH * self._extent)

    # -- box and sphere -----------------------------------------------------------------------------------------------

    def _of_zone(self, zone: Zone | None) -> dict[str, tuple[Vector, dict[str, Any], Moved]]:
        if zone is None:
            return {}
        longest = max(zone.size)
        middle = {"scale": self._reach(REACH, longest), "disable_axes": True, "disable_rotations": True}
        found: dict[str, tuple[Vector, dict[str, Any], Moved]] = {"/zone/move": (zone.center, middle, self._moves)}
        for axis in range(1 if zone.shape == "sphere" else 3):
            alone = tuple(index == axis for index in range(3))
            options = {"scale": self._reach(SIDE_REACH, longest), "active_axes": alone, "disable_rotations": True, "disable_sliders": True}
            found[f"/zone/side{axis}"] = (vector(side(zone, axis)), options, self._resizes(axis))
        return found

    async def _moves(self, event: viser.TransformControlsEvent) -> None:
        zone = self._tab.view.zone
        if zone is not None:
            self._hold(event, zone=shifted(zone, event.target.position))

    def _resizes(self, axis: int) -> Moved:
        async def resizes(event: viser.TransformControlsEvent) -> None:
            zone = self._tab.view.zone
            if zone is not None:
                self._hold(event, zone=resized(zone, axis, float(event.target.position[axis]), THINNEST * self._extent))

        return resizes

    def _hold(self, event: viser.TransformControlsEvent, **changes: Any) -> None:
        """While a handle is held it is where the pointer is; when it is let go, where the state has it."""
        self._dragged = "" if event.phase == "end" else event.target.name
        if event.phase != "start":
            self._tab.set(**changes)
        if event.phase == "end":
            self._follow()

    # -- Gaussians ----------------------------------------------------------------------------------------------------

    def _of_placing(self, view: View | None) -> dict[str, tuple[Vector, dict[str, Any], Moved]]:
        placing = None if view is None else view.placing
        if placing is None:
            return {}
        longest = max(high - low for low, high in zip(placing.low, placing.high, strict=True))
        # A name of its own for each: where the last one was turned to is not where this one begins.
        return {f"/place/{placing.serial}": (placing.place, {"scale": self._reach(REACH, longest)}, self._places)}

    async def _places(self, event: viser.TransformControlsEvent) -> None:
        placing = self._tab.view.placing
        if placing is None or event.target.name != f"/place/{placing.serial}":
            return
        translation = vector(event.target.position - np.array(placing.center))
        w, x, y, z = (float(part) for part in event.target.wxyz)
        now: Placing = replace(placing, translation=translation, rotation=(w, x, y, z))
        self._hold(event, placing=now)
        if event.phase == "end" and now.moved:
            self._tab.do("place.apply")
