"""Decoded images in bounded memory, read on demand and ahead of time: what video and image-file sources share."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Iterable
from itertools import islice

import numpy as np

from trackersplat.errors import InputError

DEFAULT_CAPACITY = 512 * 2**20  # bytes of decoded images per capture
MAX_AHEAD = 4096  # requests taken from one call of prefetch


class ImageCache:
    """The most recently used images whose sizes sum to at most ``capacity`` bytes. Thread-safe.

    An image larger than the whole capacity is not kept.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self.capacity = capacity
        self._images: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes held now."""
        return self._size

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key in self._images

    def get(self, key: tuple[int, int]) -> np.ndarray | None:
        with self._lock:
            image = self._images.get(key)
            if image is not None:
                self._images.move_to_end(key)
            return image

    def put(self, key: tuple[int, int], image: np.ndarray) -> None:
        if image.nbytes > self.capacity:
            return
        with self._lock:
            previous = self._images.pop(key, None)
            self._size += image.nbytes - (0 if previous is None else previous.nbytes)
            self._images[key] = image
            while self._size > self.capacity:
                self._size -= self._images.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        with self._lock:
            self._images.clear()
            self._size = 0


class CachedFrames(ABC):
    """A FrameSource around ``decode``: an image cache, one lock per camera, and background threads that read ahead.

    Subclasses implement ``decode``. Two threads never decode for the same camera at once, and the requests of one camera are
    served in the order given, so a video decoder sees ascending frame numbers. A reader that waits goes before read-ahead.
    """

    def __init__(self, camera_count: int, capacity: int = DEFAULT_CAPACITY, workers: int | None = None) -> None:
        self.cache = ImageCache(capacity)
        self._camera_locks = [threading.Lock() for _ in range(camera_count)]
        self._max_workers = workers if workers is not None else min(8, os.cpu_count() or 1)
        self._state = threading.Lock()  # guards everything below
        self._requests: list[tuple[int, int]] = []  # read-ahead that has not started
        self._budget = 0  # bytes the current read-ahead may still decode
        self._busy: set[int] = set()  # cameras a worker decodes for
        self._waiting: Counter[int] = Counter()  # readers per camera
        self._workers = 0
        self._closed = False

    @abstractmethod
    def decode(self, camera: int, frame: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB. Called with the camera's lock held. Raises InputError if it cannot be decoded."""

    def read(self, camera: int, frame: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB, read-only, from memory or decoded now. Raises InputError if it cannot be decoded."""
        image = self.cache.get((camera, frame))
        if image is not None:
            return image
        with self._state:
            self._waiting[camera] += 1
        try:
            return self._read_locked(camera, frame)
        finally:
            with self._state:
                self._waiting[camera] -= 1
            self._start_workers()  # read-ahead that stepped aside for this reader goes on

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Reads ahead in the background. Replaces what an earlier call asked for and has not started yet.

        Reading ahead stops at half the cache, so it never evicts what it has just fetched.
        """
        requests = [key for key in islice(wanted, MAX_AHEAD) if key not in self.cache]
        with self._state:
            self._requests = requests
            self._budget = self.cache.capacity // 2
        self._start_workers()

    def close(self) -> None:
        """Forgets the images and stops reading ahead; a decode that has begun ends first."""
        with self._state:
            self._closed = True
            self._requests = []
        for lock in self._camera_locks:
            with lock:
                pass
        self.cache.clear()

    def _read_locked(self, camera: int, frame: int) -> np.ndarray:
        with self._camera_locks[camera]:
            image = self.cache.get((camera, frame))  # another thread may have decoded it while this one waited
            if image is None:
                if self._closed:
                    raise RuntimeError("the capture is closed")
                image = self.decode(camera, frame)
                image.setflags(write=False)
                self.cache.put((camera, frame), image)
            return image

    def _start_workers(self) -> None:
        with self._state:
            wanted = min(self._max_workers, len(self._requests)) - self._workers
            self._workers += max(0, wanted)
        for _ in range(wanted):
            threading.Thread(target=self._work, name="trackersplat-prefetch", daemon=True).start()

    def _work(self) -> None:
        # Workers end when nothing is left to do: an idle capture holds no threads and can be collected.
        while (key := self._next_request()) is not None:
            try:
                image = self._read_locked(*key)
                with self._state:
                    self._budget -= image.nbytes
            except (InputError, RuntimeError):
                continue  # whoever reads this image gets the error
            finally:
                with self._state:
                    self._busy.discard(key[0])

    def _next_request(self) -> tuple[int, int] | None:
        with self._state:
            if self._budget > 0 and not self._closed:
                for position, (camera, frame) in enumerate(self._requests):
                    if camera not in self._busy and not self._waiting[camera]:
                        del self._requests[position]
                        self._busy.add(camera)
                        return camera, frame
            else:
                self._requests = []
            self._workers -= 1
            return None
