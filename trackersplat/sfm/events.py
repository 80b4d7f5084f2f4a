"""How far a preparation is."""

from __future__ import annotations

from dataclasses import dataclass

from trackersplat.events import Event


@dataclass(frozen=True)
class Step(Event):
    """What is being done, in words. A ``total`` of 0 is not known."""

    name: str
    done: int = 0
    total: int = 0
