"""Exhaustive matching with the sums over windows as matrix products; stands in for the loop of exhaustive.py.

Costs are whole numbers, and so small that half precision holds the sums of a column exactly: the answer is that of the loop.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.tracking.trackers.dis_gpu.settings import SearchSettings

_TILE = 64  # pixels per side of the costs of one program (layout)


def search(a: Tensor, b: Tensor, wanted: Tensor, radius: int, settings: SearchSettings, *, reach: int) -> Tensor:
    """See `exhaustive.search`; windows reach ``reach`` pixels to each side.

    Parts of an image without a pixel that is ``wanted`` (B, h, w) bool are not searched: zero.
    """
    batch, _, height, width = a.shape
    inner = _TILE - 2 * reach
    across = triton.cdiv(width, inner)
    result = a.new_zeros(batch, 2, height, width)
    _search[(across * triton.cdiv(height, inner), batch)](
        a.to(torch.int16), b.to(torch.int16), wanted.contiguous().view(torch.uint8), result, height, width, across,
        settings.colour_limit, settings.gradient_limit, settings.step_penalty, RADIUS=radius, REACH=reach, TILE=_TILE, num_warps=8,
    )  # fmt: skip
    return result


@triton.jit
def _search(  # type: ignore[no-untyped-def]
    a, b, wanted, result, height, width, across, colour_limit, gradient_limit, step_penalty,
    RADIUS: tl.constexpr, REACH: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    size = height * width
    tile = tl.program_id(0)
    batch = tl.program_id(1).to(tl.int64)
    a += batch * 5 * size
    b += batch * 5 * size
    k = tl.arange(0, TILE)
    inner = TILE - 2 * REACH
    y = ((tile // across) * inner - REACH + k)[:, None]
    x = ((tile % across) * inner - REACH + k)[None, :]
    place = y * width + x
    own = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    kept = own & (k >= REACH)[:, None] & (k < TILE - REACH)[:, None] & (k >= REACH)[None, :] & (k < TILE - REACH)[None, :]
    needed = tl.load(wanted + batch * size + place, mask=kept, other=0)
    if tl.max(tl.max(needed.to(tl.int32), axis=1), axis=0) == 0:
        return
    a0 = tl.load(a + place, mask=own, other=0)
    a1 = tl.load(a + size + place, mask=own, other=0)
    a2 = tl.load(a + 2 * size + place, mask=own, other=0)
    a3 = tl.load(a + 3 * size + place, mask=own, other=0)
    a4 = tl.load(a + 4 * size + place, mask=own, other=0)
    gap = k[:, None] - k[None, :]
    band = ((gap >= -REACH) & (gap <= REACH)).to(tl.float16)
    lowest = tl.full((TILE, TILE), float("inf"), tl.float32)
    best = tl.zeros((TILE, TILE), tl.int32)
    side: tl.constexpr = 2 * RADIUS + 1
    for number in range(side * side):
        dy, dx = number // side - RADIUS, number % side - RADIUS
        there = own & (y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width)
        moved = b + place + dy * width + dx
        colour = tl.abs(a0 - tl.load(moved, mask=there, other=0)).to(tl.float32)
        colour += tl.abs(a1 - tl.load(moved + size, mask=there, other=0)).to(tl.float32)
        colour += tl.abs(a2 - tl.load(moved + 2 * size, mask=there, other=0)).to(tl.float32)
        slope = tl.abs(a3 - tl.load(moved + 3 * size, mask=there, other=0)).to(tl.float32)
        slope += tl.abs(a4 - tl.load(moved + 4 * size, mask=there, other=0)).to(tl.float32)
        cost = tl.minimum(colour, colour_limit) + tl.minimum(slope, gradient_limit)
        cost = tl.where(there, cost, colour_limit + gradient_limit)
        columns = tl.dot(band, cost.to(tl.float16))
        window = tl.dot(columns.to(tl.float16), band) + step_penalty * (tl.abs(dy) + tl.abs(dx))
        better = window < lowest
        lowest = tl.where(better, window, lowest)
        best = tl.where(better, number, best)
    out = result + batch * 2 * size + place
    tl.store(out, (best % side - RADIUS).to(tl.float32), mask=kept)
    tl.store(out + size, (best // side - RADIUS).to(tl.float32), mask=kept)
