from __future__ import annotations

import cv2
import numpy as np
import pytest

from trackersplat.tracking.trackers.dis.exhaustive import displacements
from trackersplat.tracking.trackers.dis.settings import SearchSettings

HEIGHT, WIDTH = 40, 56
SETTINGS = SearchSettings()


def texture(seed: int, height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    return np.clip(128 + 2 * (cv2.GaussianBlur(noise, (0, 0), 0.8) - 128), 0, 255).astype(np.uint8)


def brute_force(a: np.ndarray, b: np.ndarray, radius: int) -> np.ndarray:
    """The same search, one pixel and one displacement at a time, in double precision."""

    def features(image: np.ndarray) -> np.ndarray:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        gradients = [cv2.Sobel(gray, cv2.CV_64F, *order, ksize=3, scale=0.25) for order in ((1, 0), (0, 1))]
        return np.dstack([image.astype(float), *gradients])

    a, b = features(a), features(b)
    height, width = a.shape[:2]
    result = np.zeros((height, width, 2))
    lowest = np.full((height, width), np.inf)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            cost = np.full((height + 6, width + 6), 180.0)
            for y in range(max(0, -dy), min(height, height - dy)):
                for x in range(max(0, -dx), min(width, width - dx)):
                    difference = np.abs(a[y, x] - b[y + dy, x + dx])
                    cost[y + 3, x + 3] = min(difference[:3].sum(), 120.0) + min(difference[3:].sum(), 60.0)
            for y in range(max(0, -dy), min(height, height - dy)):
                for x in range(max(0, -dx), min(width, width - dx)):
                    total = cost[y : y + 7, x : x + 7].sum() + abs(dx) + abs(dy)
                    if total < lowest[y, x] - 1e-3:
                        lowest[y, x], result[y, x] = total, (dx, dy)
    return result


def test_both_directions_find_what_a_brute_force_search_finds() -> None:
    first, second = texture(0, 20, 26), texture(1, 20, 26)
    second[6:16, 8:20] = first[3:13, 4:16]
    forward, backward = displacements(first, second, 4, SETTINGS)
    np.testing.assert_array_equal(forward, brute_force(first, second, 4))
    # Backwards, ties go to the displacement that comes first forwards; random colours have none.
    np.testing.assert_array_equal(backward, brute_force(second, first, 4))


@pytest.mark.parametrize(("dx", "dy"), [(13, 0), (-9, 7), (0, -12)])
def test_a_small_square_is_found_far_away_in_both_directions(dx: int, dy: int) -> None:
    first = texture(2, HEIGHT, WIDTH)
    second = first.copy()
    card = texture(3, 10, 10)
    first[15:25, 20:30] = card
    second[15 + dy : 25 + dy, 20 + dx : 30 + dx] = card
    forward, backward = displacements(first, second, 14, SETTINGS)
    assert (forward[17:23, 22:28] == (dx, dy)).all()
    assert (backward[17 + dy : 23 + dy, 22 + dx : 28 + dx] == (-dx, -dy)).all()


def test_the_same_image_twice_does_not_move_even_where_it_is_flat() -> None:
    image = texture(4, HEIGHT, WIDTH)
    image[10:30, 10:40] = 90
    forward, backward = displacements(image, image, 6, SETTINGS)
    assert not forward.any()
    assert not backward.any()


def test_a_penalty_on_long_ways_can_outweigh_the_picture() -> None:
    first, second = texture(0, 20, 26), texture(1, 20, 26)
    forward, _ = displacements(first, second, 4, SearchSettings(step_penalty=1e6))
    assert not forward.any()
