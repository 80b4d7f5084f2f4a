"""Frames of a run in bounded memory."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from waiting import wait_for

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.training.photometric import ColourAffines
from viewer.frame_cache import TRACKS_KEPT, FrameCache
from viewer.state import Draft, Shared, Store, View

RUN = Path("run")


def gaussians(x: float) -> Gaussians:
    return Gaussians(torch.full((10, 3), float(x)), torch.ones(10, 4), torch.zeros(10, 3), torch.zeros(10), torch.zeros(10, 1, 3))


SIZE = sum(tensor.nbytes for tensor in gaussians(0).tensors().values())


class Disk:
    """A run of which frame f has x = f, and what was read of it. Frame 100 is broken."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.colours: list[int] = []
        self.tracks: list[int] = []
        self.remarks: tuple[str, ...] = ()

    def get(self, path: Path) -> Disk:
        assert path == RUN
        return self

    def read_frame(self, frame: int) -> Gaussians:
        self.frames.append(frame)
        if frame == 99:
            raise InputError("frame 100 is broken.")
        return gaussians(frame)

    def read_colours(self, frame: int) -> ColourAffines | None:
        self.colours.append(frame)
        return None if frame == 0 else ColourAffines(("a",), torch.full((1, 3, 4), float(len(self.colours))))

    def read_tracks(self, frame: int) -> dict[str, Any]:
        self.tracks.append(frame)
        return {"a": (frame, len(self.tracks))}


@pytest.fixture
def disk() -> Disk:
    return Disk()


def cache(disk: Disk, store: Store | None = None, **options: Any) -> FrameCache:
    return FrameCache(store or Store(Shared(frame_count=5)), disk, **options)  # type: ignore[arg-type]


def test_a_frame_is_read_once_until_it_is_forgotten(disk: Disk) -> None:
    frame_cache = cache(disk)
    assert float(frame_cache.frame(RUN, 3).means[0, 0]) == 3
    frame_cache.frame(RUN, 3)
    assert disk.frames == [3]
    frame_cache.forget(RUN, 3)
    frame_cache.frame(RUN, 3)
    assert disk.frames == [3, 3]
    frame_cache.close()


def test_a_frame_that_is_replaced_while_it_is_read_is_not_kept(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    frame_cache = cache(disk)
    contents = iter((1.0, 2.0))

    def read(frame: int) -> Gaussians:
        value = next(contents)
        if value == 1.0:
            frame_cache.forget(RUN, frame)
        return gaussians(value)

    monkeypatch.setattr(disk, "read_frame", read)
    frame_cache.frame(RUN, 3)
    assert float(frame_cache.frame(RUN, 3).means[0, 0]) == 2.0
    frame_cache.close()


def test_the_least_recently_used_frame_makes_room(disk: Disk) -> None:
    frame_cache = cache(disk, memory=2 * SIZE)
    for frame in (0, 1, 0, 2, 0, 1):
        frame_cache.frame(RUN, frame)
    assert disk.frames == [0, 1, 2, 1]
    frame_cache.close()


def test_the_colours_of_a_frame_are_read_once_until_it_is_forgotten(disk: Disk) -> None:
    frame_cache = cache(disk)
    assert frame_cache.colours(RUN, 0) is None
    assert frame_cache.colours(RUN, 0) is None
    first = frame_cache.colours(RUN, 1)
    assert frame_cache.colours(RUN, 1) is first
    assert disk.colours == [0, 1]
    frame_cache.forget(RUN, 1)
    again = frame_cache.colours(RUN, 1)
    assert again is not None
    assert float(again.matrices[0, 0, 0]) == 3.0
    frame_cache.close()


def test_the_tracks_of_the_last_frames_are_read_once_until_they_are_forgotten(disk: Disk) -> None:
    frame_cache = cache(disk)
    for frame in (3, 2, 3, 2):
        assert frame_cache.tracks(RUN, frame)["a"][0] == frame
    assert disk.tracks == [3, 2]
    frame_cache.forget(RUN, 3)
    frame_cache.tracks(RUN, 3)
    frame_cache.tracks(RUN, 2)
    assert disk.tracks == [3, 2, 3]
    for frame in range(10, 10 + TRACKS_KEPT):
        frame_cache.tracks(RUN, frame)
    frame_cache.tracks(RUN, 2)
    assert disk.tracks[-1] == 2
    frame_cache.close()


def test_many_at_once_read_a_frame_once(disk: Disk) -> None:
    frame_cache = cache(disk)
    threads = [threading.Thread(target=frame_cache.frame, args=(RUN, 1)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert disk.frames == [1]
    frame_cache.close()


def test_what_is_shown_is_the_preview_else_the_frame_else_its_stand_in(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SimpleNamespace(gaussians=gaussians(-1))
    monkeypatch.setattr("trackersplat.gaussians.readers.reader.read_gaussians", lambda path: file if path == Path("p.ply") else None)
    store = Store(Shared(frame_count=5, run=RUN, reconstructed=(1,)))
    frame_cache = cache(disk, store)
    shown = frame_cache.shown(3)
    assert shown is not None
    assert float(shown.means[0, 0]) == 1
    store.set(draft=Draft(3, Path("p.ply"), 1))
    previewed = frame_cache.shown(3)
    assert previewed is not None
    assert float(previewed.means[0, 0]) == -1
    store.set(draft=None, reconstructed=())
    assert frame_cache.shown(3) is None
    frame_cache.close()


def test_what_was_changed_on_reading_a_frame_is_said_on_the_page(disk: Disk) -> None:
    store = Store(Shared(frame_count=5))
    frame_cache = cache(disk, store)
    frame_cache.frame(RUN, 1)
    assert store.shared.problems == ()
    disk.remarks = ("2 of 10 Gaussians have an infinite opacity value.",)
    frame_cache.frame(RUN, 2)
    assert store.shared.problems == (("frames", "2 of 10 Gaussians have an infinite opacity value."),)
    frame_cache.close()


def test_the_frames_ahead_are_read_in_the_order_of_playing(disk: Disk) -> None:
    store = Store(Shared(frame_count=6))
    store.open_tab("a", View())
    frame_cache = cache(disk, store)
    store.set(run=RUN, reconstructed=(0, 1, 3, 4, 5))
    store.set_view("a", frame=3)
    store.set(ready=True)
    wait_for(lambda: len(disk.frames) >= 5)
    assert disk.frames == [4, 5, 0, 1, 3]
    frame_cache.close()


@pytest.mark.parametrize("playing", [False, True])
def test_reading_ahead_leaves_half_of_the_time_to_others_unless_somebody_waits_for_it(
    disk: Disk, playing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, began, ended = 0.05, list[float](), list[float]()
    at_once = disk.read_frame

    def read_frame(frame: int) -> Gaussians:
        began.append(time.monotonic())
        time.sleep(slow)
        ended.append(time.monotonic())
        return at_once(frame)

    monkeypatch.setattr(disk, "read_frame", read_frame)
    store = Store(Shared(frame_count=6))
    store.open_tab("a", View(playing=playing))
    frame_cache = cache(disk, store)
    store.set(run=RUN, reconstructed=(0, 1, 2, 3, 4, 5), ready=True)
    wait_for(lambda: len(disk.frames) == 6)
    pauses = [start - end for start, end in zip(began[1:], ended[:-1], strict=True)]
    assert sorted(disk.frames) == [0, 1, 2, 3, 4, 5]
    assert (min(pauses) < slow) if playing else (min(pauses) >= slow)
    frame_cache.close()


def test_a_broken_frame_is_an_error_for_who_asks_and_not_for_the_reading_ahead(disk: Disk) -> None:
    store = Store(Shared(frame_count=100))
    frame_cache = cache(disk, store)
    store.set(run=RUN, reconstructed=(1, 99), ready=True)
    wait_for(lambda: 1 in disk.frames)  # 100 comes first
    with pytest.raises(InputError, match="frame 100 is broken"):
        frame_cache.frame(RUN, 99)
    assert float(frame_cache.frame(RUN, 1).means[0, 0]) == 1
    frame_cache.close()
