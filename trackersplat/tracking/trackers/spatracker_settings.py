"""Settings of SpatialTracker 1 and 2, apart from their code: reading them needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SpaTrackerSettings:
    """Of the first SpatialTracker, as its predictor runs it."""

    weights: str = ""  # path of the file; "": the published name in the folders of weights
    size: tuple[int, int] = (512, 384)  # width and height at which it works
    window: int = 12  # frames of its window
    iterations: int = 6  # updates of the positions in every window
    support_grid: int = 6  # extra points across the image that support the others: this many in x and in y
    hidden_share: float = 0.02  # a point this much behind the depth of a view, as a share of its own depth, is hidden there


@dataclass(frozen=True)
class SpaTrackerV2Settings:
    """Of SpatialTrackerV2, as its predictor is run with given depths and cameras."""

    weights: str = ""  # path of model.safetensors, beside its config.json; "": the published names in the folders of weights
    longest_side: int = 336  # px at which it works; sides become multiples of 14
    bundle_points: int = 756  # points of its own that it adjusts with
    iterations: int = 4  # updates of the positions
    hidden_share: float = 0.02  # a point this much behind the depth of a view, as a share of its own depth, is hidden there
