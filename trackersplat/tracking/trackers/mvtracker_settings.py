"""Settings of MVTracker, apart from its code: reading them needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MVTrackerSettings:
    """Of MVTracker, as its published predictor runs it."""

    weights: str = ""  # path of the file; "": the published name in the folders of weights
    size: tuple[int, int] = (512, 384)  # width and height at which it works
    window: int = 12  # frames of its window, as its weights were trained
    iterations: int = 6  # updates of the positions in every window
    support_grid: int = 4  # extra points of the first frame that support the others: this many in x and in y of every view
    camera_distance: float = 6.3  # median distance of the cameras from the middle of the scene in its units, as in its training data
    floor_share: float = 0.12  # share of the seen points that lie below what it is given as the floor
