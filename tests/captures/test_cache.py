from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from trackersplat.captures.cache import CachedFrames, ImageCache
from trackersplat.errors import InputError

IMAGE_BYTES = 4 * 5 * 3


def image(value: int) -> np.ndarray:
    return np.full((4, 5, 3), value, np.uint8)


class Frames(CachedFrames):
    """Decodes to an image of value 10 * camera + frame and records what it did; frame 9 is damaged."""

    def __init__(self, *args: int, **kwargs: int) -> None:
        super().__init__(*args, **kwargs)
        self.decoded: list[tuple[int, int]] = []
        self.active = [0] * len(self._camera_locks)
        self.gate = threading.Event()
        self.gate.set()

    def decode(self, camera: int, frame: int) -> np.ndarray:
        self.active[camera] += 1
        assert self.active[camera] == 1, "two threads decode for one camera"
        self.decoded.append((camera, frame))
        self.gate.wait(5)
        time.sleep(0.001)
        self.active[camera] -= 1
        if frame == 9:
            raise InputError("frame 10 is damaged")
        return image(10 * camera + frame)


def wait_until(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.002)


def test_the_cache_never_holds_more_than_its_capacity_and_drops_the_least_recently_used():
    cache = ImageCache(3 * IMAGE_BYTES)
    for frame in range(3):
        cache.put((0, frame), image(frame))
    assert cache.get((0, 0)) is not None  # now the most recently used
    cache.put((0, 3), image(3))
    assert cache.size == 3 * IMAGE_BYTES
    assert [(0, frame) in cache for frame in range(4)] == [True, False, True, True]


def test_an_image_put_twice_counts_once():
    cache = ImageCache(3 * IMAGE_BYTES)
    cache.put((0, 0), image(1))
    cache.put((0, 0), image(2))
    assert cache.size == IMAGE_BYTES


def test_an_image_larger_than_the_cache_is_returned_but_not_kept():
    frames = Frames(1, capacity=IMAGE_BYTES - 1)
    assert frames.read(0, 4)[0, 0, 0] == 4
    assert frames.cache.size == 0


def test_reading_twice_decodes_once_and_gives_a_read_only_image():
    frames = Frames(2)
    first = frames.read(1, 3)
    assert frames.read(1, 3) is first
    assert frames.decoded == [(1, 3)]
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0, 0] = 1


def test_prefetched_images_are_there_without_decoding_again_and_in_order_per_camera():
    frames = Frames(2, workers=2)
    wanted = [(camera, frame) for frame in range(5) for camera in range(2)]
    frames.prefetch(wanted)
    wait_until(lambda: len(frames.decoded) == 10 and frames.active == [0, 0])
    for camera in range(2):
        assert [f for c, f in frames.decoded if c == camera] == list(range(5))
    assert frames.read(1, 4)[0, 0, 0] == 14
    assert len(frames.decoded) == 10


def test_a_newer_prefetch_replaces_what_has_not_started():
    frames = Frames(1, workers=1)
    frames.gate.clear()
    frames.prefetch([(0, frame) for frame in range(6)])
    wait_until(lambda: frames.decoded == [(0, 0)])
    frames.prefetch([(0, 7)])
    frames.gate.set()
    wait_until(lambda: (0, 7) in frames.cache)
    assert frames.decoded == [(0, 0), (0, 7)]


def test_prefetch_stops_at_half_the_cache():
    frames = Frames(1, capacity=8 * IMAGE_BYTES, workers=1)
    frames.prefetch([(0, frame) for frame in range(8)])
    wait_until(lambda: frames._workers == 0)
    assert frames.decoded == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_the_next_request_is_the_first_whose_camera_no_worker_and_no_reader_occupies():
    frames = Frames(3)
    frames._requests, frames._budget = [(0, 1), (0, 2), (1, 1), (2, 1)], 100
    frames._waiting[1] = 1
    assert [frames._next_request() for _ in range(3)] == [(0, 1), (2, 1), None]
    assert frames._requests == [(0, 2), (1, 1)]


def test_a_waiting_reader_goes_before_read_ahead_and_read_ahead_goes_on_after():
    frames = Frames(1, workers=1)
    frames.gate.clear()
    frames.prefetch([(0, frame) for frame in range(4)])
    wait_until(lambda: frames.decoded == [(0, 0)])
    reader = threading.Thread(target=frames.read, args=(0, 8))
    reader.start()
    wait_until(lambda: frames._waiting[0] == 1)
    frames.gate.set()
    reader.join(5)
    wait_until(lambda: (0, 3) in frames.cache)
    assert frames.decoded == [(0, 0), (0, 8), (0, 1), (0, 2), (0, 3)]


def test_a_damaged_frame_does_not_stop_read_ahead_and_is_reported_to_its_reader():
    frames = Frames(1, workers=1)
    frames.prefetch([(0, 9), (0, 1)])
    wait_until(lambda: (0, 1) in frames.cache)
    with pytest.raises(InputError, match="frame 10 is damaged"):
        frames.read(0, 9)


def test_many_threads_get_the_right_images_and_never_decode_one_camera_twice_at_once():
    frames = Frames(3, capacity=10 * IMAGE_BYTES, workers=3)
    wrong: list[tuple[int, int]] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(60):
            camera, frame = int(rng.integers(3)), int(rng.integers(9))
            frames.prefetch([(int(rng.integers(3)), int(rng.integers(9)))])
            if frames.read(camera, frame)[0, 0, 0] != 10 * camera + frame:
                wrong.append((camera, frame))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assert frames.cache.size <= 10 * IMAGE_BYTES


def test_a_closed_source_reads_nothing_more():
    frames = Frames(1)
    frames.close()
    frames.prefetch([(0, 1)])
    with pytest.raises(RuntimeError, match="closed"):
        frames.read(0, 0)
    assert frames.decoded == []
