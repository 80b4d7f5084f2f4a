from __future__ import annotations

import numpy as np
import pytest

from trackersplat.errors import ShapeError
from trackersplat.metrics.dynamic import DynamicSettings, dynamic_pixels


def grey(level: int = 100) -> np.ndarray:
    return np.full((60, 80, 3), level, np.uint8)


def test_equal_images_and_faint_noise_have_no_dynamic_pixels() -> None:
    noise = np.random.default_rng(0).normal(0, 6, (60, 80, 3))
    assert not dynamic_pixels(grey(), grey()).any()
    assert not dynamic_pixels(grey(), np.clip(grey() + noise, 0, 255).astype(np.uint8)).any()


def test_a_square_that_appears_is_found_with_a_border_of_the_dilation() -> None:
    target = grey()
    target[20:30, 40:60, 1] = 200  # one channel is enough
    found = dynamic_pixels(grey(), target)
    assert found[17:33, 43:57].all()  # three pixels above and below
    assert found[23:27, 37:63].all()  # and left and right
    outside = np.ones_like(found)
    outside[15:35, 35:65] = False  # a pixel or two more where the blur spreads a strong edge
    assert not found[outside].any()
    assert np.array_equal(found, dynamic_pixels(target, grey()))


def test_the_threshold_is_a_share_of_the_range() -> None:
    assert not dynamic_pixels(grey(100), grey(125)).any()
    assert dynamic_pixels(grey(100), grey(126)).all()
    assert dynamic_pixels(grey(100), grey(115), DynamicSettings(threshold=0.05)).all()


def test_specks_are_removed() -> None:
    target = grey()
    target[10, 10] = 255
    target[40:60, 20] = 220  # a line one pixel wide stays below the threshold after the blur, or below the square
    assert not dynamic_pixels(grey(), target, DynamicSettings(blur_px=0.4)).any()
    target[30:33, 70:73] = 255
    assert dynamic_pixels(grey(), target, DynamicSettings(blur_px=0.4)).any()


def test_images_of_different_sizes_or_kinds_are_refused() -> None:
    with pytest.raises(ShapeError, match="uint8"):
        dynamic_pixels(grey(), grey()[:, :40])
    with pytest.raises(ShapeError, match="uint8"):
        dynamic_pixels(grey() / 255, grey() / 255)
