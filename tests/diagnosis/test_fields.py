from __future__ import annotations

import numpy as np
import pytest
import torch

from trackersplat.diagnosis.fields import contrast, correlation, patches, sample_image, sample_tracks
from trackersplat.diagnosis.settings import PatchSettings
from trackersplat.tracking.tracks import DenseTracks, Provenance

RAMP = (np.arange(20, dtype=np.float32)[None] + 0.5) + 100 * (np.arange(10, dtype=np.float32)[:, None] + 0.5)


def test_images_are_read_between_pixel_centres() -> None:
    values = sample_image(RAMP, np.array([[0.5, 0.5], [3.25, 4.75], [19.5, 9.5]]))
    assert values == pytest.approx([50.5, 478.25, 969.5], abs=0.1)
    assert np.isnan(sample_image(RAMP, np.array([[-3.0, 2.0], [4.0, 12.0], [np.nan, 1.0]]))).all()
    both = sample_image(np.stack((RAMP, -RAMP), axis=-1), np.array([[3.5, 4.5]]))
    assert both.tolist() == [[453.5, -453.5]]
    assert sample_image(RAMP, np.zeros((0, 2))).shape == (0,)


def test_more_points_than_opencv_takes_at_once() -> None:
    points = np.tile([[3.25, 4.75]], (40_000, 1))
    assert sample_image(RAMP, points) == pytest.approx(np.full(40_000, 478.25), abs=0.1)


def test_dense_tracks_are_read_at_positions_between_pixels_and_nowhere_without_any() -> None:
    rows, columns = torch.meshgrid(torch.arange(6.0), torch.arange(8.0), indexing="ij")
    grid = torch.stack((columns, rows), -1) + 0.5
    moved = grid + torch.stack((0.5 * columns, -rows), -1)
    moved[0, 0] = torch.nan
    ones = torch.ones(1, 6, 8)
    dense = DenseTracks(0, (1,), moved[None], ones, 0.5 * ones, 0.1, Provenance("made"))
    where, certain = sample_tracks(dense, torch.tensor([[3.0, 2.0], [0.5, 0.5], [torch.nan, 1.0]]))
    assert where[0].tolist() == pytest.approx([3.0 + 1.25, 2.0 - 1.5])
    assert where[1:].isnan().all()
    assert certain.tolist() == [0.5, 0.0, 0.0]


def test_patches_have_one_size_in_shares_of_the_image() -> None:
    settings = PatchSettings(samples=3, side=0.3)
    small = patches({0: RAMP}, np.array([0]), np.array([[10.0, 5.0]]), settings)[0]
    assert small == pytest.approx(np.array([[x + 100 * y for x in (8, 10, 12)] for y in (3, 5, 7)]), abs=0.2)
    large = np.kron(RAMP, np.ones((2, 2), np.float32))
    assert patches({1: large}, np.array([1]), np.array([[20.0, 10.0]]), settings)[0] == pytest.approx(small, abs=60)
    assert np.isnan(patches({0: RAMP}, np.array([0]), np.array([[0.5, 5.0]]), settings)).any()


def test_correlation_ignores_brightness_and_contrast_and_takes_noise_for_nothing() -> None:
    random = np.random.default_rng(0)
    patch = random.normal(0, 40, (1, 9, 9)).astype(np.float32)
    assert correlation(patch, 2 * patch + 30, 2.0)[0] == pytest.approx(1.0, abs=0.01)
    assert correlation(patch, -patch, 2.0)[0] == pytest.approx(-1.0, abs=0.01)
    other = random.normal(0, 40, (1, 9, 9)).astype(np.float32)
    assert abs(correlation(patch, other, 2.0)[0]) < 0.4
    flat, flat_too = random.normal(100, 0.3, (2, 1, 9, 9)).astype(np.float32)
    assert correlation(flat, flat_too, 2.0)[0] > 0.95
    patch[0, 0, 0] = np.nan
    assert np.isnan(correlation(patch, other, 2.0)[0])


def test_an_edge_alone_is_no_texture_and_a_corner_is() -> None:
    edge = np.zeros((1, 9, 9), np.float32)
    edge[..., 4:] = 100
    corner = edge.copy()
    corner[:, :4] = 0
    assert contrast(edge)[0] == pytest.approx(0.0, abs=1e-3)
    assert contrast(corner)[0] > 50
