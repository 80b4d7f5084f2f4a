"""A capture whose images are hashed when they are read, and compared with those that a run was made from.

``frame.json`` keeps the hashes of the images and masks of its frame, ``run.json`` those of the cameras and points.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from trackersplat.captures.capture import Capture, FrameSource, MaskSource
from trackersplat.captures.fingerprints import HASHED_AT_ONCE, MASK, Hashes, different_images, hash_of_pixels
from trackersplat.errors import InputError

OTHER_FOLDER = "choose another folder with --out"


class Watched:
    """Hashes what is read of a capture through `capture`, in the background, and compares it with what was read of it before.

    An image that is not the expected one is an InputError where it is read.
    """

    def __init__(self, capture: Capture, expected: Mapping[int, Hashes], complaint: str) -> None:
        """``expected``: by frame, what a run's frames were made from. ``complaint``: begins the message if it is not."""
        self._names = tuple(camera.name for camera in capture.cameras)
        self._original = capture
        self._expected = expected
        self._complaint = complaint
        self._found: dict[tuple[int, str], Future[str]] = {}
        self._same: set[int] = set()  # frames that were read as a whole and found to be what is expected
        self._pool = ThreadPoolExecutor(HASHED_AT_ONCE, "hash")
        masks = None if capture.masks is None else _Masks(capture.masks, self)
        self.capture = replace(capture, source=_Frames(capture.source, self), masks=masks)

    def of(self, frame: int) -> dict[str, str]:
        """What was read of a frame: hashes by camera, and by MASK + camera."""
        found = {name: future.result() for (at, name), future in list(self._found.items()) if at == frame}
        return dict(sorted(found.items()))

    def require(self, frame: int) -> None:
        """Reads all that a frame of the run was made from, once. Raises InputError if it is something else now."""
        if frame in self._same:
            return
        different = different_images(self._expected.get(frame, {}), self._original, frame)
        if different:
            raise self._other(frame, different[0])
        self._same.add(frame)

    def note(self, camera: int, frame: int, pixels: np.ndarray, prefix: str = "") -> None:
        """What has been read. Raises InputError if it is not what was expected."""
        name = prefix + self._names[camera]
        if (frame, name) in self._found:
            return
        future = self._pool.submit(hash_of_pixels, pixels)
        known = self._expected.get(frame, {}).get(name)
        if known is not None and future.result() != known:
            raise self._other(frame, name)
        self._found[frame, name] = future

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _other(self, frame: int, name: str) -> InputError:
        what = f"the {name}" if name.startswith(MASK) else f"the image of {name}"
        return InputError(f"{self._complaint}: {what} in frame {frame + 1} is another one; {OTHER_FOLDER}.")


class _Frames:
    """A `FrameSource` that reports what is read."""

    def __init__(self, source: FrameSource, watched: Watched) -> None:
        self._source = source
        self._watched = watched

    def read(self, camera: int, frame: int) -> np.ndarray:
        image = self._source.read(camera, frame)
        self._watched.note(camera, frame, image)
        return image

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None:
        self._source.prefetch(wanted)

    def close(self) -> None:
        self._source.close()


class _Masks:
    """A `MaskSource` that reports what is read."""

    def __init__(self, source: MaskSource, watched: Watched) -> None:
        self._source = source
        self._watched = watched

    def has(self, camera: int) -> bool:
        return self._source.has(camera)

    def read(self, camera: int, frame: int) -> np.ndarray | None:
        mask = self._source.read(camera, frame)
        if mask is not None:
            self._watched.note(camera, frame, mask, MASK)
        return mask

    def close(self) -> None:
        self._source.close()
