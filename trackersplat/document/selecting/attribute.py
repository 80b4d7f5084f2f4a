"""A range of an attribute, as a histogram shows it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from trackersplat.document.attributes import ATTRIBUTES, values_of
from trackersplat.document.scene_edit import SceneArguments
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selecting.way import Way
from trackersplat.document.selection import Selection

_LARGEST = 1e12  # of a bound; beyond, none is meant


@dataclass(frozen=True)
class AttributeRange(Way):
    """From ``low`` to ``high``, both included. Of a hue, ``low`` above ``high`` means the range over 0. Nan is in no range."""

    kind = "attribute"
    name: str  # of ATTRIBUTES
    frame: int
    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def parse(cls, arguments: SceneArguments) -> AttributeRange:
        name = ATTRIBUTES.facts(arguments.text("name")).name
        low, high = (arguments.number(key, -_LARGEST, _LARGEST) if arguments.has(key) else None for key in ("low", "high"))
        return cls(name, arguments.frame(), -math.inf if low is None else low, math.inf if high is None else high)

    def to_json(self) -> dict[str, Any]:
        bounds = {key: value for key, value in (("low", self.low), ("high", self.high)) if math.isfinite(value)}
        return {"name": self.name, "frame": self.frame + 1, **bounds}

    def select(self, scene: SeenScene) -> Selection:
        values = values_of(self.name, scene, self.frame)
        if ATTRIBUTES.facts(self.name).cyclic and self.low > self.high:
            return scene.chosen(self.frame, (values >= self.low) | (values <= self.high))
        return scene.chosen(self.frame, (values >= self.low) & (values <= self.high))
