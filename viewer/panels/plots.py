"""Curves that grow while something runs."""

from __future__ import annotations

import threading
import time

import numpy as np
import viser
from viser import uplot

LONGEST = 2000  # points; older ones are thinned out
INTERVAL = 0.2  # seconds between updates of the page

_AXIS = {
    "stroke": "#8b949e",
    "grid": {"stroke": "#ffffff12", "width": 1},
    "ticks": {"stroke": "#ffffff12", "width": 1},
    "font": "11px sans-serif",
}


class Plot:
    """Lines over a number (not time), hidden while empty. Thread-safe."""

    def __init__(self, gui: viser.GuiApi, x_label: str, labels: tuple[str, ...], colours: tuple[str, ...], height: int = 150) -> None:
        self._x: list[float] = []
        self._y: list[tuple[float | None, ...]] = []
        self._lock = threading.Lock()
        self._sent = 0.0
        self._x_label = x_label
        self._labels, self._colours = labels, colours
        self._handle = gui.add_uplot(
            self._data(),
            self._series(),
            scales={"x": {"time": False}},
            axes=(uplot.Axis(**_AXIS), uplot.Axis(**_AXIS, size=44)),  # type: ignore[typeddict-item]
            height=height,
            padding=(10, 10, 0, 0),  # pixels; the number at the top line needs half its height beyond it
            visible=False,
        )

    def clear(self) -> None:
        with self._lock:
            self._x, self._y = [], []
            self._handle.visible = False

    def relabel(self, labels: tuple[str, ...], colours: tuple[str, ...]) -> None:
        """Other lines (at least one), all empty. Does nothing if they are those that it has."""
        with self._lock:
            if (labels, colours) == (self._labels, self._colours):
                return
            self._x, self._y = [], []
            self._labels, self._colours = labels, colours
            self._handle.visible = False  # so that the page never draws the data of one under the labels of the other
            self._handle.data = self._data()
            self._handle.series = self._series()

    def add(self, x: float, y: tuple[float | None, ...]) -> None:
        """Appends a point; the page gets at most a few updates per second."""
        with self._lock:
            if self._x and x < self._x[-1]:
                self._x, self._y = [], []  # a new frame's curve starts anew
            self._x.append(x)
            self._y.append(y)
            if len(self._x) > LONGEST:
                self._x, self._y = self._x[::2], self._y[::2]
            if time.monotonic() - self._sent >= INTERVAL or len(self._x) < 3:
                self._send()

    def show(self, x: list[float], y: list[tuple[float | None, ...]]) -> None:
        """Replaces the curves."""
        with self._lock:
            self._x, self._y = x, y
            self._send()

    def _send(self) -> None:
        self._sent = time.monotonic()
        data = self._data()
        finite = np.concatenate([column[np.isfinite(column)] for column in data[1:]])
        if len(finite):
            # uPlot's automatic scale does not survive missing values, and puts a number half outside at the top.
            low, high = float(finite.min()), float(finite.max())
            margin = 0.08 * (high - low) or 1.0
            self._handle.scales = {"x": {"time": False}, "y": {"range": (low - margin, high + margin)}}
        self._handle.data = data
        self._handle.visible = len(self._x) > 1 and len(finite) > 0

    def _data(self) -> tuple[np.ndarray, ...]:
        x = np.array(self._x or [0.0], dtype=np.float64)
        rows = self._y or [(None,) * len(self._labels)]
        y = np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)
        return (x, *np.ascontiguousarray(y.T))

    def _series(self) -> tuple[uplot.Series, ...]:
        lines = [uplot.Series(label=label, stroke=colour, width=2) for label, colour in zip(self._labels, self._colours, strict=True)]
        return (uplot.Series(label=self._x_label), *lines)
