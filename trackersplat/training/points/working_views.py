"""The images of one frame at the sizes that the strategies work on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.training.points.rig import surrounding_rig
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.points.surround import Pictures, Surroundings, surroundings
from trackersplat.training.points.sweep import View
from trackersplat.training.points.views import depth_range


class WorkingViews:
    """Images, views and depth ranges of some cameras in one frame, each made when it is first asked for. All in the cameras' order."""

    def __init__(self, capture: Capture, cameras: Sequence[int], frame: int, settings: PointSettings) -> None:
        self._capture, self._indices, self._frame, self._settings = capture, tuple(cameras), frame, settings

    @cached_property
    def cameras(self) -> list[Camera]:
        """At full size."""
        return [self._capture.cameras[i] for i in self._indices]

    @cached_property
    def images(self) -> list[np.ndarray]:
        """(H, W, 3) uint8 at full size."""
        return [self._capture.image(i, self._frame) for i in self._indices]

    @cached_property
    def pictures(self) -> Pictures:
        """Cameras, images and masks at full size."""
        return Pictures(self.cameras, self.images, [self._capture.mask(i, self._frame) for i in self._indices])

    @cached_property
    def small(self) -> list[np.ndarray]:
        """The images with a longer side of at most ``PointSettings.max_side``."""
        return [resized(image, self._settings.max_side) for image in self.images]

    @cached_property
    def views(self) -> list[View]:
        """Of the ``small`` images."""
        return self.at(self._settings.max_side)

    @cached_property
    def surroundings(self) -> Surroundings | None:
        """Shell and hull; None where the cameras do not stand around what they look at."""
        settings = self._settings
        rig = surrounding_rig(self.cameras, settings.rig)
        if rig is None:
            return None
        return surroundings(self.at(min(settings.shell.side, settings.max_side)), self.pictures, rig, settings)

    @cached_property
    def ranges(self) -> list[tuple[float, float]]:
        """Near and far. Raises InputError if nothing tells them."""
        return [depth_range(self._capture, self._indices, i, self._settings.depth_range) for i in self._indices]

    def at(self, max_side: int) -> list[View]:
        """Views with a longer side of at most this."""
        return [_view(camera, image, max_side) for camera, image in zip(self.cameras, self.images, strict=True)]


def resized(image: np.ndarray, max_side: int) -> np.ndarray:
    """The (H, W, 3) image with a longer side of at most this; as it is if it is not larger."""
    h, w = image.shape[:2]
    scale = max_side / max(h, w)
    if scale >= 1:
        return image
    return cv2.resize(image, (max(1, round(w * scale)), max(1, round(h * scale))), interpolation=cv2.INTER_AREA)


def _view(camera: Camera, image: np.ndarray, max_side: int) -> View:
    small = resized(image, max_side)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return View(camera.resized(small.shape[1], small.shape[0]), gray)
