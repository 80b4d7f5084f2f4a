"""Gaussians from points."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trackersplat.captures.capture import PointCloud
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import SH_C0
from trackersplat.training.first_frame.initialise import InitialiseSettings, gaussians_from_points

SETTINGS = InitialiseSettings()


def _grid() -> PointCloud:
    xyz = np.stack(np.meshgrid(np.arange(6), np.arange(6), np.arange(6), indexing="ij"), axis=-1).reshape(-1, 3) * 0.5
    rgb = np.random.default_rng(0).integers(0, 256, size=xyz.shape).astype(np.uint8)
    return PointCloud(xyz.astype(np.float32), rgb)


def test_a_regular_grid_gives_round_gaussians_as_wide_as_its_spacing() -> None:
    gaussians = gaussians_from_points(_grid(), 2, SETTINGS)
    assert torch.allclose(gaussians.scales, torch.full((216, 3), 0.5 * SETTINGS.width))
    assert torch.equal(gaussians.means, torch.from_numpy(_grid().xyz))
    assert gaussians.sh_degree == 2


def test_the_colour_seen_from_everywhere_is_the_point_s() -> None:
    gaussians = gaussians_from_points(_grid(), 1, SETTINGS)
    assert torch.allclose(0.5 + SH_C0 * gaussians.sh[:, 0], torch.from_numpy(_grid().rgb).float() / 255, atol=1e-6)
    assert not gaussians.sh[:, 1:].any()


def test_a_lonely_point_is_not_given_a_huge_gaussian() -> None:
    grid = _grid()
    cloud = PointCloud(np.vstack((grid.xyz, [[1000.0, 0, 0]])).astype(np.float32), np.vstack((grid.rgb, [[1, 2, 3]])).astype(np.uint8))
    assert gaussians_from_points(cloud, 0, SETTINGS).scales[-1].max() <= SETTINGS.largest * 0.5 * SETTINGS.width * 1.001


def test_equal_points_give_finite_gaussians() -> None:
    cloud = PointCloud(np.ones((9, 3), dtype=np.float32), np.zeros((9, 3), dtype=np.uint8))
    assert torch.isfinite(gaussians_from_points(cloud, 0, SETTINGS).log_scales).all()


def test_too_few_or_infinite_points_are_refused() -> None:
    grid = _grid()
    with pytest.raises(InputError, match="3 points"):
        gaussians_from_points(PointCloud(grid.xyz[:3], grid.rgb[:3]), 0, SETTINGS)
    broken = grid.xyz.copy()
    broken[5] = np.nan
    with pytest.raises(InputError, match="finite"):
        gaussians_from_points(PointCloud(broken, grid.rgb), 0, SETTINGS)
