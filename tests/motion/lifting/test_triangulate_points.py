from __future__ import annotations

import numpy as np
import pytest
from tiny_capture import cameras

from trackersplat.errors import ShapeError
from trackersplat.motion.lifting.settings import LiftSettings
from trackersplat.motion.lifting.triangulate import RobustPoints, triangulate_points

POINTS = np.array([[0.1, -0.2, 0.3], [-0.4, 0.25, 0.05], [0.35, 0.3, 0.9]])
NOWHERE = np.full((3, 3), np.nan)


def pixels() -> np.ndarray:
    """(4, 3, 2): where the four cameras see the points."""
    return np.stack([camera.project(POINTS)[0] for camera in cameras()])


def solve(at: np.ndarray, certainty: np.ndarray | None = None, before: np.ndarray = NOWHERE) -> RobustPoints:
    return triangulate_points(cameras(), at, np.ones((4, 3)) if certainty is None else certainty, before, LiftSettings())


def test_pixels_of_all_views_give_the_point() -> None:
    found = solve(pixels())
    np.testing.assert_allclose(found.positions, POINTS, atol=1e-6)
    assert found.agrees.all()
    assert np.nanmax(found.residual_px) < 1e-3


def test_one_view_that_follows_something_else_is_outvoted() -> None:
    at = pixels()
    at[2] += (7, -5)
    found = solve(at)
    np.testing.assert_allclose(found.positions, POINTS, atol=1e-3)
    assert found.agrees.tolist() == [[True] * 3, [True] * 3, [False] * 3, [True] * 3]
    assert (found.residual_px[2] > 7).all()
    assert np.isnan(found.left_out_px[2]).all()


def test_two_views_against_two_that_stayed_go_with_the_frame_before() -> None:
    """Two views follow the points, two stay with what hides them: both pairs agree with themselves, and only the past can tell."""
    at, shift = pixels(), np.array([0.7, 0.3, -0.05])
    moved = np.stack([camera.project(POINTS + shift)[0] for camera in cameras()])
    at[:2] = moved[:2]
    found = solve(at, before=POINTS + 0.9 * shift)
    np.testing.assert_allclose(found.positions, POINTS + shift, atol=2e-2)


def test_the_error_without_a_view_is_that_of_solving_anew_without_it() -> None:
    random = np.random.default_rng(1)
    at = pixels() + random.normal(scale=0.4, size=(4, 3, 2))
    # Without robust weights, the linear prediction and the new solution agree.
    settings = LiftSettings(kernel=1e4)
    everything = triangulate_points(cameras(), at, np.ones((4, 3)), NOWHERE, settings)
    for view in range(4):
        others = np.ones((4, 3))
        others[view] = 0
        without = triangulate_points(cameras(), at, others, NOWHERE, settings)
        again, _ = cameras()[view].project(without.positions)
        np.testing.assert_allclose(everything.left_out_px[view], np.linalg.norm(again - at[view], axis=-1), rtol=0.05, atol=0.02)


@pytest.mark.parametrize("certainty", [np.eye(4, 3), np.zeros((4, 3))])
def test_fewer_than_two_views_give_no_position(certainty: np.ndarray) -> None:
    found = solve(pixels(), certainty, before=POINTS)
    assert np.isnan(found.positions).all()
    assert np.isinf(found.deviation_px).all()
    assert (found.parallax == 0).all()


def test_the_parallax_is_the_angle_between_the_rays() -> None:
    certainty = np.ones((4, 3))
    certainty[2:] = 0
    rays = [POINTS - camera.center for camera in cameras()[:2]]
    one, other = (ray / np.linalg.norm(ray, axis=1, keepdims=True) for ray in rays)
    np.testing.assert_allclose(solve(pixels(), certainty).parallax, np.arccos((one * other).sum(1)), rtol=1e-9)


def test_pixels_that_are_nan_are_not_asked() -> None:
    at = pixels()
    at[0, 1] = np.nan
    found = solve(at)
    np.testing.assert_allclose(found.positions, POINTS, atol=1e-6)
    assert np.isnan(found.residual_px[0, 1])
    with pytest.raises(ShapeError):
        solve(at[:3])
