"""Photographs against renderings of the frames around them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from trackersplat.diagnosis.in_step import Pictures, Shift, StepWatch
from trackersplat.diagnosis.settings import StepSettings

NOISE = np.random.default_rng(0)
WALL = cv2.GaussianBlur(NOISE.integers(0, 256, (48, 64, 3)).astype(np.float32), (0, 0), 2.0)


def scene(time: float) -> np.ndarray:
    """(48, 64, 3) uint8: a bright square that moves by 9 px per frame, more than can be matched, before a wall."""
    image = WALL.copy()
    left = int(4 + 9 * time)
    image[16:30, left : left + 12] = (250, 240, 60)
    return np.clip(image + NOISE.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def shift(late: float, trained: float = 0.0, frames: tuple[int, ...] = (2, 3, 4, 5)) -> Shift | None:
    """Of a camera so many frames late, if the renderings are those of the right time but for a share of what the camera shows."""
    watch = StepWatch(1, StepSettings())
    for frame in frames:
        photograph = scene(frame - late)
        rendering = ((1 - trained) * scene(frame) + trained * photograph).astype(np.uint8)
        watch.add(0, frame, Pictures(photograph, rendering))
    return watch.shift(0)


@pytest.mark.parametrize("trained", [0.0, 0.3])
@pytest.mark.parametrize("late", [2, 1, -1, -2])
def test_a_camera_out_of_step_agrees_with_another_frame_even_if_the_gaussians_were_fitted_to_it(late: int, trained: float) -> None:
    found = shift(late, trained)
    assert found is not None
    assert found.frames == late
    assert found.left < StepSettings().left


def test_a_camera_in_step_agrees_with_no_other_frame() -> None:
    found = shift(0)
    assert found is not None
    assert found.left > 5


def test_frames_that_are_left_out_count_by_their_distance() -> None:
    found = shift(2, frames=(1, 3, 5))
    assert found is not None
    assert found.frames == 2


def test_where_nothing_moves_there_is_nothing_to_compare() -> None:
    watch = StepWatch(1, StepSettings())
    still = scene(1)
    for frame in range(4):
        watch.add(0, frame, Pictures(scene(1), still))
    assert watch.shift(0) is None
