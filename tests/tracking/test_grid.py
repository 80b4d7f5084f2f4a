from __future__ import annotations

import pytest
import torch

from trackersplat.errors import ShapeError
from trackersplat.tracking.grid import interpolate_grid, query_grid
from trackersplat.tracking.settings import GridSettings
from trackersplat.tracking.tracker import PointMotion

CPU = torch.device("cpu")


def test_a_grid_spans_the_image_from_the_first_pixel_to_the_last_in_steps_no_longer_than_asked() -> None:
    grid = query_grid(31, 20, GridSettings(step_px=8), CPU)
    assert grid.shape == (4, 5, 2)
    assert grid.dtype == torch.float32
    torch.testing.assert_close(grid[1, :, 0], torch.tensor([0.5, 8.0, 15.5, 23.0, 30.5]))
    torch.testing.assert_close(grid[:, 2, 1], torch.linspace(0.5, 19.5, 4))
    assert query_grid(1, 2, GridSettings(), CPU).tolist() == [[[0.5, 0.5]], [[0.5, 1.5]]]


def test_an_affine_motion_is_interpolated_exactly() -> None:
    grid = query_grid(31, 20, GridSettings(step_px=8), CPU)
    matrix, shift = torch.tensor([[1.1, 0.2], [-0.3, 0.9]]), torch.tensor([(4.0, -7.0), (8.0, 1.0)])
    points = grid.reshape(-1, 2)
    positions = torch.stack([points @ matrix.T + way for way in shift])[None]
    fine = interpolate_grid(PointMotion(positions, positions[..., 0] / 100, positions[..., 1].abs() / 100), grid, 31, 20)
    pixels = torch.stack(torch.meshgrid(torch.arange(31) + 0.5, torch.arange(20) + 0.5, indexing="xy"), dim=-1)
    assert fine.positions.shape == (1, 2, 20, 31, 2)
    torch.testing.assert_close(fine.positions[0], torch.stack([pixels @ matrix.T + way for way in shift]), rtol=0, atol=1e-4)
    inside = fine.positions[..., 0] > 0
    torch.testing.assert_close(fine.visibility[inside], fine.positions[..., 0][inside] / 100, rtol=0, atol=1e-5)


def test_pixels_beside_a_lost_query_are_not_trusted() -> None:
    grid = query_grid(17, 17, GridSettings(step_px=8), CPU)
    positions = grid.reshape(1, 1, -1, 2).clone()
    positions[0, 0, 0] = torch.nan  # the corner
    ones = torch.ones(1, 1, 9)
    fine = interpolate_grid(PointMotion(positions, ones, ones), grid, 17, 17)
    lost = fine.positions[0, 0].isnan().any(-1)
    assert lost[:8, :8].all()
    assert not lost[9:].any()
    assert not lost[:, 9:].any()
    assert torch.equal(fine.confidence[0, 0] == 0, lost)
    assert (fine.visibility == 1).all()


def test_the_motion_of_another_number_of_points_is_refused() -> None:
    grid = query_grid(17, 17, GridSettings(step_px=8), CPU)
    ones = torch.ones(1, 1, 8)
    with pytest.raises(ShapeError, match=r"grid of 9 queries must be \(1, F, 9, 2\)"):
        interpolate_grid(PointMotion(torch.zeros(1, 1, 8, 2), ones, ones), grid, 17, 17)
