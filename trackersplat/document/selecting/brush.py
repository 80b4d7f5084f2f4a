"""A brush stroke in a camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trackersplat.document.scene_edit import SceneArguments
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selecting.in_camera import THROUGH, Looking
from trackersplat.document.selecting.outline import stroke_pixels, stroke_points
from trackersplat.document.selecting.way import Way
from trackersplat.document.selection import Selection

WIDEST = 1e4  # px, radius of a brush


@dataclass(frozen=True)
class Brush(Way):
    kind = "brush"
    looking: Looking
    line: tuple[tuple[float, float], ...]  # px: where the brush went; one point is a dab
    radius: float  # px

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Brush:
        return cls(Looking.parse(arguments), arguments.pixels("line"), arguments.number("radius", 0.5, WIDEST))

    def to_json(self) -> dict[str, Any]:
        return {**self.looking.to_json(), "line": [list(point) for point in self.line], "radius": self.radius}

    def select(self, scene: SeenScene) -> Selection:
        camera, line = self.looking.camera_in(scene), np.array(self.line)
        if self.looking.depth == THROUGH:
            pixels, _ = self.looking.projected(scene)
            return scene.chosen(self.looking.frame, stroke_points(line, self.radius, pixels))
        return self.looking.shown_in(scene, stroke_pixels(line, self.radius, camera.width, camera.height))
