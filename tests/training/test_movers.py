"""What moves is cut out of its clip."""

from __future__ import annotations

import numpy as np

from trackersplat.training.points.movers import mover_mask, spread_frames
from trackersplat.training.points.settings import MoverSettings

SETTINGS = MoverSettings()
HEIGHT, WIDTH, RADIUS = 90, 120, 14


def _frame(center: float, gain: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 picture of an orange ball in front of a green pattern, and where it is."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack((60 + 20 * np.sin(x / 5), 120 + 40 * np.sin(x / 7) * np.cos(y / 6), 80 + 20 * np.cos(y / 4)), axis=-1)
    ball = (x - center) ** 2 + (y - 50) ** 2 <= RADIUS**2
    image[ball] = (230, 120 + 0 * center, 40)
    return np.clip(gain * image, 0, 255).astype(np.uint8), ball


def test_a_ball_that_rolls_is_cut_out_where_it_is_now() -> None:
    image, ball = _frame(30)
    mask = mover_mask(image, [_frame(30 + 5 * i)[0] for i in range(1, 12)], SETTINGS)
    assert (mask & ball).sum() / (mask | ball).sum() > 0.75  # a pixel wider all around is 0.77
    assert mask[ball].all()


def test_a_ball_that_stays_for_most_of_the_clip_is_cut_out_too() -> None:
    image, ball = _frame(30)
    clip = [_frame(30)[0]] * 3 + [_frame(35 + 5 * i)[0] for i in range(8)]
    mask = mover_mask(image, clip, SETTINGS)
    assert mask[ball].mean() > 0.95
    assert mask[~ball].mean() < 0.05


def test_nothing_moves_in_a_clip_that_only_flickers() -> None:
    image = _frame(30)[0]
    assert not mover_mask(image, [_frame(30, 1 + 0.01 * (i % 3))[0] for i in range(11)], SETTINGS).any()


def test_frames_are_spread_over_the_clip_without_the_one_asked_for() -> None:
    assert spread_frames(100, 0, 12) == [9, 18, 27, 36, 45, 54, 63, 72, 81, 90, 99]
    assert spread_frames(3, 1, 12) == [0, 2]
    assert spread_frames(1, 0, 12) == []
    assert len(spread_frames(1000, 500, 12)) == 12
