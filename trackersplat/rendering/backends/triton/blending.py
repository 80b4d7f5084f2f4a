"""Colour, depth and alpha of every pixel, front to back, and the gradient back to the splats.

A program takes one tile and goes through its splats one by one; the pixels of the tile are spread over its threads. With few warps per
program, sums over pixels need no barrier, and what a tile finds out about a splat is added to the sums of the splat in one instruction.

The gradient replays the blend from the front: what lies behind a splat is the final value minus what has been blended so far
(Kerbl et al. 2023 go from the back, which needs the same division by 1 - alpha).
"""

# mypy: disable-error-code="no-untyped-def"
# Triton infers the types of kernels.

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.rendering.backends.cuda import CameraTensors, Lists
from trackersplat.rendering.backends.tile_parts_triton import bounds, pixels
from trackersplat.rendering.backends.triton.projection import RECORD, SUMS
from trackersplat.rendering.backends.triton.warp_sums import WARP, has_exchange, ten_sums
from trackersplat.rendering.rules import ALPHA_MAX, LOG2_ALPHA_MIN, TRANSMITTANCE_MIN

# Sizes that fix the kernels' layout.
TILE = 8  # pixels a side
WARPS = 1  # per tile
CHECK_EVERY = 8  # splats between two tests whether the whole tile is opaque

_RULES = {"ALPHA_MAX": ALPHA_MAX, "LOG2_ALPHA_MIN": LOG2_ALPHA_MIN, "TRANSMITTANCE_MIN": TRANSMITTANCE_MIN}


@dataclass(frozen=True, eq=False)
class Blended:
    """Of C cameras; alpha and depth are empty if only colours were wanted."""

    color: Tensor  # (C, H, W, 3)
    alpha: Tensor  # (C, H, W)
    depth: Tensor  # (C, H, W)
    last: Tensor  # (tiles,) int32: the end of the part of its list that each tile used


def blend(records: Tensor, cameras: CameraTensors, lists: Lists, background: Tensor | None, *, whole: bool) -> Blended:
    """Colours, and with ``whole`` alpha and depth, of records (C, N, 16)."""
    views, rows, columns = _tiles(cameras)
    shape = (views, cameras.height, cameras.width)
    result = Blended(
        color=records.new_empty(*shape, 3),
        alpha=records.new_empty(shape if whole else (0,)),
        depth=records.new_empty(shape if whole else (0,)),
        last=torch.empty(views * rows * columns, dtype=torch.int32, device=records.device),
    )
    behind = records if background is None else background.contiguous()
    _blend[(views * rows * columns,)](
        records, lists.ids, lists.offsets, behind, result.color, result.alpha, result.depth, result.last,
        len(lists.ids), lists.offsets.numel(), rows, columns, cameras.width, cameras.height,
        WHOLE=whole, BACKGROUND=background is not None, TILE=TILE, CHECK_EVERY=CHECK_EVERY, RECORD=RECORD, num_warps=WARPS, **_RULES,
    )  # fmt: skip
    return result


def unblend(
    records: Tensor,  # (C, N, 16)
    cameras: CameraTensors,
    lists: Lists,
    blended: Blended,
    gradients: tuple[Tensor | None, Tensor | None, Tensor | None],  # of colour, alpha and depth
    sums: Tensor,  # (C, N, 16), added to
) -> None:
    """Adds the sums over the pixels of each splat (see `projection.SUMS`)."""
    views, rows, columns = _tiles(cameras)
    color, alpha, depth = (records if gradient is None else gradient.contiguous() for gradient in gradients)
    of_color, of_alpha, of_depth = (gradient is not None for gradient in gradients)
    _unblend[(views * rows * columns,)](
        records, lists.ids, lists.offsets, blended.color, blended.alpha, blended.depth, blended.last, color, alpha, depth, sums,
        rows, columns, cameras.width, cameras.height,
        OF_COLOR=of_color, OF_ALPHA=of_alpha, OF_DEPTH=of_depth,
        TILE=TILE, RECORD=RECORD, SUMS=SUMS, EXCHANGE=has_exchange(), WARP=WARP, num_warps=WARPS, **_RULES,
    )  # fmt: skip


def _tiles(cameras: CameraTensors) -> tuple[int, int, int]:
    return len(cameras.pose), -(-cameras.height // TILE), -(-cameras.width // TILE)


@triton.jit
def exponent_of(record, log_opacity, dx, dy):
    """Of the opacity of a splat in pixels, to base 2."""
    a, b, d = tl.load(record + 2), tl.load(record + 3), tl.load(record + 4)
    return (d * dy + b * dx) * dy + (a * dx * dx + log_opacity)


@triton.jit
def transmit(
    exponent, transmittance, ALPHA_MAX: tl.constexpr, LOG2_ALPHA_MIN: tl.constexpr, TRANSMITTANCE_MIN: tl.constexpr
):  # fmt: skip
    """alpha (uncapped), the weight of the splat in the blend, and the transmittance behind it.

    A pixel is finished before the first splat that would bring its transmittance to the minimum; its transmittance is negated then, so
    that nothing is added to it any more.
    """
    alpha = tl.exp2(exponent)
    weight = tl.where(exponent >= LOG2_ALPHA_MIN, tl.minimum(alpha, ALPHA_MAX) * transmittance, 0.0)
    behind = transmittance - weight
    going = behind > TRANSMITTANCE_MIN
    return alpha, tl.where(going, weight, 0.0), tl.where(going, behind, -tl.abs(transmittance))


@triton.jit(do_not_specialize=["entries", "listed"])
def _blend(
    records, ids, offsets, background, color, alpha, depth, last, entries, listed, rows, columns, width, height,
    WHOLE: tl.constexpr, BACKGROUND: tl.constexpr, TILE: tl.constexpr, CHECK_EVERY: tl.constexpr, RECORD: tl.constexpr,
    ALPHA_MAX: tl.constexpr, LOG2_ALPHA_MIN: tl.constexpr, TRANSMITTANCE_MIN: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    px, py, place, inside = pixels(tile, rows, columns, width, height, TILE)
    entry, end = bounds(offsets, tile, listed, entries)
    transmittance = tl.where(inside, 1.0, 0.0)
    red, green, blue, z = tl.zeros_like(px), tl.zeros_like(px), tl.zeros_like(px), tl.zeros_like(px)
    most = 1.0
    while (entry < end) & (most > 0.0):
        for step in tl.static_range(CHECK_EVERY):  # unrolled, so that splats are read while others are blended
            k = entry + step
            record = records + tl.load(ids + tl.minimum(k, end - 1)).to(tl.int64) * RECORD
            log_opacity = tl.load(record + 5, mask=k < end, other=-1e4)
            exponent = exponent_of(record, log_opacity, px - tl.load(record), py - tl.load(record + 1))
            _alpha, weight, transmittance = transmit(exponent, transmittance, ALPHA_MAX, LOG2_ALPHA_MIN, TRANSMITTANCE_MIN)
            red += weight * tl.load(record + 6)
            green += weight * tl.load(record + 7)
            blue += weight * tl.load(record + 8)
            if WHOLE:
                z += weight * tl.load(record + 9)
        entry += CHECK_EVERY
        most = tl.max(transmittance)
    tl.store(last + tile, tl.minimum(entry, end))
    transmittance = tl.abs(transmittance)
    if BACKGROUND:
        red += transmittance * tl.load(background)
        green += transmittance * tl.load(background + 1)
        blue += transmittance * tl.load(background + 2)
    tl.store(color + 3 * place, red, mask=inside)
    tl.store(color + 3 * place + 1, green, mask=inside)
    tl.store(color + 3 * place + 2, blue, mask=inside)
    if WHOLE:
        tl.store(alpha + place, 1.0 - transmittance, mask=inside)
        tl.store(depth + place, z, mask=inside)


@triton.jit
def _unblend(
    records, ids, offsets, color, alpha, depth, last, grad_color, grad_alpha, grad_depth, sums, rows, columns, width, height,
    OF_COLOR: tl.constexpr, OF_ALPHA: tl.constexpr, OF_DEPTH: tl.constexpr,
    TILE: tl.constexpr, RECORD: tl.constexpr, SUMS: tl.constexpr, EXCHANGE: tl.constexpr, WARP: tl.constexpr,
    ALPHA_MAX: tl.constexpr, LOG2_ALPHA_MIN: tl.constexpr, TRANSMITTANCE_MIN: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    px, py, place, inside = pixels(tile, rows, columns, width, height, TILE, APART=True)  # for `ten_sums`
    entry = tl.load(offsets + tile)
    end = tl.load(last + tile)
    rest = tl.zeros_like(px)  # of the loss: what lies behind the splats so far
    if OF_COLOR:
        g_red = tl.load(grad_color + 3 * place, mask=inside, other=0.0)
        g_green = tl.load(grad_color + 3 * place + 1, mask=inside, other=0.0)
        g_blue = tl.load(grad_color + 3 * place + 2, mask=inside, other=0.0)
        rest += g_red * tl.load(color + 3 * place, mask=inside, other=0.0)
        rest += g_green * tl.load(color + 3 * place + 1, mask=inside, other=0.0)
        rest += g_blue * tl.load(color + 3 * place + 2, mask=inside, other=0.0)
    if OF_DEPTH:
        g_depth = tl.load(grad_depth + place, mask=inside, other=0.0)
        rest += g_depth * tl.load(depth + place, mask=inside, other=0.0)
    if OF_ALPHA:
        rest -= tl.load(grad_alpha + place, mask=inside, other=0.0) * (1.0 - tl.load(alpha + place, mask=inside, other=1.0))
    transmittance = tl.where(inside, 1.0, 0.0)
    following = tl.load(ids + entry, mask=entry < end, other=0)  # read one ahead: sums are written between, which no load may pass
    for k in range(entry, end):
        index = following.to(tl.int64) * RECORD
        following = tl.load(ids + k + 1, mask=k + 1 < end, other=0)
        record = records + index
        dx, dy = px - tl.load(record), py - tl.load(record + 1)
        exponent = exponent_of(record, tl.load(record + 5), dx, dy)
        opacity, weight, transmittance = transmit(exponent, transmittance, ALPHA_MAX, LOG2_ALPHA_MIN, TRANSMITTANCE_MIN)
        value = tl.zeros_like(px)
        if OF_COLOR:  # before the branch: so these loads run beside the others
            value += tl.load(record + 6) * g_red + tl.load(record + 7) * g_green + tl.load(record + 8) * g_blue
        if OF_DEPTH:
            value += tl.load(record + 9) * g_depth
        if tl.max((weight > 0.0).to(tl.int32)) > 0:
            value *= weight
            rest -= value
            # d value / d alpha = T c - (what lies behind) / (1 - alpha), and d alpha / d exponent = alpha
            uncapped = (weight > 0.0) & (opacity < ALPHA_MAX)
            change = tl.where(uncapped, value - rest * opacity / (1.0 - tl.minimum(opacity, ALPHA_MAX)), 0.0)
            by_x, by_y = change * dx, change * dy
            red, green, blue, z = tl.zeros_like(px), tl.zeros_like(px), tl.zeros_like(px), tl.zeros_like(px)
            if OF_COLOR:
                red, green, blue = weight * g_red, weight * g_green, weight * g_blue
            if OF_DEPTH:
                z = weight * g_depth
            total, which = ten_sums(change, by_x, by_x * dx, by_y, by_x * dy, by_y * dy, red, green, blue, z, EXCHANGE=EXCHANGE, WARP=WARP)
            tl.atomic_add(sums + index + which, total, mask=which < SUMS, sem="relaxed")
