"""Selections made from other ones: union, subtract, intersect, invert."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

from trackersplat.document.scene_edit import SceneArguments, listed
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selecting.way import Way
from trackersplat.document.selection import Selection


@dataclass(frozen=True)
class _OfSeveral(Way):
    selections: tuple[Selection, ...]

    @classmethod
    def parse(cls, arguments: SceneArguments) -> _OfSeveral:
        return cls(arguments.selections("of"))

    def to_json(self) -> dict[str, Any]:
        return {"of": [listed(each) for each in self.selections]}


class Union(_OfSeveral):
    kind = "union"

    def select(self, scene: SeenScene) -> Selection:
        return reduce(Selection.union, self.selections)


class Subtract(_OfSeveral):
    """The first one without the others."""

    kind = "subtract"

    def select(self, scene: SeenScene) -> Selection:
        return reduce(Selection.subtract, self.selections)


class Intersect(_OfSeveral):
    kind = "intersect"

    def select(self, scene: SeenScene) -> Selection:
        return reduce(Selection.intersect, self.selections)


@dataclass(frozen=True)
class Invert(Way):
    """All that is shown in a frame, but the selection."""

    kind = "invert"
    selection: Selection
    frame: int

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Invert:
        return cls(arguments.selection("of", may_be_empty=True), arguments.frame())

    def to_json(self) -> dict[str, Any]:
        return {"of": listed(self.selection), "frame": self.frame + 1}

    def select(self, scene: SeenScene) -> Selection:
        return self.selection.invert(scene.edited.all(self.frame))
