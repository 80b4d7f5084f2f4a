"""A capture that is watched while a run goes on with it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from quad_scene import quad_capture

from trackersplat.captures.fingerprints import hash_of_pixels
from trackersplat.errors import InputError
from trackersplat.store.watched import Watched


class Counted:
    """A source that counts what is read."""

    def __init__(self) -> None:
        self.read_of: list[tuple[int, int]] = []

    def read(self, camera: int, frame: int) -> np.ndarray:
        self.read_of.append((camera, frame))
        return np.full((60, 80, 3), 10 * camera + frame, np.uint8)

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None: ...

    def close(self) -> None: ...


def test_the_images_of_a_frame_are_compared_once() -> None:
    capture = replace(quad_capture(), source=Counted())
    expected = {0: {camera.name: hash_of_pixels(capture.image(index, 0)) for index, camera in enumerate(capture.cameras)}}
    source = Counted()
    with closing(Watched(replace(capture, source=source), expected, "These are others")) as watched:
        for _ in range(3):
            watched.require(0)
        assert sorted(source.read_of) == [(index, 0) for index in range(len(capture.cameras))]
        watched.require(1)  # nothing is known of it
        assert len(source.read_of) == len(capture.cameras)


def test_an_image_that_is_another_one_is_named_each_time_it_is_asked_for() -> None:
    capture = replace(quad_capture(), source=Counted())
    expected = {1: {"cam0": hash_of_pixels(capture.image(0, 1)), "cam2": "0"}}
    with closing(Watched(capture, expected, "These are others")) as watched:
        for _ in range(2):
            with pytest.raises(InputError, match="These are others: the image of cam2 in frame 2 is another one"):
                watched.require(1)
