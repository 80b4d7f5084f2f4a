"""Decoded images in bounded memory, read on demand and ahead of time: what video and image-file sources share."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice

import numpy as np

from trackersplat.errors import InputError

DEFAULT_CAPACITY = 512 * 2**20  # bytes of decoded images per capture
MAX_AHEAD = 4096  # requests taken from one call of prefetch
BACKWARD_AFTER = 2  # steps back, one frame each, until reading is taken to go backwards
LONGEST_RUN = 32  # frames decoded in one go when reading goes backwards


def usable_cores() -> int:
    """Of the processor, that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    served in the order given, so a video decoder sees ascending frame numbers. A reader that waits is served before read-ahead.

    Backwards, a decoder would start at a key frame again for every frame. So when frames are read, or asked for ahead, one by one
    backwards, the frames before the wanted one are decoded with it, in ascending runs of at most a quarter of the cache, and the next
    run is read ahead when half of one has been seen.

    ``remarks`` say what is assumed of the files, or not used of them.
    """

    remarks: tuple[str, ...] = ()

    def __init__(self, camera_count: int, capacity: int = DEFAULT_CAPACITY, workers: int | None = None) -> None:
        self.cache = ImageCache(capacity)
        self._camera_locks = [threading.Lock() for _ in range(camera_count)]
        self._max_workers = workers if workers is not None else min(camera_count, usable_cores())
        self._state = threading.Lock()  # guards everything below
        self._requests: list[tuple[int, int]] = []  # read-ahead that has not started
        self._budget = 0  # bytes the current read-ahead may still decode
        self._busy: set[int] = set()  # cameras a worker decodes for
        self._waiting: Counter[int] = Counter()  # readers per camera
        self._waited_for: list[tuple[int, int]] = []  # the camera and frame of each
        self._workers = 0
        self._image_bytes: dict[int, int] = {}  # of the camera's last image
        self._last: dict[int, tuple[int, int]] = {}  # per camera, the frame read last and how many steps back led to it
        self._closed = False

    @abstractmethod
    def decode(self, camera: int, frame: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB. Called with the camera's lock held. Raises InputError if it cannot be decoded."""

    def read(self, camera: int, frame: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB, read-only, from memory or decoded now. Raises InputError if it cannot be decoded."""
        run = self._run_to(camera, frame) if self._goes_backwards(camera, frame) else range(frame, frame + 1)
        image = self.cache.get((camera, frame))
        if image is None:
            with self._state:
                self._waiting[camera] += 1
                self._waited_for.append((camera, frame))
            try:
                image = self._read_locked(camera, run)
            finally:
                with self._state:
                    self._waiting[camera] -= 1
                    self._waited_for.remove((camera, frame))
                self._start_workers()  # read-ahead that stepped aside for this reader goes on
        if len(run) > 1:
            self._read_ahead_backwards(camera, run)
        return image

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

    def _read_locked(self, camera: int, run: range) -> np.ndarray:
        """The last frame of ``run``, once all of it is in memory."""
        with self._camera_locks[camera]:
            for frame in run[:-1]:
                with suppress(InputError):  # whoever reads that frame gets the error
                    self._decoded(camera, frame)
            return self._decoded(camera, run[-1])

    def _decoded(self, camera: int, frame: int) -> np.ndarray:
        image = self.cache.get((camera, frame))  # another thread may have decoded it while this one waited
        if image is None:
            if self._closed:
                raise RuntimeError("the capture is closed")
            image = self.decode(camera, frame)
            image.setflags(write=False)
            self._image_bytes[camera] = image.nbytes
            self.cache.put((camera, frame), image)
        return image

    def _goes_backwards(self, camera: int, frame: int) -> bool:
        """Whether the last reads of the camera stepped back frame by frame. Remembers this one."""
        with self._state:
            last, steps = self._last.get(camera, (frame, 0))
            if frame != last:
                steps = steps + 1 if frame == last - 1 else 0
            self._last[camera] = frame, steps
        return steps >= BACKWARD_AFTER

    def _run_to(self, camera: int, frame: int) -> range:
        """The frames up to ``frame`` that may be decoded together."""
        share = self.cache.capacity // 4 // self._image_bytes.get(camera, self.cache.capacity)
        return range(max(0, frame + 1 - max(1, min(LONGEST_RUN, share))), frame + 1)

    def _read_ahead_backwards(self, camera: int, run: range) -> None:
        """Asks for the next run once no more than half a run before the frame just read is in memory."""
        missing = next((frame for frame in reversed(run) if (camera, frame) not in self.cache), None)
        with self._state:
            wanted = missing is not None and missing >= run[len(run) // 2] and camera not in self._busy
        if wanted and missing is not None:
            self.prefetch((camera, frame) for frame in reversed(self._run_to(camera, missing)))

    def _start_workers(self) -> None:
        with self._state:
            wanted = min(self._max_workers, len(self._requests)) - self._workers
            self._workers += max(0, wanted)
        for _ in range(wanted):
            threading.Thread(target=self._work, name="trackersplat-prefetch", daemon=True).start()

    def _work(self) -> None:
        # Workers end when nothing is left to do: an idle capture holds no threads and can be collected.
        while (request := self._next_request()) is not None:
            camera, run = request
            try:
                with self._camera_locks[camera]:
                    for frame in run:
                        if frame > run[0] and self._is_waited_for_outside(camera, run):
                            break
                        with suppress(InputError):  # whoever reads this image gets the error
                            image = self._decoded(camera, frame)
                            with self._state:
                                self._budget -= image.nbytes
            except RuntimeError:
                continue  # closed
            finally:
                with self._state:
                    self._busy.discard(camera)

    def _is_waited_for_outside(self, camera: int, run: range) -> bool:
        with self._state:
            return any(waiting == camera and frame not in run for waiting, frame in self._waited_for)

    def _next_request(self) -> tuple[int, range] | None:
        """A camera and the ascending frames to decode for it."""
        with self._state:
            if self._budget > 0 and not self._closed:
                for position, (camera, frame) in enumerate(self._requests):
                    if camera not in self._busy and not self._waiting[camera]:
                        self._busy.add(camera)
                        return camera, self._take_run(position, camera, frame)
            else:
                self._requests = []
            self._workers -= 1
            return None

    def _take_run(self, position: int, camera: int, frame: int) -> range:
        """Takes a request out of the list, and those after it that step back from it frame by frame.

        If the camera is read backwards, a whole run: requests that move along with the reader ask for one new frame at a time.
        """
        longest = len(self._run_to(camera, frame))
        if camera in self._image_bytes:
            longest = min(longest, max(1, self._budget // self._image_bytes[camera]))
        last, steps = self._last.get(camera, (frame, 0))
        length = longest
        if steps < BACKWARD_AFTER or frame > last:
            own = [wanted for requested, wanted in self._requests[position:] if requested == camera][:longest]
            length = next((n for n, wanted in enumerate(own) if wanted != frame - n), len(own))
        run = range(frame + 1 - length, frame + 1)
        self._requests = [key for key in self._requests if key[0] != camera or key[1] not in run]
        return run
