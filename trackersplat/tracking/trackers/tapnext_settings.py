"""Settings of TAPNext and TAPNext++, apart from their code: reading them needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TAPNextSettings:
    """Of TAPNext and TAPNext++."""

    weights: str = ""  # path of the file; "": the published name in the folders of weights
    size: tuple[int, int] = (256, 256)  # width and height at which it works, as it was trained
    certainty_px: int = 8  # how near its position has to be for what it says as confidence, in pixels of its working image
