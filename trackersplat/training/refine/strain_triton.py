"""The gradient of the strain of a correction, edge by edge; stands in for the reference in `strain`."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 256  # edges per program (layout)


def add_gradient(
    gradient: Tensor,  # (N, 3) float32, added to
    means: Tensor,  # (N, 3)
    start: Tensor,  # (N, 3)
    first: Tensor,  # (E,) int64
    second: Tensor,  # (E,) int64
    stiffness: Tensor,  # (E,) float32
    moving: Tensor,  # (N,) bool
    scale: Tensor,  # scalar float32
) -> None:
    """See `strain.Strain.add_gradient`."""
    _edges[(triton.cdiv(len(first), _BLOCK),)](
        gradient, means, start, first, second, stiffness, moving, len(first), scale, BLOCK=_BLOCK
    )  # fmt: skip


@triton.jit(do_not_specialize=["edges"])
def _edges(gradient, means, start, first, second, stiffness, moving, edges, scale, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    edge = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = edge < edges
    i = tl.load(first + edge, mask=there, other=0)
    j = tl.load(second + edge, mask=there, other=0)
    moves_i = there & (tl.load(moving + i, mask=there, other=0) != 0)
    moves_j = there & (tl.load(moving + j, mask=there, other=0) != 0)
    weight = tl.load(scale) * tl.load(stiffness + edge, mask=there, other=0.0)
    for axis in tl.static_range(3):
        u = tl.load(means + 3 * i + axis, mask=moves_i, other=0.0) - tl.load(start + 3 * i + axis, mask=moves_i, other=0.0)
        v = tl.load(means + 3 * j + axis, mask=moves_j, other=0.0) - tl.load(start + 3 * j + axis, mask=moves_j, other=0.0)
        force = weight * (u - v)
        tl.atomic_add(gradient + 3 * i + axis, force, mask=moves_i, sem="relaxed")
        tl.atomic_add(gradient + 3 * j + axis, -force, mask=moves_j, sem="relaxed")
