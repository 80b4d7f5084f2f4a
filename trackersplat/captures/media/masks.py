"""Foreground masks of a capture: one image file per camera and frame, for the cameras that have any."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from trackersplat.captures.media.cache import CachedFrames
from trackersplat.captures.media.decode import MAX_IMAGE_BYTES, is_whole
from trackersplat.captures.media.video import MAX_SIDE
from trackersplat.errors import InputError
from trackersplat.files import read_file

MASK_CAPACITY = 128 * 2**20  # bytes of decoded masks per capture


class MaskFiles:
    """A MaskSource from image files: ``paths[camera][frame]``, None where there is no mask. Lazy, bounded memory, thread-safe.

    ``sizes`` (width, height) are those of the files, and of the cameras unless ``shown`` says otherwise.
    """

    def __init__(
        self, paths: Sequence[Sequence[Path | None]], sizes: Sequence[tuple[int, int]], shown: Sequence[tuple[int, int]] | None = None
    ) -> None:
        self._paths = paths
        self._frames = _MaskFrames(paths, sizes, shown or sizes)

    def has(self, camera: int) -> bool:
        return any(path is not None for path in self._paths[camera])

    def read(self, camera: int, frame: int) -> np.ndarray | None:
        return None if self._paths[camera][frame] is None else self._frames.read(camera, frame)

    def close(self) -> None:
        self._frames.close()


class _MaskFrames(CachedFrames):
    def __init__(self, paths: Sequence[Sequence[Path | None]], sizes: Sequence[tuple[int, int]], shown: Sequence[tuple[int, int]]) -> None:
        super().__init__(len(paths), MASK_CAPACITY)
        self._paths, self._sizes, self._shown = paths, sizes, shown

    def decode(self, camera: int, frame: int) -> np.ndarray:
        path = self._paths[camera][frame]
        assert path is not None, "read() asks for masks that exist only"
        mask = read_mask(path)
        width, height = self._sizes[camera]
        if mask.shape != (height, width):
            raise InputError(
                f"{path} has {mask.shape[1]}x{mask.shape[0]} pixels, but its camera has {width}x{height}: "
                "write all masks of a camera at the size of its images."
            )
        if self._shown[camera] == (width, height):
            return mask
        # A pixel is foreground if most of what it covers is.
        return cv2.resize(mask.astype(np.float32), self._shown[camera], interpolation=cv2.INTER_AREA) > 0.5


def read_mask(path: Path) -> np.ndarray:
    """(H, W) bool of a still image, True where a colour is above 0 (in a JPEG above 127). Raises InputError if it cannot be decoded."""
    data = np.frombuffer(read_file(path, MAX_IMAGE_BYTES), dtype=np.uint8)
    try:
        # Unchanged: a mask of labels 0 and 1 must not be rounded away, and one channel is all there is to see.
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if is_whole(data) else None
    except cv2.error:  # more pixels than OpenCV allows
        image = None
    if image is None or max(image.shape[:2]) > MAX_SIDE:
        raise InputError(f"{path} is not a mask that can be decoded (PNG or JPEG up to {MAX_SIDE} pixels on a side): write it again.")
    lossy = path.suffix.lower() in (".jpg", ".jpeg")  # whose compression leaves values between black and white
    return (image if image.ndim == 2 else image[..., :3].max(axis=2)) > (127 if lossy else 0)
