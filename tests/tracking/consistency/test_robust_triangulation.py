"""Robust triangulation of several candidates per view."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scenes.tiny_capture import cameras
from trackersplat.tracking.consistency.triangulate import triangulate

VIEWS = cameras()
PROJECTIONS = np.stack([view.K @ view.world_to_camera[:3] for view in VIEWS])
POINT = np.array([[0.13, -0.22, 0.31]])
SEEN = np.stack([view.project(POINT)[0] for view in VIEWS], axis=1)[:, :, None]  # (1, V, 1, 2)
START = POINT + np.array((0.2, 0.1, -0.3))


def test_exact_candidates_give_the_exact_point() -> None:
    points, left = triangulate(PROJECTIONS, SEEN, np.ones((1, 4, 1)), START, 1.0)
    assert np.abs(points - POINT).max() < 1e-6
    assert left.min() > 0.9999


@pytest.mark.parametrize("wrong", range(4))
def test_one_view_that_is_off_by_six_pixels_is_left_out(wrong: int) -> None:
    candidates = SEEN.copy()
    candidates[0, wrong, 0] += (6.0, -2.0)
    points, left = triangulate(PROJECTIONS, candidates, np.ones((1, 4, 1)), START, 1.0)
    assert np.abs(VIEWS[wrong].project(points)[0] - SEEN[:, wrong, 0]).max() < 0.3
    assert left[0, wrong] < 0.05
    assert np.delete(left[0], wrong).min() > 0.9


def test_the_right_one_of_two_candidates_is_taken() -> None:
    candidates = np.concatenate((SEEN + np.array((9.0, 4.0)), SEEN), axis=2)
    candidates[0, 2] = candidates[0, 2, ::-1]
    candidates[0, 0, 0] = SEEN[0, 0, 0] - (7.0, 3.0)  # else all wrong ones agree as well as the right ones do
    candidates[0, 3, 0] = SEEN[0, 3, 0] + (0.0, 12.0)
    points, _ = triangulate(PROJECTIONS, candidates, np.ones((1, 4, 2)), START, 1.0)
    assert np.abs(points - POINT).max() < 1e-3


def test_a_point_that_one_view_offers_stays_at_its_start() -> None:
    weights = np.zeros((1, 4, 1))
    weights[0, 1] = 1.0
    points, _ = triangulate(PROJECTIONS, SEEN, weights, START, 1.0)
    assert np.array_equal(points, START)


def test_candidates_without_weight_say_nothing() -> None:
    candidates, weights = SEEN.copy(), np.ones((1, 4, 1))
    candidates[0, 3], weights[0, 3] = 1e4, 0.0
    points, left = triangulate(PROJECTIONS, candidates, weights, START, 1.0)
    assert np.abs(points - POINT).max() < 1e-6
    assert left[0, 3] == 0
