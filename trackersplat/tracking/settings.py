"""Settings of tracking that no single tracker owns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NoSettings:
    """Of a tracker or matcher that has none."""


@dataclass(frozen=True)
class GridSettings:
    """How trackers are asked that follow chosen points only, and code of others: a grid of queries, in windows and chunks."""

    step_px: int = 8  # largest distance between neighbouring queries in x and in y
    memory_gib: float = 4.0  # that the queries of one call may take, by what is known of the tracker (`TrackerFacts.query_bytes`)
    window_overlap: int = 8  # frames that two windows of a long clip share
