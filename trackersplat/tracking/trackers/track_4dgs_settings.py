"""Settings of the trackers of track-4dgs, apart from their code: reading them needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Track4DGSSettings:
    """Of a tracker of track-4dgs; all else is as its author set it."""

    weights: str = ""  # path of the file; "": the published name in the folders of weights
