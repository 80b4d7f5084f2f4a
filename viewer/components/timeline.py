"""The timeline of the page: lanes over all frames, drawn by ``timeline.js``. Frames are indices from 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nicegui import ui
from nicegui.events import GenericEventArguments

from viewer.components import modules
from viewer.views.lanes import Lane, Series

Phase = Literal["down", "move", "up"]
_PHASES: tuple[Phase, ...] = ("down", "move", "up")
_SPARSE = 8  # values are sent one by one if at most this part of a lane has changed
_LARGEST = 1 << 31  # of a number that the page sends
_CODES = {"todo": "t", "running": "r", "done": "d", "failed": "f", "stale": "s"}

modules.register()  # for timeline.js, which NiceGUI registers below


@dataclass(frozen=True)
class Seek:
    """The user asks for a frame. Every "down" has its "up"; a key sends both at once."""

    frame: int
    phase: Phase


@dataclass(frozen=True)
class MenuRequest:
    """A right click (or the menu key), in CSS pixels of the window."""

    frame: int
    lane: str | None  # key of the lane under the pointer
    x: float
    y: float


class Timeline(ui.element, component="timeline.js"):
    """Lanes, cursor, range and what the user does with them.

    It keeps what it was last told, so that a page that has just loaded shows it. The methods are for the event loop's thread. What the
    page sends is checked and dropped if it is not what ``timeline.js`` sends.
    """

    def __init__(
        self,
        frame_count: int,
        fps: float,
        *,
        on_seek: Callable[[Seek], object] | None = None,
        on_range: Callable[[tuple[int, int] | None], object] | None = None,
        on_run_range: Callable[[tuple[int, int]], object] | None = None,
        on_menu: Callable[[MenuRequest], object] | None = None,
        label: str = "Timeline",
        number: str | None = None,
    ) -> None:
        """``number``: HTML id of a number field that the page keeps at the current frame, counted from 1, without asking the server."""
        super().__init__()
        self.props["frame_count"], self.props["fps"], self.props["label"] = frame_count, fps, label
        if number is not None:
            self.props["number"] = number
        self._frame_count = frame_count
        self._frame = 0
        self._shown: int | None = None
        self._range: tuple[int, int] | None = None
        self._busy: int | None = None
        self._lanes: tuple[Lane, ...] = ()
        self._serial = 0  # of the last seek, which the page recognises in set_frame
        self._mounted = False
        self._on_seek, self._on_range, self._on_run_range, self._on_menu = on_seek, on_range, on_run_range, on_menu
        self.on("ready", self._ready, [])
        self.on("seek", self._seek)
        self.on("range", self._choose)
        self.on("run_range", self._run)
        self.on("menu", self._menu)

    # -- what the page shows --------------------------------------------------------------------------------------------

    def set_frame(self, frame: int, shown: int | None = None) -> None:
        """The current frame, and that of the picture on the screen if the page has acknowledged one."""
        self._frame, self._shown = frame, shown
        self._send("set_frame", frame, shown, self._serial)

    def set_lanes(self, lanes: Sequence[Lane]) -> None:
        """Replaces all lanes. Only what differs travels. Raises ValueError if two have one key or one is of another length."""
        lanes = tuple(lanes)
        if len({lane.key for lane in lanes}) != len(lanes):
            raise ValueError(f"Two lanes have one key: {', '.join(lane.key for lane in lanes)}.")
        for lane in lanes:
            rows = [one.values for one in lane.series] if lane.kind != "state" else [lane.states]
            if any(len(row) != self._frame_count for row in rows):
                raise ValueError(f"The lane {lane.key!r} does not have one value for each of the {self._frame_count} frames.")
        known = {lane.key: lane for lane in self._lanes}
        if lanes == self._lanes:
            return
        self._lanes = lanes
        self._send("set_lanes", [encode(lane, known.get(lane.key)) for lane in lanes])

    def set_range(self, first: int | None, last: int | None = None) -> None:
        """First and last frame of the in/out range; None for the whole clip."""
        self._range = None if first is None or last is None else (first, last)
        self._send("set_range", self._range)

    def set_busy(self, frame: int | None) -> None:
        """The frame that is being reconstructed."""
        self._busy = frame
        self._send("set_busy", frame)

    def _send(self, method: str, *arguments: Any) -> None:
        if self._mounted:
            self.run_method(method, *arguments)

    def _ready(self) -> None:
        """The component has just been put into the page: it knows nothing yet."""
        self._mounted, self._serial = True, 0
        self._send("set_lanes", [encode(lane, None) for lane in self._lanes])
        self._send("set_range", self._range)
        self._send("set_busy", self._busy)
        self._send("set_frame", self._frame, self._shown, 0)

    # -- what the user does ---------------------------------------------------------------------------------------------

    # A handler may be a coroutine function: what it returns goes to NiceGUI, which awaits it.

    def _seek(self, event: GenericEventArguments) -> object:
        sent = _fields(event)
        frame, serial, phase = self._frame_of(sent, "frame"), _whole(sent.get("serial")), sent.get("phase")
        if frame is None or serial is None or phase not in _PHASES:
            return None
        self._serial = serial
        return self._on_seek(Seek(frame, phase)) if self._on_seek is not None else None

    def _choose(self, event: GenericEventArguments) -> object:
        span = self._span(_fields(event))
        if span is None and event.args is not None:
            return None
        self._range = span
        return self._on_range(span) if self._on_range is not None else None

    def _run(self, event: GenericEventArguments) -> object:
        span = self._span(_fields(event))
        return self._on_run_range(span) if span is not None and self._on_run_range is not None else None

    def _menu(self, event: GenericEventArguments) -> object:
        sent = _fields(event)
        frame, lane, x, y = self._frame_of(sent, "frame"), sent.get("lane"), _number(sent.get("x")), _number(sent.get("y"))
        if frame is None or x is None or y is None or (lane is not None and lane not in [one.key for one in self._lanes]):
            return None
        return self._on_menu(MenuRequest(frame, lane, x, y)) if self._on_menu is not None else None

    def _frame_of(self, sent: dict[str, Any], name: str) -> int | None:
        frame = _whole(sent.get(name))
        return frame if frame is not None and frame < self._frame_count else None

    def _span(self, sent: dict[str, Any]) -> tuple[int, int] | None:
        first, last = self._frame_of(sent, "first"), self._frame_of(sent, "last")
        return (first, last) if first is not None and last is not None and first <= last else None


def encode(lane: Lane, known: Lane | None) -> dict[str, Any]:
    """A lane as ``timeline.js`` reads it: the key alone if the page has it, single values where only few have changed."""
    if lane == known:
        return {"key": lane.key}
    same = known is not None and [len(one.values) for one in known.series] == [len(one.values) for one in lane.series]
    before: Sequence[Series | None] = known.series if same and known is not None else [None] * len(lane.series)
    return {
        "key": lane.key,
        "title": lane.title,
        "unit": lane.unit,
        "kind": lane.kind,
        "better": lane.better,
        "low": lane.low,
        "high": lane.high,
        "warn_below": lane.warn_below,
        "digits": lane.digits,
        "note": lane.note,
        "states": "".join(_CODES[state] for state in lane.states),
        "series": [_encode_series(one, old, lane.digits) for one, old in zip(lane.series, before, strict=True)],
    }


def _encode_series(series: Series, known: Series | None, digits: int) -> dict[str, Any]:
    data: dict[str, Any] = {"label": series.label, "colour": series.colour, "faint": series.faint}
    if known is not None:
        at = [index for index, (new, old) in enumerate(zip(series.values, known.values, strict=True)) if new != old]
        if len(at) * _SPARSE <= len(series.values):
            return {**data, "at": at, "to": [_wire(series.values[index], digits) for index in at]}
    return {**data, "values": [_wire(value, digits) for value in series.values]}


def _wire(value: float | None, digits: int) -> float | str | None:
    """JSON has no infinity (the PSNR of equal images): it travels as the text that JavaScript reads."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return round(value, digits + 2)


def _fields(event: GenericEventArguments) -> dict[str, Any]:
    return event.args if isinstance(event.args, dict) else {}


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value) > _LARGEST:
        return None
    return float(value)
