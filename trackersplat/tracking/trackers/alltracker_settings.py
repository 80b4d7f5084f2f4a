"""Settings of AllTracker, apart from its code: reading them needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AllTrackerSettings:
    """Of AllTracker, as its demo runs it."""

    weights: str = ""  # path of the file; "": the published name in the folders of weights
    longest_side: int = 1024  # px at which it works, at most; sides become multiples of 8
    shortest_side: int = 128  # px at which it works, at least: its correlations are made coarser four times
    window: int = 16  # frames of its window, as its weights were trained
    iterations: int = 4  # updates of the positions in every window
