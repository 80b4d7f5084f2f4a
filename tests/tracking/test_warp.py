from __future__ import annotations

import numpy as np

from trackersplat.tracking.warp import inside, pixel_grid, round_trip, sample


def test_the_grid_holds_columns_before_rows() -> None:
    grid = pixel_grid(3, 5)
    assert grid.dtype == np.float32
    assert grid.shape == (3, 5, 2)
    assert grid[2, 4].tolist() == [4, 2]


def test_values_are_linear_between_pixels_and_constant_beyond_the_border() -> None:
    x, y = np.moveaxis(pixel_grid(6, 9), -1, 0)
    values, at = 2 * x - 3 * y, pixel_grid(6, 9) + np.float32((0.25, 0.5))
    found = sample(values, at)
    np.testing.assert_allclose(found[:-1, :-1], (values + 0.5 - 1.5)[:-1, :-1], atol=1e-5)
    np.testing.assert_allclose(found[-1, -1], values[-1, -1])


def test_an_index_is_inside_up_to_half_a_pixel_from_the_outermost_centres() -> None:
    at = pixel_grid(2, 4)
    assert inside(at).all()
    assert inside(at + np.float32((0.5, 0.0))).all()
    assert inside(at + np.float32((0.6, 0.0))).tolist() == [[1, 1, 1, 0]] * 2
    assert inside(at - np.float32((0.0, 0.6))).tolist() == [[0] * 4, [1] * 4]


def test_a_way_back_that_undoes_the_way_there_has_no_error() -> None:
    grid = pixel_grid(8, 12)
    way = np.broadcast_to(np.float32((2, -1)), grid.shape).copy()
    assert round_trip(grid, way, -way).max() == 0
    np.testing.assert_allclose(round_trip(grid, way, way), np.hypot(4, 2), rtol=1e-6)
