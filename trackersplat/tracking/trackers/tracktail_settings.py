"""Settings of tracktail, apart from its code: reading them needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TracktailSettings:
    """Of tracktail, which runs as a server of its own."""

    server: str = ""  # its address; "": what the environment variable TRACKERSPLAT_TRACKTAIL says
    jpeg_quality: int = 95  # of the images that are sent
    timeout_seconds: float = 600.0  # for one answer
