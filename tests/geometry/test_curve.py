"""Morton's curve through points."""

from __future__ import annotations

import torch

from trackersplat.geometry.curve import order_along_curve, places_along_curve


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
