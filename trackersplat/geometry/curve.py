"""A space-filling curve through points."""

from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.geometry.devices import has_triton

_BITS = 10  # per axis, of ranks
_FINE_BITS = 21  # per axis, of positions; as many as the masks below spread
_MASKS = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)


def order_along_curve(points: Tensor) -> Tensor:
    """(N,) int64: the ``points`` (N, 3) in the order of Morton's curve through their ranks along each axis.

    Neighbours in space become neighbours in memory. By ranks, a few far points do not press the others together.
    """
    ranks = torch.empty(len(points), 3, dtype=torch.int64, device=points.device)
    for axis in range(3):
        ranks[torch.argsort(points[:, axis]), axis] = torch.arange(len(points), device=points.device)
    cells = (ranks << _BITS) // max(len(points), 1)
    if has_triton(cells):
        from trackersplat.geometry.curve_triton import morton_codes

        return torch.argsort(morton_codes(cells))
    return torch.argsort(_morton_codes(cells))


def places_along_curve(points: Tensor, low: Tensor, extent: Tensor) -> Tensor:
    """(N,) int64: where ``points`` (N, 3) lie on Morton's curve through the cube of side ``extent`` at the corner ``low`` (3,).

    With one scale for all axes, what is flat stays flat: its points are not scattered over the layers that ranks would make of it.
    """
    if has_triton(points) and points.dtype == torch.float32:
        from trackersplat.geometry.curve_triton import places

        return places(points, low, extent, largest=2**_FINE_BITS - 1)
    return _morton_codes(((points - low) * ((2**_FINE_BITS - 1) / extent)).clamp(0, 2**_FINE_BITS - 1).long())


def _morton_codes(cells: Tensor) -> Tensor:
    """(N,) int64: the bits of the three whole numbers of every row of (N, 3) in turn."""
    for shift, mask in _MASKS:  # two zeros after every bit
        cells = (cells | (cells << shift)) & mask
    return cells[:, 0] | (cells[:, 1] << 1) | (cells[:, 2] << 2)
