"""Agreement of displacements with those around in one pass; stands in for the elementwise one of certainty.py."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.tracking.trackers.dis.settings import SupportSettings
from trackersplat.tracking.trackers.dis_gpu.inverse_search_triton import bilinear

_BLOCK = 512  # pixels per program (layout)


def agreeing_surroundings(flow: Tensor, certainty: Tensor, settings: SupportSettings, least: float) -> Tensor:
    """See `certainty.supported`; 0 where the certainty is below ``least``."""
    batch, height, width = certainty.shape
    result = torch.empty_like(certainty)
    _surroundings[(triton.cdiv(height * width, _BLOCK), batch)](
        flow, certainty, result, height, width, settings.alike_px**2, settings.alike_slope**2, least,
        REACH=settings.reach_px, STEP=settings.step_px, SIDE=2 * settings.reach_px // settings.step_px + 1, BLOCK=_BLOCK,
    )  # fmt: skip
    return result


def differences(source: Tensor, target: Tensor, forward: Tensor, limit: float) -> Tensor:
    """See `certainty.residual`: before the mean over the window."""
    batch, _, height, width = source.shape
    result = forward.new_empty(batch, height, width)
    _differences[(triton.cdiv(height * width, _BLOCK), batch)](source, target, forward, result, height, width, limit, BLOCK=_BLOCK)
    return result


def round_trip(forward: Tensor, backward: Tensor) -> Tensor:
    """See `certainty.round_trip`."""
    batch, _, height, width = forward.shape
    result = forward.new_empty(batch, height, width)
    _round_trip[(triton.cdiv(height * width, _BLOCK), batch)](forward, backward, result, height, width, BLOCK=_BLOCK)
    return result


@triton.jit
def _differences(source, target, forward, result, height, width, limit, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    size = height * width
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = p < size
    b = tl.program_id(1).to(tl.int64)
    x = (p % width).to(tl.float32) + tl.load(forward + b * 2 * size + p, mask=there, other=0.0)
    y = (p // width).to(tl.float32) + tl.load(forward + b * 2 * size + size + p, mask=there, other=0.0)
    total = x * 0.0
    for channel in tl.static_range(3):
        own = tl.load(source + (b * 3 + channel) * size + p, mask=there, other=0).to(tl.float32)
        total += tl.abs(bilinear(target + (b * 3 + channel) * size, x, y, height, width, there) - own)
    tl.store(result + b * size + p, tl.minimum(total, limit), mask=there)


@triton.jit
def _round_trip(forward, backward, result, height, width, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    size = height * width
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = p < size
    b = tl.program_id(1).to(tl.int64)
    u = tl.load(forward + b * 2 * size + p, mask=there, other=0.0)
    v = tl.load(forward + b * 2 * size + size + p, mask=there, other=0.0)
    x, y = (p % width).to(tl.float32) + u, (p // width).to(tl.float32) + v
    u += bilinear(backward + b * 2 * size, x, y, height, width, there)
    v += bilinear(backward + b * 2 * size + size, x, y, height, width, there)
    tl.store(result + b * size + p, tl.sqrt(u * u + v * v), mask=there)


@triton.jit
def _surroundings(  # type: ignore[no-untyped-def]
    flow, certainty, result, height, width, alike, slope, least,
    REACH: tl.constexpr, STEP: tl.constexpr, SIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    size = height * width
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    b = tl.program_id(1).to(tl.int64)
    flow += b * 2 * size
    certainty += b * size
    row, column = p // width, p % width
    own = tl.load(certainty + p, mask=p < size, other=0.0)
    asked = (p < size) & (own >= least)
    u = tl.load(flow + p, mask=asked, other=0.0)
    v = tl.load(flow + size + p, mask=asked, other=0.0)
    total, count = own * 0.0, own * 0.0
    for q in range(SIDE * SIDE):
        dy, dx = (q // SIDE) * STEP - REACH, (q % SIDE) * STEP - REACH
        there = asked & (row + dy >= 0) & (row + dy < height) & (column + dx >= 0) & (column + dx < width) & ((dx != 0) | (dy != 0))
        near = p + dy * width + dx
        du = tl.load(flow + near, mask=there, other=0.0) - u
        dv = tl.load(flow + size + near, mask=there, other=0.0) - v
        allowed = alike + slope * (dx * dx + dy * dy)
        total += tl.load(certainty + near, mask=there, other=0.0) * allowed / (allowed + du * du + dv * dv)
        count += there.to(tl.float32)
    tl.store(result + b * size + p, tl.where(asked, total / tl.maximum(count, 1.0), 0.0), mask=p < size)
