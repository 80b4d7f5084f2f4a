"""Settings of the CoTracker family, apart from its code: reading them needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CoTracker3Settings:
    """Of CoTracker3, as its predictor runs it."""

    weights: str = ""  # path of the file; "": the published name in the folders of weights
    size: tuple[int, int] = (512, 384)  # width and height at which it works, multiples of its stride
    window: int = 0  # frames of its window; 0: that of the published weights
    iterations: int = 6  # updates of the positions
    support_grid: int = 6  # extra points across the image that support the others: this many in x and in y


@dataclass(frozen=True)
class CoTracker2Settings:
    """Of CoTracker2, as its predictor runs it."""

    weights: str = ""  # path of the file; "": the published name in the folders of weights
    size: tuple[int, int] = (512, 384)  # width and height at which it works, multiples of its stride
    window: int = 8  # frames of its window: 8 of cotracker2.pth, 16 of cotracker2v1.pth
    iterations: int = 6  # updates of the positions
    support_grid: int = 6  # extra points across the image that support the others: this many in x and in y


@dataclass(frozen=True)
class CoTracker1Settings:
    """Of the first CoTracker, as its predictor runs it."""

    weights: str = ""  # path of the file; "": the published name in the folders of weights
    size: tuple[int, int] = (512, 384)  # width and height at which it works, multiples of its stride
    iterations: int = 6  # updates of the positions
    support_grid: int = 6  # extra points across the image that support the others: this many in x and in y
