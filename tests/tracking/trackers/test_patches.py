from __future__ import annotations

import cv2
import numpy as np

from trackersplat.tracking.trackers.dis import patches
from trackersplat.tracking.trackers.dis.settings import PatchSettings

HEIGHT, WIDTH = 36, 44
SETTINGS = PatchSettings()


def texture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (HEIGHT, WIDTH, 3)).astype(np.float32)
    return np.clip(128 + 3 * (cv2.GaussianBlur(noise, (0, 0), 1.0) - 128), 0, 255).astype(np.uint8)


def constant(x: float, y: float) -> np.ndarray:
    return np.broadcast_to(np.array([x, y], np.float32), (HEIGHT, WIDTH, 2)).copy()


EVERYWHERE = np.ones((HEIGHT, WIDTH), bool)
INNER = (slice(8, -8), slice(8, -8))


def test_the_planes_hold_the_image_and_its_half_pixel_shifts() -> None:
    ramp = np.repeat(np.broadcast_to(np.arange(WIDTH, dtype=np.uint8) * 4, (HEIGHT, WIDTH))[..., None], 3, axis=2)
    planes = patches.planes(np.ascontiguousarray(ramp))
    middle = planes[:, :, 4 : 4 + HEIGHT, 4 : 4 + WIDTH]
    np.testing.assert_array_equal(middle[0, 0], ramp[..., 0])
    np.testing.assert_array_equal(middle[1, 0][INNER], ramp[..., 0][INNER] + 2)  # half a pixel further right
    np.testing.assert_array_equal(middle[2, 0][INNER], ramp[..., 0][INNER])  # half a pixel down: the ramp has no y
    np.testing.assert_array_equal(middle[:, 3][(slice(None), *INNER)], 128 + 8)  # [-1 0 1] across 4 levels a pixel
    np.testing.assert_array_equal(middle[:, 4][(slice(None), *INNER)], 128)


def test_the_candidate_that_is_true_wins_and_costs_nothing() -> None:
    image = texture(0)
    moved = np.roll(image, (3, -2), (0, 1))  # by (-2, 3)
    candidates = np.stack([constant(0, 0), constant(-2, 3), constant(-2, 2.5)])
    chosen, cost = patches.choose(patches.planes(image), patches.planes(moved), candidates, np.zeros(3), EVERYWHERE, SETTINGS)
    assert (chosen[INNER] == (-2, 3)).all()
    assert np.abs(cost[INNER]).max() < 1e-4


def test_displacements_are_told_apart_to_half_a_pixel() -> None:
    image = cv2.resize(texture(4), (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC)
    for x, y in ((1, 0), (0, 1), (1, 1), (3, -1)):  # in pixels of the doubled image
        first, second = image[::2, ::2], np.roll(image, (y, x), (0, 1))[::2, ::2]
        near = [constant(x / 2 + dx / 2, y / 2 + dy / 2) for dx, dy in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))]
        planes = [patches.planes(np.ascontiguousarray(i)) for i in (first, second)]
        chosen, _ = patches.choose(*planes, np.stack(near), np.zeros(5), EVERYWHERE, SETTINGS)
        assert (chosen[INNER] == (x / 2, y / 2)).mean() > 0.95


def test_a_penalty_decides_between_equals() -> None:
    flat = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    planes = patches.planes(flat)
    candidates = np.stack([constant(1, 0), constant(0, 0)])
    chosen, cost = patches.choose(planes, planes, candidates, np.array([0.0, -3.0]), EVERYWHERE, SETTINGS)
    assert not chosen.any()
    np.testing.assert_allclose(cost, -3.0, atol=1e-5)


def test_outside_the_mask_nothing_changes() -> None:
    image = texture(1)
    planes, moved = patches.planes(image), patches.planes(np.roll(image, 2, 1))
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:20, 10:30] = True
    flow, cost = patches.choose(planes, moved, np.stack([constant(0, 0), constant(2, 0)]), np.zeros(2), mask, SETTINGS)
    patches.spread(planes, moved, flow, cost, mask, 0.5, SETTINGS)
    assert not flow[~mask].any()
    assert (flow[mask] == (2, 0)).all()


def test_one_right_pixel_spreads_over_all_that_moves_alike() -> None:
    image = texture(2)
    planes, moved = patches.planes(image), patches.planes(np.roll(image, (5, 7), (0, 1)))
    seed = constant(0, 0)
    seed[HEIGHT // 2, WIDTH // 2] = (7, 5)
    flow, cost = patches.choose(planes, moved, seed[None], np.zeros(1), EVERYWHERE, SETTINGS)
    patches.spread(planes, moved, flow, cost, EVERYWHERE, 0.5, SETTINGS)
    assert (flow[10:-14, 10:-16] == (7, 5)).mean() > 0.95


def test_what_leaves_the_image_has_a_fixed_cost() -> None:
    planes = patches.planes(texture(3))
    for far in (constant(1e6, 0), constant(0, -1e6)):
        _, cost = patches.choose(planes, planes, far[None], np.zeros(1), EVERYWHERE, SETTINGS)
        np.testing.assert_allclose(cost, cost[0, 0])
        assert cost[0, 0] == SETTINGS.outside_cost
        _, cheaper = patches.choose(planes, planes, far[None], np.zeros(1), EVERYWHERE, PatchSettings(outside_cost=7.0))
        assert (cheaper == 7.0).all()


def test_the_cost_of_a_pixel_ends_at_the_limits() -> None:
    black, white = (patches.planes(np.full((HEIGHT, WIDTH, 3), value, np.uint8)) for value in (0, 255))
    for limit in (150.0, 40.0):
        _, cost = patches.choose(black, white, constant(0, 0)[None], np.zeros(1), EVERYWHERE, PatchSettings(colour_limit=limit))
        np.testing.assert_allclose(cost, limit, rtol=1e-6)
