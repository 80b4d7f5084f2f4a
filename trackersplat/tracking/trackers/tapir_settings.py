"""Settings of TAPIR and the trackers called like it, apart from its code: reading them needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TAPIRSettings:
    """Of TAPIR, BootsTAPIR and LocoTrack."""

    weights: str = ""  # path of the file; "": the published name in the folders of weights
    size: tuple[int, int] = (256, 256)  # width and height at which it works, multiples of 8; it was trained at 256
    points_at_once: int = 64  # queries whose correlations are in memory together
