"""Frames of a run in bounded memory."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import torch

import viewer.frame_cache
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.training.photometric import ColourAffines
from viewer.frame_cache import FrameCache
from viewer.state import Draft, State, Store

RUN = Path("run")


def gaussians(x: float) -> Gaussians:
    return Gaussians(torch.full((10, 3), float(x)), torch.ones(10, 4), torch.zeros(10, 3), torch.zeros(10), torch.zeros(10, 1, 3))


SIZE = sum(tensor.nbytes for tensor in gaussians(0).tensors().values())


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, int]]:
    """What was read from the disk; frame f has x = f, the preview -1."""
    log: list[tuple[Path, int]] = []

    def read(path: Path, frame: int) -> Gaussians:
        log.append((path, frame))
        if frame == 99:
            raise InputError("frame 100 is broken.")
        return gaussians(frame)

    monkeypatch.setattr(viewer.frame_cache, "_read", read)
    return log


def test_a_frame_is_read_once_until_it_is_forgotten(reads: list[tuple[Path, int]]) -> None:
    store = Store(State(frame_count=5))
    frame_cache = FrameCache(store)
    assert float(frame_cache.frame(RUN, 3).means[0, 0]) == 3
    frame_cache.frame(RUN, 3)
    assert reads == [(RUN, 3)]
    frame_cache.forget(RUN, 3)
    frame_cache.frame(RUN, 3)
    assert reads == [(RUN, 3), (RUN, 3)]
    frame_cache.close()


def test_a_frame_that_is_replaced_while_it_is_read_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    frame_cache = FrameCache(Store(State(frame_count=5)))
    contents = iter((1.0, 2.0))

    def read(path: Path, frame: int) -> Gaussians:
        value = next(contents)
        if value == 1.0:
            frame_cache.forget(path, frame)
        return gaussians(value)

    monkeypatch.setattr(viewer.frame_cache, "_read", read)
    frame_cache.frame(RUN, 3)
    assert float(frame_cache.frame(RUN, 3).means[0, 0]) == 2.0
    frame_cache.close()


def test_the_least_recently_used_frame_makes_room(reads: list[tuple[Path, int]]) -> None:
    frame_cache = FrameCache(Store(State(frame_count=5)), memory=2 * SIZE)
    for frame in (0, 1, 0, 2, 0, 1):
        frame_cache.frame(RUN, frame)
    assert [frame for _, frame in reads] == [0, 1, 2, 1]
    frame_cache.close()


def test_the_colours_of_a_frame_are_read_once_until_it_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Reader:
        def read_colours(self, frame: int) -> ColourAffines | None:
            asked.append(frame)
            return None if frame == 0 else ColourAffines(("a",), torch.full((1, 3, 4), float(len(asked))))

    monkeypatch.setattr("trackersplat.store.run.Run.open", lambda path: Reader())
    frame_cache = FrameCache(Store(State(frame_count=5)))
    assert frame_cache.colours(tmp_path, 0) is None
    assert frame_cache.colours(tmp_path, 0) is None
    first = frame_cache.colours(tmp_path, 1)
    assert frame_cache.colours(tmp_path, 1) is first
    assert asked == [0, 1]
    frame_cache.forget(tmp_path, 1)
    again = frame_cache.colours(tmp_path, 1)
    assert again is not None
    assert float(again.matrices[0, 0, 0]) == 3.0
    frame_cache.close()


def test_many_at_once_read_a_frame_once(reads: list[tuple[Path, int]]) -> None:
    frame_cache = FrameCache(Store(State(frame_count=5)))
    threads = [threading.Thread(target=frame_cache.frame, args=(RUN, 1)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reads == [(RUN, 1)]
    frame_cache.close()


def test_what_is_shown_is_the_preview_else_the_frame_else_its_stand_in(reads: list[tuple[Path, int]]) -> None:
    frame_cache = FrameCache(Store(State(frame_count=5)))
    state = State(frame_count=5, frame=3, run=RUN, reconstructed=(1,))
    shown = frame_cache.shown(state)
    assert shown is not None
    assert float(shown.means[0, 0]) == 1
    previewed = frame_cache.shown(State(frame_count=5, frame=3, preview=Draft(3, Path("p.ply"), 1)))
    assert previewed is not None
    assert reads[-1] == (Path("p.ply"), -1)
    assert frame_cache.shown(State(frame_count=5)) is None
    frame_cache.close()


def test_the_frames_ahead_are_read_in_the_order_of_playing(reads: list[tuple[Path, int]]) -> None:
    store = Store(State(frame_count=6, frame=3))
    frame_cache = FrameCache(store)
    store.set(run=RUN, reconstructed=(0, 1, 3, 4, 5), ready=True)
    deadline = time.monotonic() + 5
    while len(reads) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [frame for _, frame in reads] == [4, 5, 0, 1, 3]
    frame_cache.close()


def test_a_broken_frame_is_an_error_for_who_asks_and_not_for_the_reading_ahead(reads: list[tuple[Path, int]]) -> None:
    store = Store(State(frame_count=100))
    frame_cache = FrameCache(store)
    store.set(run=RUN, reconstructed=(1, 99), frame=1, ready=True)
    deadline = time.monotonic() + 5
    while (RUN, 1) not in reads and time.monotonic() < deadline:  # 100 comes first
        time.sleep(0.01)
    assert (RUN, 1) in reads
    with pytest.raises(InputError, match="frame 100 is broken"):
        frame_cache.frame(RUN, 99)
    assert float(frame_cache.frame(RUN, 1).means[0, 0]) == 1
    frame_cache.close()
