"""Colour maps and palettes that people who confuse colours can read: every map gets steadily lighter, but for that of the score.

Pictures are coloured here; marks over a picture are coloured by the page, with the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

RGB = tuple[int, int, int]
MapName = Literal["grey", "viridis", "inferno", "plasma", "cividis", "score"]

NOTHING: RGB = (0, 0, 0)  # of a pixel without a value
STATIC: RGB = (58, 64, 74)
MOVING: RGB = (230, 159, 0)
OKABE_ITO: tuple[RGB, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip

_OPENCV = {
    "viridis": cv2.COLORMAP_VIRIDIS, "inferno": cv2.COLORMAP_INFERNO, "plasma": cv2.COLORMAP_PLASMA, "cividis": cv2.COLORMAP_CIVIDIS,
}  # fmt: skip
_SCORE: tuple[RGB, ...] = ((86, 180, 233), (240, 228, 66), (213, 94, 0))  # good, doubtful, bad: blue, yellow, vermilion


@dataclass(frozen=True)
class ColourScale:
    """What the colours of a picture or of marks mean; the legend shows it."""

    title: str
    unit: str
    low: float
    high: float
    map: MapName
    reversed: bool = False  # the map's first colour stands for ``high``
    labels: tuple[tuple[str, RGB], ...] = ()  # kinds in place of a scale: name, colour
    empty: str = ""  # what the colour of no value means, "" if every pixel has a value

    def levels(self, values: np.ndarray) -> np.ndarray:
        """(...) in [0, 1] along the map; nan stays nan."""
        share = np.clip((values - self.low) / max(self.high - self.low, 1e-12), 0.0, 1.0)
        return 1.0 - share if self.reversed else share

    def stops(self, count: int = 16) -> list[list[int]]:
        """Colours of the bar from ``low`` to ``high``, for the page."""
        return map_colours(self.levels(np.linspace(self.low, self.high, count)), self.map).tolist()

    def to_json(self) -> dict[str, object]:
        return {
            "title": self.title, "unit": self.unit, "low": self.low, "high": self.high, "stops": [] if self.labels else self.stops(),
            "labels": [[name, list(colour)] for name, colour in self.labels], "empty": self.empty,
        }  # fmt: skip


def map_colours(levels: np.ndarray, name: MapName) -> np.ndarray:
    """(..., 3) uint8 of levels in [0, 1] (clipped); nan is drawn as `NOTHING`."""
    index = (np.clip(np.nan_to_num(levels), 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    colours = _table(name)[index]
    unknown = np.isnan(levels)
    if unknown.any():
        colours[unknown] = NOTHING
    return colours


def blend(share: np.ndarray, low: RGB, high: RGB) -> np.ndarray:
    """(..., 3) uint8 between two colours; nan is drawn as `NOTHING`."""
    mixed = np.asarray(low) + np.clip(np.nan_to_num(share), 0.0, 1.0)[..., None] * np.subtract(high, low)
    colours: np.ndarray = (mixed + 0.5).astype(np.uint8)
    colours[np.isnan(share)] = NOTHING
    return colours


def id_colours(count: int = 24) -> tuple[RGB, ...]:
    """Colours for the ids of tracks: Okabe and Ito's, then lighter and darker ones of them."""
    found: list[RGB] = list(OKABE_ITO)
    for factor, towards in ((0.45, 255), (0.35, 0), (0.7, 255)):
        found += [(_mix(r, towards, factor), _mix(g, towards, factor), _mix(b, towards, factor)) for r, g, b in OKABE_ITO]
    return tuple(found[:count])


def _mix(value: int, towards: int, share: float) -> int:
    return round(value + share * (towards - value))


@lru_cache
def _table(name: MapName) -> np.ndarray:
    """(256, 3) uint8 RGB."""
    if name == "grey":
        table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    elif name == "score":
        position, stops = np.linspace(0, len(_SCORE) - 1, 256), np.array(_SCORE, float)
        channels = [np.interp(position, np.arange(len(_SCORE)), stops[:, channel]) for channel in range(3)]
        table = (np.stack(channels, axis=1) + 0.5).astype(np.uint8)
    else:
        bgr = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], _OPENCV[name])
        table = np.ascontiguousarray(bgr[:, 0, ::-1])
    table.setflags(write=False)
    return table
