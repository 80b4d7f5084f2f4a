"""Costs of patches in one pass; stand in for the elementwise choosing and spreading of patches.py."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.tracking.trackers.dis.settings import PatchSettings

_BLOCK = 32  # pixels per program (layout)


def choose(
    source: Tensor, target: Tensor, candidates: Tensor, penalties: tuple[float, ...], listed: Tensor, settings: PatchSettings, *, reach: int
) -> tuple[Tensor, Tensor]:
    """See `patches.choose`; ``listed`` are the flat indices (N,) of the pixels of the mask."""
    batch, count, _, height, width = candidates.shape
    flow, cost = candidates[:, 0].clone(), candidates.new_zeros(batch, height, width)
    if len(listed):
        lanes = triton.next_power_of_2(count)
        _choose[(triton.cdiv(len(listed), _BLOCK),)](
            source.view(torch.int64), target.view(torch.int64), candidates, candidates.new_tensor(penalties), listed,
            flow, cost, len(listed), height, width, count,
            *_limits(settings), REACH=reach, LANES=lanes, BLOCK=_BLOCK,
        )  # fmt: skip
    return flow, cost


def spread_round(
    source: Tensor, target: Tensor, flow: Tensor, cost: Tensor, listed: Tensor, settings: PatchSettings,
    *, jump: int, step: float, gain: float, same: float, reach: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """See `patches.spread`: one round."""
    height, width = cost.shape[1:]
    after, lowest = flow.clone(), cost.clone()
    if len(listed):
        _spread[(triton.cdiv(len(listed), _BLOCK),)](
            source.view(torch.int64), target.view(torch.int64), flow, cost, listed, after, lowest,
            len(listed), height, width, jump, step, gain, same,
            *_limits(settings), REACH=reach, BLOCK=_BLOCK,
        )  # fmt: skip
    return after, lowest


def _limits(settings: PatchSettings) -> tuple[float, ...]:
    return 1.0 / settings.colours, settings.colour_limit, settings.gradient_limit, settings.outside_cost


@triton.jit
def _channel(low, high, K: tl.constexpr):  # type: ignore[no-untyped-def]
    """One of the channels of pixels that were loaded as two words of 32 bits."""
    if K < 4:
        return ((low >> (8 * K)) & 255).to(tl.float32)
    return (high & 255).to(tl.float32)


@triton.jit
def _blend(a_low, a_high, b_low, b_high, c_low, c_high, d_low, d_high, across, down, K: tl.constexpr):  # type: ignore[no-untyped-def]
    upper_left, lower_left = _channel(a_low, a_high, K), _channel(c_low, c_high, K)
    upper = upper_left + across * (_channel(b_low, b_high, K) - upper_left)
    lower = lower_left + across * (_channel(d_low, d_high, K) - lower_left)
    return upper + down * (lower - upper)


@triton.jit
def _words(image, place, mask):  # type: ignore[no-untyped-def]
    pixel = tl.load(image + place, mask=mask, other=0)
    return (pixel & 0xFFFFFFFF).to(tl.int32), (pixel >> 32).to(tl.int32)


@triton.jit
def _costs(  # type: ignore[no-untyped-def]
    source, target, b, y, x, u, v, there, height, width, per_colour, colour_limit, gradient_limit, outside_cost, REACH: tl.constexpr,
):  # fmt: skip
    """(BLOCK, LANES): cost of each of the displacements of each pixel."""
    size = height * width
    whole_u, whole_v = tl.floor(u), tl.floor(v)
    across, down = u - whole_u, v - whole_v
    left, top = x[:, None] + whole_u.to(tl.int32), y[:, None] + whole_v.to(tl.int32)
    inside = (left >= 0) & (left < width) & (top >= 0) & (top < height)
    asked = inside & there[:, None]
    image = target + b[:, None] * size
    own = source + b * size
    middle = y * width + x
    low, high = _words(own, middle, there)
    r, g, blue = _channel(low, high, 0), _channel(low, high, 1), _channel(low, high, 2)
    total = u * 0.0
    weights = r * 0.0
    side: tl.constexpr = 2 * REACH + 1
    for k in range((side * side + 1) // 2):
        dy, dx = (2 * k) // side - REACH, (2 * k) % side - REACH
        here = there & (y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width)
        low, high = _words(own, middle + dy * width + dx, here)
        a0, a1, a2 = _channel(low, high, 0), _channel(low, high, 1), _channel(low, high, 2)
        a3, a4 = _channel(low, high, 3), _channel(low, high, 4)
        unlike = (tl.abs(a0 - r) + tl.abs(a1 - g) + tl.abs(a2 - blue)) * per_colour
        weight = tl.where(here, 1.0 / (1.0 + unlike * unlike), 0.0)
        weights += weight
        used = asked & here[:, None]
        row = tl.minimum(tl.maximum(top + dy, 0), height - 1) * width
        row_below = tl.minimum(tl.maximum(top + dy + 1, 0), height - 1) * width
        column = tl.minimum(tl.maximum(left + dx, 0), width - 1)
        column_right = tl.minimum(tl.maximum(left + dx + 1, 0), width - 1)
        al, ah = _words(image, row + column, used)
        bl, bh = _words(image, row + column_right, used)
        cl, ch = _words(image, row_below + column, used)
        dl, dh = _words(image, row_below + column_right, used)
        colour = tl.abs(a0[:, None] - _blend(al, ah, bl, bh, cl, ch, dl, dh, across, down, 0))
        colour += tl.abs(a1[:, None] - _blend(al, ah, bl, bh, cl, ch, dl, dh, across, down, 1))
        colour += tl.abs(a2[:, None] - _blend(al, ah, bl, bh, cl, ch, dl, dh, across, down, 2))
        slope = tl.abs(a3[:, None] - _blend(al, ah, bl, bh, cl, ch, dl, dh, across, down, 3))
        slope += tl.abs(a4[:, None] - _blend(al, ah, bl, bh, cl, ch, dl, dh, across, down, 4))
        total += weight[:, None] * (tl.minimum(colour, colour_limit) + tl.minimum(slope, gradient_limit))
    return tl.where(inside, total / tl.maximum(weights, 1e-30)[:, None], outside_cost)


@triton.jit(do_not_specialize=["number"])
def _choose(  # type: ignore[no-untyped-def]
    source, target, candidates, penalties, listed, flow, cost, number, height, width, count,
    per_colour, colour_limit, gradient_limit, outside_cost, REACH: tl.constexpr, LANES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = n < number
    size = height * width
    at = tl.load(listed + n, mask=there, other=0)
    b, place = at // size, at % size
    y, x = (place // width).to(tl.int32), (place % width).to(tl.int32)
    k = tl.arange(0, LANES)
    some = there[:, None] & (k < count)[None, :]
    given = candidates + (b[:, None] * count + k[None, :]) * 2 * size + place[:, None]
    u = tl.load(given, mask=some, other=0.0)
    v = tl.load(given + size, mask=some, other=0.0)
    costs = _costs(source, target, b, y, x, u, v, there, height, width, per_colour, colour_limit, gradient_limit, outside_cost, REACH)
    costs += tl.load(penalties + k, mask=k < count, other=0.0)[None, :]
    costs = tl.where((k < count)[None, :], costs, float("inf"))
    lowest = tl.min(costs, axis=1)
    first = tl.min(tl.where(costs == lowest[:, None], k[None, :], LANES), axis=1)
    chosen = k[None, :] == first[:, None]
    out = flow + b * 2 * size + place
    tl.store(out, tl.sum(tl.where(chosen, u, 0.0), axis=1), mask=there)
    tl.store(out + size, tl.sum(tl.where(chosen, v, 0.0), axis=1), mask=there)
    tl.store(cost + at, lowest, mask=there)


@triton.jit
def _taken(costs, u, v, asked, lowest, best_u, best_v, gain):  # type: ignore[no-untyped-def]
    """One displacement after the other of (BLOCK, 4), where it costs less than what is known by the gain."""
    k = tl.arange(0, 4)[None, :]
    for q in tl.static_range(4):
        cost = tl.sum(tl.where(k == q, costs, 0.0), axis=1)
        able = tl.sum(tl.where(k == q, asked.to(tl.int32), 0), axis=1) > 0
        better = able & (cost < lowest - gain)
        best_u = tl.where(better, tl.sum(tl.where(k == q, u, 0.0), axis=1), best_u)
        best_v = tl.where(better, tl.sum(tl.where(k == q, v, 0.0), axis=1), best_v)
        lowest = tl.where(better, cost, lowest)
    return lowest, best_u, best_v


@triton.jit(do_not_specialize=["number"])
def _spread(  # type: ignore[no-untyped-def]
    source, target, flow, cost, listed, after, lowest_out, number, height, width, jump, step, gain, same,
    per_colour, colour_limit, gradient_limit, outside_cost, REACH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = n < number
    size = height * width
    at = tl.load(listed + n, mask=there, other=0)
    b, place = at // size, at % size
    y, x = (place // width).to(tl.int32), (place % width).to(tl.int32)
    k = tl.arange(0, 4)[None, :]
    own = flow + b * 2 * size
    best_u = tl.load(own + place, mask=there, other=0.0)
    best_v = tl.load(own + size + place, mask=there, other=0.0)
    lowest = tl.load(cost + at, mask=there, other=0.0)
    # The neighbours to the left, above, to the right and below.
    dx = tl.where(k == 0, -jump, tl.where(k == 2, jump, 0))
    dy = tl.where(k == 1, -jump, tl.where(k == 3, jump, 0))
    near_x, near_y = x[:, None] + dx, y[:, None] + dy
    inside = there[:, None] & (near_x >= 0) & (near_x < width) & (near_y >= 0) & (near_y < height)
    u = tl.load(own[:, None] + near_y * width + near_x, mask=inside, other=0.0)
    v = tl.load(own[:, None] + size + near_y * width + near_x, mask=inside, other=0.0)
    asked = inside & (tl.abs(u - best_u[:, None]) + tl.abs(v - best_v[:, None]) >= same)
    if tl.max(tl.max(asked.to(tl.int32), axis=1), axis=0) > 0:  # in most places all neighbours move alike
        costs = _costs(source, target, b, y, x, u, v, there, height, width, per_colour, colour_limit, gradient_limit, outside_cost, REACH)
        lowest, best_u, best_v = _taken(costs, u, v, asked, lowest, best_u, best_v, gain)
    u = best_u[:, None] + tl.where(k == 0, step, tl.where(k == 1, -step, 0.0))
    v = best_v[:, None] + tl.where(k == 2, step, tl.where(k == 3, -step, 0.0))
    costs = _costs(source, target, b, y, x, u, v, there, height, width, per_colour, colour_limit, gradient_limit, outside_cost, REACH)
    lowest, best_u, best_v = _taken(costs, u, v, there[:, None] & (k >= 0), lowest, best_u, best_v, gain)
    tl.store(after + b * 2 * size + place, best_u, mask=there)
    tl.store(after + b * 2 * size + size + place, best_v, mask=there)
    tl.store(lowest_out + at, lowest, mask=there)
