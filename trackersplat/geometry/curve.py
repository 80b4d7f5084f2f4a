"""A space-filling curve through points."""

from __future__ import annotations

import torch
from torch import Tensor

_BITS = 10  # per axis, as the masks below spread them


def order_along_curve(points: Tensor) -> Tensor:
    """(N,) int64: the ``points`` (N, 3) in the order of Morton's curve through their ranks along each axis.

    Neighbours in space become neighbours in memory. By ranks, a few far points do not press the others together.
    """
    code = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    for axis in range(3):
        rank = torch.empty_like(code)
        rank[torch.argsort(points[:, axis])] = torch.arange(len(points), device=points.device)
        bits = (rank << _BITS) // max(len(points), 1)
        for shift, mask in ((16, 0x30000FF), (8, 0x300F00F), (4, 0x30C30C3), (2, 0x9249249)):  # two zeros after every bit
            bits = (bits | (bits << shift)) & mask
        code |= bits << axis
    return torch.argsort(code)


_FINE_BITS = 21  # per axis, as the masks below spread them
_FINE_MASKS = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)


def places_along_curve(points: Tensor, low: Tensor, extent: Tensor) -> Tensor:
    """(N,) int64: where ``points`` (N, 3) lie on Morton's curve through the cube of side ``extent`` at the corner ``low`` (3,).

    With one scale for all axes, what is flat stays flat: its points are not scattered over the layers that ranks would make of it.
    """
    cells = ((points - low) * ((2**_FINE_BITS - 1) / extent)).clamp(0, 2**_FINE_BITS - 1).long()
    for shift, mask in _FINE_MASKS:  # two zeros after every bit
        cells = (cells | (cells << shift)) & mask
    return cells[:, 0] | (cells[:, 1] << 1) | (cells[:, 2] << 2)
