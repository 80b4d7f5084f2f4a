"""Images of the next frames before they are asked for."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from quad_scene import quad_capture

from trackersplat.errors import InputError
from trackersplat.jobs import read_ahead
from trackersplat.jobs.read_ahead import ReadAhead

CPU = torch.device("cpu")


class Watched:
    """A source that keeps what it was asked for."""

    def __init__(self) -> None:
        self.wanted: list[list[tuple[int, int]]] = []

    def read(self, camera: int, frame: int) -> np.ndarray:
        raise InputError("There is no image.")

    def prefetch(self, wanted: object) -> None:
        self.wanted.append(list(wanted))  # type: ignore[call-overload]

    def close(self) -> None: ...


def test_the_frames_that_come_next_are_asked_for_each_in_all_cameras() -> None:
    source = Watched()
    capture = replace(quad_capture(), source=source, frame_count=10)
    cameras = range(len(capture.cameras))
    with ReadAhead(capture, CPU, [4, 5, 5, 7, 9]) as ahead:
        ahead.go(5, 2)
        ahead.go(9, 2)
    asked = [sorted(wanted) for wanted in source.wanted]
    assert asked == [sorted((camera, frame) for camera in cameras for frame in frames) for frames in ((5, 7), (9,))]


def test_what_is_copied_ahead_is_what_there_is_room_for_and_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[tuple[int, int]] = []

    def copy(capture: object, camera: int, frame: int, device: object) -> None:
        copied.append((camera, frame))
        raise InputError("left to whoever reads it")

    capture = replace(quad_capture(), source=Watched())
    size = sum(3 * camera.width * camera.height for camera in capture.cameras)
    monkeypatch.setattr(read_ahead, "device_image", copy)
    monkeypatch.setattr(read_ahead, "CAPACITY", (read_ahead.IN_WORK + 2) * size)  # two frames beside those in work
    ahead = ReadAhead(capture, SimpleNamespace(type="cuda"), range(6))  # type: ignore[arg-type]
    for frame in (0, 1):
        ahead.go(frame, 4)
    ahead._pool.shutdown()
    assert sorted(copied) == sorted((camera, frame) for camera in range(len(capture.cameras)) for frame in range(3))
