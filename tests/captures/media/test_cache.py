from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from trackersplat.captures.media.cache import CachedFrames, ImageCache
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


class LongFrames(Frames):
    """None is damaged, and an image's value is 100 * camera + frame."""

    def decode(self, camera: int, frame: int) -> np.ndarray:
        self.active[camera] += 1
        assert self.active[camera] == 1, "two threads decode for one camera"
        self.decoded.append((camera, frame))
        self.gate.wait(5)
        self.active[camera] -= 1
        return image(100 * camera + frame)


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
    assert [frames._next_request() for _ in range(3)] == [(0, range(1, 2)), (2, range(1, 2)), None]
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


# -- backwards -----------------------------------------------------------------------------------------------------------


def ascending_runs(decoded: list[tuple[int, int]]) -> list[list[int]]:
    runs: list[list[int]] = []
    for _, frame in decoded:
        if runs and frame == runs[-1][-1] + 1:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    return runs


def idle(frames: Frames) -> bool:
    return frames._workers == 0 and not frames._requests


def test_reading_backwards_decodes_every_frame_once_in_ascending_runs():
    frames = LongFrames(1, capacity=64 * IMAGE_BYTES)
    for frame in range(59, -1, -1):
        assert frames.read(0, frame)[0, 0, 0] == frame
        wait_until(lambda: idle(frames))
    assert sorted(frame for _, frame in frames.decoded) == list(range(60))
    runs = ascending_runs(frames.decoded)
    assert runs[:2] == [[59], [58]], "two steps back are needed to be sure of the direction"
    assert len(runs) <= 2 + 4, "runs of a quarter of the cache, 16 frames"
    assert max(map(len, runs)) == 16


def test_the_next_run_is_read_ahead_before_the_reader_gets_there():
    frames = LongFrames(1, capacity=64 * IMAGE_BYTES)
    for frame in range(59, 47, -1):  # past the middle of the run from 42 to 57
        frames.read(0, frame)
    wait_until(lambda: (0, 41) in frames.cache and idle(frames))
    assert (0, 26) in frames.cache
    assert (0, 25) not in frames.cache
    assert frames.cache.size <= 64 * IMAGE_BYTES


def test_a_run_takes_no_more_than_a_quarter_of_the_cache():
    frames = LongFrames(1, capacity=8 * IMAGE_BYTES)
    for frame in range(59, 39, -1):
        frames.read(0, frame)
        wait_until(lambda: idle(frames))
        assert frames.cache.size <= 8 * IMAGE_BYTES
    assert max(map(len, ascending_runs(frames.decoded))) == 2
    assert len({frame for _, frame in frames.decoded}) == len(frames.decoded)


def test_one_step_back_between_steps_ahead_is_no_run():
    frames = LongFrames(1)
    for frame in (20, 19, 21, 20, 22, 21, 30, 29, 29):
        frames.read(0, frame)
    assert [frame for _, frame in frames.decoded] == [20, 19, 21, 22, 30, 29]


def test_what_is_asked_for_backwards_is_decoded_forwards():
    frames = LongFrames(2, capacity=64 * IMAGE_BYTES, workers=1)
    frames.read(0, 50)
    frames.read(1, 50)
    frames.prefetch([(camera, frame) for frame in range(40, 20, -1) for camera in (0, 1)])
    wait_until(lambda: idle(frames))
    own = [[key for key in frames.decoded[2:] if key[0] == camera] for camera in (0, 1)]
    assert [ascending_runs(keys) for keys in own] == [[list(range(25, 41))]] * 2, "then half of the cache, 32 frames, is full"


def test_requests_that_move_along_backwards_are_served_in_runs():
    frames = LongFrames(1, capacity=64 * IMAGE_BYTES, workers=1)
    for frame in range(59, -1, -1):
        frames.prefetch([(0, ahead) for ahead in range(frame, max(-1, frame - 8), -1)])
        assert frames.read(0, frame)[0, 0, 0] == frame
        wait_until(lambda: idle(frames))
        assert frames.cache.size <= 64 * IMAGE_BYTES
    assert sorted(frame for _, frame in frames.decoded) == list(range(60))
    assert len(ascending_runs(frames.decoded)) <= 10


def test_a_reader_does_not_wait_for_the_end_of_a_run():
    frames = LongFrames(1, capacity=128 * IMAGE_BYTES, workers=1)
    frames.read(0, 100)
    frames.gate.clear()
    frames.prefetch([(0, frame) for frame in range(90, 70, -1)])
    wait_until(lambda: len(frames.decoded) == 2)
    reader = threading.Thread(target=frames.read, args=(0, 5))
    reader.start()
    wait_until(lambda: frames._waiting[0] == 1)
    frames.gate.set()
    reader.join(5)
    assert [frame for _, frame in frames.decoded][:3] == [100, 71, 5]


def test_a_damaged_frame_inside_a_run_is_reported_to_its_reader_only():
    frames = Frames(1, capacity=64 * IMAGE_BYTES)
    for frame in (15, 14, 13, 12, 11, 10):
        assert frames.read(0, frame)[0, 0, 0] == frame
    with pytest.raises(InputError, match="frame 10 is damaged"):
        frames.read(0, 9)
    assert frames.read(0, 8)[0, 0, 0] == 8


def test_threads_that_read_backwards_and_forwards_get_the_right_images():
    frames = LongFrames(2, capacity=24 * IMAGE_BYTES, workers=2)
    wrong: list[tuple[int, int]] = []

    def work(camera: int, order: range) -> None:
        wrong.extend((camera, frame) for frame in order if frames.read(camera, frame)[0, 0, 0] != 100 * camera + frame)

    threads = [threading.Thread(target=work, args=(i % 2, range(59, -1, -1) if i < 2 else range(60))) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assert frames.cache.size <= 24 * IMAGE_BYTES
