"""Points on surfaces seen by views."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scenes.tiny_capture import cameras
from trackersplat.errors import ShapeError
from trackersplat.tracking.consistency.surfaces import Surface, covered, sample

VIEW = cameras()[1]
PIXELS = np.array([[10.3, 20.9], [40.0, 7.25]])


def flat(depth: float) -> Surface:
    return Surface(VIEW, np.full((VIEW.height, VIEW.width), depth))


def test_a_lifted_pixel_projects_to_itself_at_its_depth() -> None:
    pixels, depth = VIEW.project(flat(2.5).lift(PIXELS, 0.02))
    assert np.abs(pixels - PIXELS).max() < 1e-9
    assert np.abs(depth - 2.5).max() < 1e-9


def test_the_depth_of_a_slanted_plane_is_exact_between_pixels() -> None:
    inverse = np.add.outer(0.0005 * (np.arange(VIEW.height) + 0.5), 0.3 + 0.001 * (np.arange(VIEW.width) + 0.5))
    _, depth = VIEW.project(Surface(VIEW, 1 / inverse).lift(PIXELS, 0.02))
    assert np.abs(1 / depth - (0.3 + PIXELS @ (0.001, 0.0005))).max() < 1e-9


def test_a_pixel_at_a_border_of_depth_is_on_one_of_the_surfaces() -> None:
    depth = np.full((VIEW.height, VIEW.width), 4.0)
    depth[:, :10] = 2.0  # the columns up to x = 10
    _, found = VIEW.project(Surface(VIEW, depth).lift(np.array([[9.9, 20.5], [10.1, 20.5]]), 0.02))
    assert np.abs(found - (2.0, 4.0)).max() < 1e-9


@pytest.mark.parametrize("unknown", [0.0, np.nan])
def test_a_pixel_of_unknown_depth_is_nowhere(unknown: float) -> None:
    assert np.isnan(flat(unknown).lift(PIXELS, 0.02)).all()


def test_a_view_sees_only_what_is_at_its_depth() -> None:
    depths = np.array([2.01, 2.5])
    assert flat(2.0).sees(PIXELS, depths, 0.01).tolist() == [True, False]
    assert not flat(2.0).sees(np.array([[-3.0, 5.0], [np.nan, 5.0]]), np.array([2.0, 2.0]), 0.01).any()
    assert not flat(np.nan).sees(PIXELS, depths, 0.01).any()


def test_a_surface_needs_the_size_of_its_camera() -> None:
    with pytest.raises(ShapeError, match="cam01"):
        Surface(VIEW, np.ones((VIEW.width, VIEW.height)))


def test_fields_are_bilinear_and_continued_at_the_border() -> None:
    field = np.add.outer(10.0 * np.arange(4), np.arange(5.0))[..., None].astype(np.float32)
    found = sample(field, np.array([[1.75, 2.5], [-4.0, 0.5], [np.nan, 1.0]]))
    assert found[:2, 0].tolist() == [21.25, 0.0]
    assert np.isnan(found[2, 0])


def test_points_are_covered_by_what_lies_in_front_of_them_and_not_by_what_lies_beside_or_behind() -> None:
    grid = np.stack(np.meshgrid(np.arange(0.5, 30), np.arange(0.5, VIEW.height)), axis=-1).reshape(-1, 2)
    places = np.array([[15.0, 20.0], [15.0, 20.0], [15.0, 20.0], [45.0, 20.0]])
    found = covered((places, np.array([3.0, 2.0, 1.5, 3.0])), (grid, np.full(len(grid), 2.0)), VIEW, 1.0, 0.01, 0.3)
    assert found[0] > 0.9  # behind
    assert found[1:].tolist() == [0, 0, 0]  # among them, in front of them, beside them
