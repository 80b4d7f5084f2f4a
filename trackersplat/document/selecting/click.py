"""A click: the Gaussian that makes most of one pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trackersplat.document.scene_edit import SceneArguments
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selecting.in_camera import Looking
from trackersplat.document.selecting.way import Way
from trackersplat.document.selection import NOTHING, Selection


@dataclass(frozen=True)
class Click(Way):
    kind = "click"
    looking: Looking
    x: float  # px
    y: float

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Click:
        looking = Looking.parse(arguments)
        return cls(looking, arguments.number("x", 0.0, 1e5), arguments.number("y", 0.0, 1e5))

    def to_json(self) -> dict[str, Any]:
        return {**self.looking.to_json(), "x": self.x, "y": self.y}

    def select(self, scene: SeenScene) -> Selection:
        camera = self.looking.camera_in(scene)
        column, row = int(self.x), int(self.y)
        if column >= camera.width or row >= camera.height:
            return NOTHING
        weight = self.looking.weight_at(scene, column, row)
        best = int(weight.argmax()) if len(weight) else 0
        if not len(weight) or weight[best] <= 0:
            return NOTHING
        return scene.chosen(self.looking.frame, np.arange(len(weight)) == best)
