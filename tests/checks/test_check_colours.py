"""Cameras that show the same points in other colours."""

from __future__ import annotations

import numpy as np
import pytest

from trackersplat.checks.colours import check_colours, measure_gains, patch_colours


def points(count: int = 120, cameras: int = 6, views: int = 3) -> np.ndarray:
    """(P, C, 3) levels: each point is seen by a few cameras, in one colour."""
    rng = np.random.default_rng(7)
    levels = np.repeat(rng.uniform(40, 140, (count, 1, 3)), cameras, axis=1)
    hidden = np.argsort(rng.random((count, cameras)), axis=1) >= views
    levels[hidden] = np.nan
    return levels


def test_the_mean_of_a_patch_is_that_of_its_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    uv, size = np.array([[12.5, 9.5], [1.0, 1.0], [39.5, 29.5]]), np.array([5.0, 4.0, 3.0])
    means = patch_colours(image, uv, size)
    assert means[0] == pytest.approx(image[7:12, 10:15].reshape(-1, 3).mean(axis=0))
    assert means[1] == pytest.approx(image[0:3, 0:3].reshape(-1, 3).mean(axis=0))
    assert means[2] == pytest.approx(image[28:30, 38:40].reshape(-1, 3).mean(axis=0))


def test_equal_colours_give_gains_of_one_and_no_finding() -> None:
    gains = measure_gains(points())
    assert gains == [pytest.approx((1, 1, 1))] * 6
    assert check_colours("abcdef", gains) == []


def test_gains_are_found_in_spite_of_wrong_matches_and_clipped_colours() -> None:
    levels = points()
    levels[:, 4] *= (1.5, 1.4, 1.2)
    rng = np.random.default_rng(1)
    levels[:25] = np.where(np.isnan(levels[:25]), np.nan, rng.uniform(20, 230, levels[:25].shape))  # a fifth is nonsense
    seen = 30 + np.flatnonzero(np.isfinite(levels[30:, 4, 0]))
    levels[seen[: 2 * len(seen) // 3], 4] = 255.0
    gains = measure_gains(levels)
    assert gains[4] == pytest.approx((1.5, 1.4, 1.2), rel=0.02)
    assert gains[0] == pytest.approx((1, 1, 1), rel=0.02)
    (finding,) = check_colours("abcdef", gains)
    assert (finding.severity, finding.camera) == ("warning", "e")
    assert "1.36 times as bright" in finding.what


def test_a_tint_is_named_by_its_colour() -> None:
    levels = points()
    levels[:, 1, 2] *= 0.7
    (finding,) = check_colours("abcdef", measure_gains(levels))
    assert finding.camera == "b"
    assert "less blue" in finding.what
    assert "bright" not in finding.what


def test_cameras_that_all_differ_are_one_finding_with_the_extremes() -> None:
    levels = points(cameras=4) * np.array([0.7, 1.0, 1.0, 1.4])[None, :, None]
    (finding,) = check_colours("abcd", measure_gains(levels))
    assert finding.camera is None
    assert "d shows the same points 2.00 times as bright as a" in finding.what


def test_a_camera_with_too_few_points_is_not_judged() -> None:
    levels = points()
    levels[5:, 3] = np.nan
    gains = measure_gains(levels)
    assert gains[3] is None
    assert gains[0] is not None
    assert measure_gains(np.empty((0, 4, 3))) == [None] * 4
