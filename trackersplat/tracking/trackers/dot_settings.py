"""Settings of DOT, apart from its code: reading them needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DOTSettings:
    """Of dense optical tracking, as its demo runs it."""

    weights: str = ""  # path of the weights of the point tracker; "": the published name in the folders of weights
    size: tuple[int, int] = (512, 512)  # width and height at which it works, multiples of 8
    tracks: int = 8192  # points that are tracked
    tracks_at_once: int = 2048  # of these in one call; the number of tracks is a multiple of it
    seed: int = 0  # of the points that are chosen
