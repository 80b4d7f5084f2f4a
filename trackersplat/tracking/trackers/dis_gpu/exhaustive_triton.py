"""Exhaustive matching with the sums over windows as matrix products; stands in for the loop of exhaustive.py.

Differences are whole numbers, and so small that half precision holds them and the sums of a column exactly: the answer is that of the loop.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn.functional import pad

from trackersplat.tracking.trackers.dis.settings import SearchSettings

_TILE = 32  # pixels per side of the costs of one program (layout)
_WARPS = 2  # of a program (layout)
_OUTSIDE = 2000.0  # further from every value than any limit; on either side of zero for the two images


def search(a: Tensor, b: Tensor, wanted: Tensor, radius: int, settings: SearchSettings, *, reach: int) -> Tensor:
    """See `exhaustive.search`; windows reach ``reach`` pixels to each side.

    Parts of an image without a pixel that is ``wanted`` (B, h, w) bool are not searched: zero.
    """
    batch, _, height, width = a.shape
    inner = _TILE - 2 * reach
    across, down = triton.cdiv(width, inner), triton.cdiv(height, inner)
    right, below = across * inner - width, down * inner - height  # so that the tiles fit
    source = pad(a.half(), (reach, right + reach, reach, below + reach), value=-_OUTSIDE)
    margin = radius + reach
    target = pad(b.half(), (margin, right + margin, margin, below + margin), value=_OUTSIDE)
    result = a.new_zeros(batch, 2, height, width)
    _search[(across * down, batch)](
        source, target, wanted.contiguous().view(torch.uint8), result, height, width, across,
        source.shape[3], source.shape[2] * source.shape[3], target.shape[3], target.shape[2] * target.shape[3],
        settings.colour_limit, settings.gradient_limit, settings.step_penalty, RADIUS=radius, REACH=reach, TILE=_TILE, num_warps=_WARPS,
    )  # fmt: skip
    return result


@triton.jit
def _search(  # type: ignore[no-untyped-def]
    source, target, wanted, result, height, width, across, source_row, source_plane, target_row, target_plane,
    colour_limit, gradient_limit, step_penalty, RADIUS: tl.constexpr, REACH: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    size = height * width
    tile = tl.program_id(0)
    batch = tl.program_id(1).to(tl.int64)
    k = tl.arange(0, TILE)
    inner: tl.constexpr = TILE - 2 * REACH
    top, left = (tile // across) * inner, (tile % across) * inner
    y, x = (top - REACH + k)[:, None], (left - REACH + k)[None, :]
    kept = (y < height) & (x < width) & (k >= REACH)[:, None] & (k < TILE - REACH)[:, None]
    kept = kept & (k >= REACH)[None, :] & (k < TILE - REACH)[None, :]
    needed = tl.load(wanted + batch * size + y * width + x, mask=kept, other=0)
    if tl.max(tl.max(needed.to(tl.int32), axis=1), axis=0) == 0:
        return
    source += batch * 5 * source_plane + (top + k)[:, None] * source_row + (left + k)[None, :]
    a0, a1, a2 = tl.load(source), tl.load(source + source_plane), tl.load(source + 2 * source_plane)
    a3, a4 = tl.load(source + 3 * source_plane), tl.load(source + 4 * source_plane)
    target += batch * 5 * target_plane + top * target_row + left
    place = k[:, None] * target_row + k[None, :]
    gap = k[:, None] - k[None, :]
    band = ((gap >= -REACH) & (gap <= REACH)).to(tl.float16)
    lowest = tl.full((TILE, TILE), float("inf"), tl.float32)
    best = tl.zeros((TILE, TILE), tl.int32)
    side: tl.constexpr = 2 * RADIUS + 1
    colour_most = tl.full((TILE, TILE), colour_limit, tl.float16)
    gradient_most = tl.full((TILE, TILE), gradient_limit, tl.float16)
    for number in range(side * side):
        down, right = number // side, number % side
        moved = target + (down * target_row + right)
        colour = tl.abs(a0 - tl.load(moved + place)) + tl.abs(a1 - tl.load(moved + target_plane + place))
        colour += tl.abs(a2 - tl.load(moved + 2 * target_plane + place))
        slope = tl.abs(a3 - tl.load(moved + 3 * target_plane + place)) + tl.abs(a4 - tl.load(moved + 4 * target_plane + place))
        cost = tl.minimum(colour, colour_most) + tl.minimum(slope, gradient_most)
        columns = tl.dot(band, cost)
        penalty = step_penalty * (tl.abs(down - RADIUS) + tl.abs(right - RADIUS))
        window = tl.dot(columns.to(tl.float16), band) + penalty
        better = window < lowest
        lowest = tl.where(better, window, lowest)
        best = tl.where(better, number, best)
    out = result + batch * 2 * size + y * width + x
    tl.store(out, (best % side - RADIUS).to(tl.float32), mask=kept)
    tl.store(out + size, (best // side - RADIUS).to(tl.float32), mask=kept)
