"""The canvas of one camera: pictures come over the websocket `viewer.pictures`, marks are drawn by the page (camera_pane.js)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from nicegui import events
from nicegui.element import Element

from viewer.components import modules
from viewer.views.overlays import MarkColours, join_id, split_id

LARGEST_ID_PART = 1 << 23  # an id has 63 bits; two of its three parts have 20

modules.register()  # for camera_pane.js, which NiceGUI registers below


@dataclass(frozen=True)
class MarkStyle:
    """Which marks are drawn, and how."""

    measured: bool = True
    reprojected: bool = True
    rendered: bool = True
    trails: bool = True
    residual: float = 1.0  # factor of the residual arrows, 0: none
    colour: MarkColours | None = None
    categories: tuple[str, ...] = ()  # names in the order of their numbers

    def to_json(self) -> dict[str, Any]:
        return {
            "measured": self.measured, "reprojected": self.reprojected, "rendered": self.rendered, "trails": self.trails,
            "residual": self.residual, "categories": list(self.categories),
            "colour": None if self.colour is None else self.colour.to_json(),
        }  # fmt: skip


@dataclass(frozen=True)
class PanePoint:
    """Where the page pointed at, in camera pixels with centres at +0.5; it may lie beside the image."""

    pane: int
    x: float
    y: float
    track: int | None = None  # id of the track that was picked
    shift: bool = False


class CameraPane(Element, component="camera_pane.js"):
    """One camera pane of a page. All state is in its properties, so that a page that reloads shows the same."""

    def __init__(self, pane: int, tab: str, *, url: str = "pictures", photo: str = "") -> None:
        """``pane``: index of the pane in its tab. ``tab``: names the tab to the websocket at ``url``.

        ``photo``: address of an image that is shown until the first picture comes.
        """
        super().__init__()
        self.pane = pane
        self._props["pane"] = pane
        self._props["tab"] = tab
        self._props["url"] = url
        self._props["photo"] = photo
        self._props["active"] = False
        self._props["marks"] = MarkStyle().to_json()
        self._props["selection"] = []
        self._props["epipolar"] = None
        self.style("width: 100%; height: 100%")

    # -- to the page --------------------------------------------------------------------------------------------------

    def set_active(self, active: bool) -> None:
        """Marks the pane that commands act on."""
        self._set("active", active)

    def set_marks(self, style: MarkStyle) -> None:
        self._set("marks", style.to_json())

    def select(self, tracks: Sequence[int]) -> None:
        """Ids of the tracks to highlight."""
        self._set("selection", [list(split_id(track)) for track in tracks])

    def set_epipolar(self, camera: str = "", segment: tuple[float, float, float, float] | None = None) -> None:
        """The epipolar line of the selected track as ``camera`` sees it, see `views.overlays.epipolar_segment`; none by default."""
        self._set("epipolar", None if segment is None else {"camera": camera, "segment": list(segment)})

    def _set(self, name: str, value: Any) -> None:
        if self._props.get(name) != value:
            self._props[name] = value
            self.update()

    # -- from the page ------------------------------------------------------------------------------------------------

    def on_pick(self, handler: Callable[[PanePoint], None]) -> CameraPane:
        """A click: on the nearest track, or on none."""
        return self._on_point("pick", handler)

    def on_correct(self, handler: Callable[[PanePoint], None]) -> CameraPane:
        """A click with Ctrl inside the image: here the selected track should be."""
        return self._on_point("correct", handler)

    def on_hover(self, handler: Callable[[PanePoint], None]) -> CameraPane:
        """The pointer moved; at most every 50 ms."""
        return self._on_point("hover", handler)

    def on_wipe(self, handler: Callable[[float], None]) -> CameraPane:
        """The wipe line was moved to this share of the image's width."""

        def received(event: events.GenericEventArguments) -> None:
            value = event.args.get("value") if isinstance(event.args, dict) else None
            if _finite(value):
                handler(min(max(float(value), 0.0), 1.0))

        self.on("wipe", received)
        return self

    def on_activate(self, handler: Callable[[int], None]) -> CameraPane:
        """The pane was clicked or got the focus."""
        self.on("activate", lambda: handler(self.pane))
        return self

    def _on_point(self, name: str, handler: Callable[[PanePoint], None]) -> CameraPane:
        def received(event: events.GenericEventArguments) -> None:
            point = read_point(self.pane, event.args)
            if point is not None:
                handler(point)

        self.on(name, received)
        return self


def read_point(pane: int, data: Any) -> PanePoint | None:
    """What the page sent, or None if it is malformed."""
    if not isinstance(data, dict) or not _finite(data.get("x")) or not _finite(data.get("y")):
        return None
    parts = data.get("track")
    if parts is None:
        track = None
    elif isinstance(parts, list) and len(parts) == 3 and all(_finite(part) and part == int(part) for part in parts):
        if not all(0 <= part < LARGEST_ID_PART for part in parts):
            return None
        track = join_id([int(part) for part in parts])
    else:
        return None
    return PanePoint(pane, float(data["x"]), float(data["y"]), track, data.get("shift") is True)


def _finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)
