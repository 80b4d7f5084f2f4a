"""Images and masks of the next frames on the device before they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType

import torch

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.rendering.device_images import CAPACITY, device_image, device_mask

IN_WORK = 4  # frames whose images stay on the device meanwhile: the fitted one, the base, the one in work and the one before it
THREADS = 2  # one copies while the other waits for a decoder


class ReadAhead:
    """Asks the capture for the frames that come next, and on a GPU copies them there, as many as there is room for beside those in work.

    What cannot be decoded is left to whoever reads it. Leaving the context stops reading ahead.
    """

    def __init__(self, capture: Capture, device: torch.device, frames: Sequence[int]) -> None:
        """``frames``: all that will be read, in the order of work."""
        self._capture, self._device, self._frames = capture, device, list(dict.fromkeys(frames))
        self._places = {frame: place for place, frame in enumerate(self._frames)}
        self._copied: set[int] = set()
        size = sum(3 * camera.width * camera.height for camera in capture.cameras)
        self._room = max(CAPACITY // max(size, 1) - IN_WORK, 0) if device.type == "cuda" else 0
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="read-ahead")

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def go(self, frame: int, count: int) -> None:
        """Reads this frame and those after it, ``count`` in all; to be called again as the work goes on."""
        place = self._places[frame]
        ahead = self._frames[place : place + count]
        self._capture.prefetch(range(len(self._capture.cameras)), ahead)
        for wanted in ahead[: self._room]:
            if wanted not in self._copied:
                self._copied.add(wanted)
                for camera in range(len(self._capture.cameras)):
                    self._pool.submit(self._copy, camera, wanted)

    def _copy(self, camera: int, frame: int) -> None:
        with suppress(InputError, RuntimeError):  # whoever reads this image gets the error; the capture may be closed
            device_image(self._capture, camera, frame, self._device)
            device_mask(self._capture, camera, frame, self._device)
