"""The ways of selecting by name. Listing them imports nothing heavy."""

from __future__ import annotations

from trackersplat.document.facts import REGION, KindFacts
from trackersplat.registry import Registry


def _way(name: str, title: str, place: str, *arguments: str) -> KindFacts:
    return KindFacts(name, title, f"trackersplat.document.selecting.{place}", arguments=" ".join(arguments))


_LOOKING = '"camera": NAME or {...} "frame": N ["depth": "through"]'
_OF = '"of": [{...}, ...]'

WAYS: Registry[KindFacts] = Registry(
    "way of selecting",
    (
        _way("click", "what makes most of a pixel", "click:Click", _LOOKING, '"x": X "y": Y'),
        _way("polygon", "a rectangle or a lasso in a camera", "polygon:Polygon", _LOOKING, '"corners": [[X, Y], ...]'),
        _way("brush", "a stroke in a camera", "brush:Brush", _LOOKING, '"line": [[X, Y], ...] "radius": PX'),
        _way("region", "a box or a sphere in the world", "region:InRegion", '"frame": N', REGION),
        _way("attribute", "a range of an attribute", "attribute:AttributeRange", '"name": NAME "frame": N ["low": X] ["high": X]'),
        _way("tracks", "what carries tracks", "tracks:CarriersOfTracks", '"tracks": [ID, ...] "frame": N'),
        _way("union", "all of several selections", "sets:Union", _OF),
        _way("subtract", "the first one without the others", "sets:Subtract", _OF),
        _way("intersect", "what is in all of them", "sets:Intersect", _OF),
        _way("invert", "all that is shown in a frame, but the selection", "sets:Invert", '"of": {...} "frame": N'),
        _way("grow", "and what is near", "neighbours:Grow", '"of": {...} "frame": N "distance": X'),
        _way("shrink", "without what is near its edge", "neighbours:Shrink", '"of": {...} "frame": N "distance": X'),
        _way("connected", "and what hangs together with it", "neighbours:Connected", '"of": {...} "frame": N ["gap": X] ["stretch": X]'),
        _way("through_time", "and what continues it in other frames", "through_time:ThroughTime", '"of": {...} "frame": N'),
    ),
)
