"""A polygon in a camera: a rectangle or a lasso."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trackersplat.document.scene_edit import SceneArguments
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selecting.in_camera import THROUGH, Looking
from trackersplat.document.selecting.outline import inside_image_points, inside_pixels
from trackersplat.document.selecting.way import Way
from trackersplat.document.selection import Selection
from trackersplat.errors import InputError


@dataclass(frozen=True)
class Polygon(Way):
    """The last corner joins the first; where the outline crosses itself, the even-odd rule holds."""

    kind = "polygon"
    looking: Looking
    corners: tuple[tuple[float, float], ...]  # px, at least three

    def __post_init__(self) -> None:
        """Raises InputError if there are too few corners."""
        if len(self.corners) < 3:
            raise InputError(f"A polygon needs at least 3 corners, got {len(self.corners)}.")

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Polygon:
        return cls(Looking.parse(arguments), arguments.pixels("corners"))

    def to_json(self) -> dict[str, Any]:
        return {**self.looking.to_json(), "corners": [list(corner) for corner in self.corners]}

    def select(self, scene: SeenScene) -> Selection:
        camera, corners = self.looking.camera_in(scene), np.array(self.corners)
        if self.looking.depth == THROUGH:
            pixels, _ = self.looking.projected(scene)
            return scene.chosen(self.looking.frame, inside_image_points(corners, pixels, camera.width, camera.height))
        return self.looking.shown_in(scene, inside_pixels(corners, camera.width, camera.height))
