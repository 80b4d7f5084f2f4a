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
