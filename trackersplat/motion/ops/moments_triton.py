"""The pixel features of an affine fit in one pass; stands in for the elementwise ones of affine.py."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 128  # pixels per program (layout)


def write(
    features: Tensor,  # (V, H, W, S + 13 F) float32
    shared: Tensor,  # (V, H, W, S) float32, S at most 16: the first columns
    positions: Tensor,  # (V, F, H, W, 2) float32 px
    certainty: Tensor,  # (V, F, H, W) float32
    *,
    scale: float,  # px per unit of the moments' coordinates
    channels: int,  # 13, the moments of one target
) -> None:
    """See `affine.moment_features`."""
    views, height, width, columns = features.shape
    targets, own = positions.shape[1], shared.shape[-1]
    # Targets first: together they fill the rows, which are no whole lines of memory each.
    _moments[(targets, triton.cdiv(height * width, _BLOCK), views)](
        features, shared.contiguous(), positions.contiguous(), certainty.contiguous(), height * width, width, columns, own,
        0.5 * width, 0.5 * height, 1.0 / scale, MOMENTS=channels, BLOCK=_BLOCK,
    )  # fmt: skip


@triton.jit
def _moments(  # type: ignore[no-untyped-def]
    features, shared, positions, certainty, pixels, width, columns, own, middle_x, middle_y, per_px,
    MOMENTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(1).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)[:, None]
    target = tl.program_id(0)
    there = pixel < pixels
    column = (pixel % width).to(tl.float32) + 0.5
    row = (pixel // width).to(tl.float32) + 0.5
    view = tl.program_id(2).to(tl.int64)
    at = (view * tl.num_programs(0) + target) * pixels + pixel
    u = tl.load(positions + 2 * at, mask=there, other=0.0) - column
    v = tl.load(positions + 2 * at + 1, mask=there, other=0.0) - row
    g = tl.load(certainty + at, mask=there, other=0.0)
    # A displacement that is not a number must not poison its neighbours through a weight of zero.
    finite = (tl.abs(u) < float("inf")) & (tl.abs(v) < float("inf"))
    g = tl.where(finite, g, 0.0)
    u = tl.where(finite, u, 0.0)
    v = tl.where(finite, v, 0.0)
    x = (column - middle_x) * per_px
    y = (row - middle_y) * per_px
    # Neighbouring threads write side by side, each one moment: a power of x and y times 1, u, v or the square.
    moment = tl.arange(0, 16)[None, :]
    rank = tl.where(moment < 6, moment, (moment - 6) % 3)
    value = g * tl.where(moment < 6, 1.0, tl.where(moment < 9, u, v))
    value *= tl.where((rank == 1) | (rank == 3) | (rank == 4), x, 1.0) * tl.where(rank == 3, x, 1.0)
    value *= tl.where((rank == 2) | (rank == 4) | (rank == 5), y, 1.0) * tl.where(rank == 5, y, 1.0)
    value = tl.where(moment == MOMENTS - 1, g * (u * u + v * v), value)
    row = view * pixels + pixel
    tl.store(features + row * columns + own + MOMENTS * target + moment, value, mask=there & (moment < MOMENTS))
    first = there & (moment < own) & (target == 0)
    tl.store(features + row * columns + moment, tl.load(shared + row * own + moment, mask=first), mask=first)
