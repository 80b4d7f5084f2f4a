"""Morton's curve through points."""

from __future__ import annotations

import pytest
import torch

from trackersplat.geometry.curve import _morton_codes, order_along_curve, places_along_curve


def interleaved(x: int, y: int, z: int) -> int:
    return sum(((value >> bit) & 1) << (3 * bit + axis) for axis, value in enumerate((x, y, z)) for bit in range(21))


def test_places_are_the_bits_of_the_three_coordinates_in_turn() -> None:
    cells = torch.tensor([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**21 - 1, 5, 2**20), (1234567, 2**21 - 1, 765432)])
    low = torch.tensor((-3.0, 0.5, 10.0), dtype=torch.float64)
    places = places_along_curve(cells + 0.5 + low, low, torch.tensor(2.0**21 - 1, dtype=torch.float64))
    assert places.tolist() == [interleaved(*cell) for cell in cells.tolist()]


def test_the_order_is_that_of_the_ranks_along_each_axis() -> None:
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) ** 4  # far from even
    ranks = points.argsort(0).argsort(0) * 1024 // len(points)
    codes = [interleaved(*rank) for rank in ranks.tolist()]
    assert [codes[index] for index in order_along_curve(points).tolist()] == sorted(codes)


@pytest.mark.cuda
def test_the_kernels_find_the_places_of_the_elementwise_code(device: torch.device) -> None:
    from trackersplat.geometry import curve_triton

    random = torch.Generator().manual_seed(1)
    cells = torch.randint(0, 2**21, (700, 3), generator=random)
    assert torch.equal(curve_triton.morton_codes(cells.to(device)).cpu(), _morton_codes(cells))
    low, extent = torch.tensor((-3.0, 0.5, 10.0)), torch.tensor(2.0)
    points = low + 2.2 * torch.rand(700, 3, generator=random) - 0.1  # some lie outside
    places = curve_triton.places(points.to(device), low.to(device), extent.to(device), largest=2**21 - 1).cpu()
    exact = ((points.double() - low.double()) * ((2**21 - 1) / 2)).clamp(0, 2**21 - 1).long()
    apart = torch.stack([_axis(places, axis) for axis in range(3)], -1) - exact
    assert apart.abs().max() <= 1  # of two million: the kernel takes float32


def _axis(codes: torch.Tensor, axis: int) -> torch.Tensor:
    return sum((((codes >> (3 * bit + axis)) & 1) << bit for bit in range(21)), start=torch.zeros_like(codes))
