"""The ways of selecting by name. Listing them imports nothing heavy."""

from __future__ import annotations

from trackersplat.document.facts import WayFacts
from trackersplat.registry import Registry

_LOOKING = '"camera": NAME or {...} "frame": N ["depth": "visible" or "through"]'
_WAYS = "trackersplat.document.selecting"

WAYS: Registry[WayFacts] = Registry(
    "way of selecting",
    (
        WayFacts(
            "polygon", "a rectangle or a lasso in a camera", f"{_WAYS}.polygon:Polygon", arguments=f'{_LOOKING} "corners": [[X, Y], ...]'
        ),
    ),
)
