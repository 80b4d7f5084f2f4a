"""Places on Morton's curve in one pass; stands in for the elementwise ones of curve.py."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 256  # points per program (layout)


def places(points: Tensor, low: Tensor, extent: Tensor, *, largest: int) -> Tensor:
    """See `curve.places_along_curve`, of ``points`` (N, 3) float32; cells are whole numbers from 0 to ``largest``."""
    codes = torch.empty(len(points), dtype=torch.int64, device=points.device)
    if len(points):
        _places[(triton.cdiv(len(points), _BLOCK),)](points.contiguous(), low, extent, codes, len(points), LARGEST=largest, BLOCK=_BLOCK)
    return codes


def morton_codes(cells: Tensor) -> Tensor:
    """See `curve._morton_codes`."""
    codes = torch.empty(len(cells), dtype=torch.int64, device=cells.device)
    if len(cells):
        _codes[(triton.cdiv(len(cells), _BLOCK),)](cells.contiguous(), codes, len(cells), BLOCK=_BLOCK)
    return codes


@triton.jit
def _spread(bits):  # type: ignore[no-untyped-def]
    """Two zeros after each of 21 bits; the masks are those of curve.py."""
    bits = (bits | (bits << 32)) & 0x1F00000000FFFF
    bits = (bits | (bits << 16)) & 0x1F0000FF0000FF
    bits = (bits | (bits << 8)) & 0x100F00F00F00F00F
    bits = (bits | (bits << 4)) & 0x10C30C30C30C30C3
    return (bits | (bits << 2)) & 0x1249249249249249


@triton.jit(do_not_specialize=["count"])
def _places(points, low, extent, codes, count, LARGEST: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    scale = LARGEST / tl.load(extent)
    code = tl.zeros((BLOCK,), tl.int64)
    for axis in tl.static_range(3):
        at = (tl.load(points + 3 * n + axis, mask=there, other=0.0) - tl.load(low + axis)) * scale
        code = code | (_spread(tl.minimum(tl.maximum(at, 0.0), LARGEST).to(tl.int64)) << axis)
    tl.store(codes + n, code, mask=there)


@triton.jit(do_not_specialize=["count"])
def _codes(cells, codes, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    code = tl.zeros((BLOCK,), tl.int64)
    for axis in tl.static_range(3):
        code = code | (_spread(tl.load(cells + 3 * n + axis, mask=there, other=0)) << axis)
    tl.store(codes + n, code, mask=there)
