"""Images and masks of another source, scaled and undistorted, for a calibration that its own reader did not have."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from trackersplat.captures.capture import FrameSource, MaskSource
from trackersplat.captures.media.cache import DEFAULT_CAPACITY, CachedFrames
from trackersplat.captures.media.lens import Remap


class RemappedFrames(CachedFrames):
    """A FrameSource of some cameras of another one: ``cameras[camera]`` is its number there. Closes the other one with itself."""

    def __init__(
        self, inner: FrameSource, cameras: Sequence[int], remaps: Sequence[Remap | None], capacity: int = DEFAULT_CAPACITY
    ) -> None:
        super().__init__(len(cameras), capacity)
        self._inner, self._cameras, self._remaps = inner, cameras, remaps

    def decode(self, camera: int, frame: int) -> np.ndarray:
        image = self._inner.read(self._cameras[camera], frame)
        remap = self._remaps[camera]
        return image if remap is None else remap.apply(image)

    def close(self) -> None:
        super().close()
        self._inner.close()


class RemappedMasks:
    """A MaskSource of some cameras of another one, its masks treated as the images are. Closes the other one with itself."""

    def __init__(self, inner: MaskSource, cameras: Sequence[int], remaps: Sequence[Remap | None]) -> None:
        self._inner, self._cameras, self._remaps = inner, cameras, remaps

    def has(self, camera: int) -> bool:
        return self._inner.has(self._cameras[camera])

    def read(self, camera: int, frame: int) -> np.ndarray | None:
        mask = self._inner.read(self._cameras[camera], frame)
        remap = self._remaps[camera]
        if mask is None or remap is None:
            return mask
        grey = remap.apply(cv2.cvtColor(mask.astype(np.uint8) * 255, cv2.COLOR_GRAY2RGB))[..., 0]
        found = grey > 127  # a pixel is foreground if most of what it covers is
        found.setflags(write=False)
        return found

    def close(self) -> None:
        self._inner.close()
