"""Small image operations: what OpenCV does on the CPU and what PyTorch does on a GPU are the same to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from trackersplat.motion.ops import images

HEIGHT, WIDTH = 23, 37


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [(), (2,)])
def test_bilinear_values_are_the_same_to_the_bit_beyond_the_border_too(channels: tuple[int, ...]) -> None:
    values, grid = random(HEIGHT, WIDTH, *channels), images.pixel_grid(HEIGHT, WIDTH, torch.device("cpu"))
    for reach in (0.0, 0.3, 9.0, 1e5):
        at = grid + reach * random(HEIGHT, WIDTH, 2, seed=1)
        assert torch.equal(images.sample(values, at), images.sample_elementwise(values, at))
    assert torch.equal(images.sample(values, grid), values)


def test_a_value_between_pixels_is_their_mean_by_distance() -> None:
    values = torch.tensor([[0.0, 4.0], [8.0, 16.0]])
    at = torch.tensor([[[0.25, 0.0], [0.5, 0.5], [-3.0, 1.0], [9.0, 9.0]]])
    assert images.sample(values, at).tolist() == [[1.0, 7.0, 8.0, 16.0]]


@pytest.mark.parametrize("radius", [1, 2])
def test_small_gaps_are_closed_the_same_way(radius: int) -> None:
    mask = random(HEIGHT, WIDTH, seed=2) > 0.8
    closed = images.close_gaps(mask, radius)
    assert torch.equal(closed, images.close_gaps_elementwise(mask, radius))
    assert (closed >= mask).all()
    assert closed.sum() > mask.sum()


def test_pixels_are_reached_by_positions_that_fall_into_them() -> None:
    positions = np.full((8, 12, 2), np.nan, np.float32)
    positions[0, :4] = (0.0, 0.0), (11.99, 7.99), (12.0, 3.0), (3.0, 8.0)  # two corners, and two that are just outside
    positions[1, :3] = (-0.01, 3.0), (4.0, -0.01), (np.inf, 2.0)
    positions[2, :3] = (5.5, 3.2), (7.9, 3.7), (2.5, 3.5)
    chosen = torch.ones(8, 12, dtype=torch.bool)
    chosen[2, 2] = False
    expected = torch.zeros(8, 12, dtype=torch.bool)
    for row, column in ((0, 0), (7, 11), (3, 5), (3, 7)):
        expected[row, column] = True
    reached = images.reached_pixels(torch.from_numpy(positions), chosen)
    assert torch.equal(reached, expected)
    expected[3, 6] = True  # a gap of one pixel
    assert torch.equal(images.close_gaps(reached, 1), expected)


def test_a_way_back_that_ends_a_pixel_beside_is_trusted_by_half() -> None:
    grid = images.pixel_grid(4, 5, torch.device("cpu"))
    there = torch.zeros(4, 5, 2)
    back = torch.stack((torch.tensor((0, 1, 2, 0.5, 0)).expand(4, 5), torch.zeros(4, 5)), dim=-1)
    trust = images.round_trip_trust(there, back, grid)
    torch.testing.assert_close(trust, torch.tensor((1, 1 / 2, 1 / 17, 16 / 17, 1)).expand(4, 5))
    assert trust.dtype == torch.float32
    there[..., 0] = 1  # one to the right, where another way back begins
    torch.testing.assert_close(images.round_trip_trust(there, -back, grid)[0, :3], torch.tensor((1, 1 / 2, 16 / 17)))


@pytest.mark.cuda
def test_a_gpu_does_the_same() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    values, grid = random(HEIGHT, WIDTH, 2), images.pixel_grid(HEIGHT, WIDTH, torch.device("cpu"))
    there, mask = 3 * random(HEIGHT, WIDTH, 2, seed=1), random(HEIGHT, WIDTH, seed=2) > 0.8
    torch.testing.assert_close(images.sample(values.cuda(), (grid + there).cuda()).cpu(), images.sample(values, grid + there))
    torch.testing.assert_close(images.lengths(there.cuda()).cpu(), images.lengths(there))
    trusts = (images.round_trip_trust(*(t.to(device) for t in (there, values, grid))) for device in ("cuda", "cpu"))
    torch.testing.assert_close(*(trust.cpu() for trust in trusts))
    assert torch.equal(images.close_gaps(mask.cuda(), 1).cpu(), images.close_gaps(mask, 1))
    reached = (images.reached_pixels((grid + there).to(device), mask.to(device)).cpu() for device in ("cuda", "cpu"))
    assert torch.equal(*reached)
