"""What ways of selecting in a camera share: pixels to Gaussians, either of what the camera shows or of all that lies behind it.

What a camera shows of a Gaussian is its blending weight, summed over the pixels. A Gaussian is taken if enough of that is in the pixels
that were chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.document.camera_json import camera_to_json
from trackersplat.document.scene_edit import SceneArguments
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selection import Selection

VISIBLE, THROUGH = "visible", "through"


@dataclass(frozen=True)
class Looking:
    """From where, when, and what counts as selected there."""

    camera: str | Camera
    frame: int
    depth: str = VISIBLE  # or THROUGH: all whose centre is in the pixels, however deep
    share: float = 0.65  # of what the camera shows of a Gaussian, that must be in the pixels
    least: float = 0.02  # px: weight that a Gaussian must have there in all; fainter ones are not visible

    @staticmethod
    def parse(arguments: SceneArguments) -> Looking:
        default = Looking("", 0)
        return Looking(
            arguments.camera(),
            arguments.frame(),
            arguments.choice("depth", (VISIBLE, THROUGH), default.depth),
            arguments.number("share", 0.0, 1.0) if arguments.has("share") else default.share,
            arguments.number("least", 0.0, 1e6) if arguments.has("least") else default.least,
        )

    def to_json(self) -> dict[str, Any]:
        camera = self.camera if isinstance(self.camera, str) else camera_to_json(self.camera)
        return {"camera": camera, "frame": self.frame + 1, "depth": self.depth, "share": self.share, "least": self.least}

    def camera_in(self, scene: SeenScene) -> Camera:
        """Raises InputError if there is none of this name."""
        return scene.camera(self.camera) if isinstance(self.camera, str) else self.camera

    def shown_in(self, scene: SeenScene, pixels: np.ndarray) -> Selection:
        """The Gaussians that the camera shows in the ``pixels`` (H, W) bool."""
        inside, whole = scene.weights_in(self.frame, self.camera_in(scene), pixels)
        return scene.chosen(self.frame, (inside >= self.least) & (inside >= self.share * whole))

    def weight_at(self, scene: SeenScene, column: int, row: int) -> np.ndarray:
        """(N,) blending weight of each Gaussian in one pixel, which must be in the image."""
        return scene.lifted(self.frame, _part(self.camera_in(scene), column, row, 1, 1), np.ones((1, 1, 1)))[:, 0]

    def projected(self, scene: SeenScene) -> tuple[np.ndarray, np.ndarray]:
        """(N, 2) pixel positions of the centres, far outside the image for those behind the camera, and (N,) depths."""
        camera = self.camera_in(scene)
        means = scene.gaussians(self.frame).means.numpy()
        pixels, depth = camera.project(means.astype(np.float64))
        pixels[~(depth > camera.near)] = -1e9
        return pixels, depth


def _part(camera: Camera, x: int, y: int, width: int, height: int) -> Camera:
    """The camera of the pixels from column ``x`` and row ``y`` on alone."""
    K = camera.K.copy()
    K[0, 2] -= x
    K[1, 2] -= y
    return replace(camera, width=width, height=height, K=K)
