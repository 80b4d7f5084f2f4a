"""Settings of tracking that no single tracker owns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NoSettings:
    """Of a tracker or matcher that has none."""


@dataclass(frozen=True)
class GridSettings:
    """Of dense tracks made of a grid of queries, for trackers that follow chosen points only."""

    step_px: int = 8  # largest distance between neighbouring queries in x and in y
