"""Any number of further values per Gaussian, blended with the weights of the colours, and their gradient.

The splats of a tile are taken in groups (`tile_parts_triton`): weights (pixels x splats) times values (splats x channels) are matrix
products, and so is the gradient. A few channels are blended as colours are (`blending`), without products that they would not fill.
"""

# mypy: disable-error-code="no-untyped-def"
# Triton infers the types of kernels.

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from trackersplat.rendering.backends.cuda import CameraTensors, Lists
from trackersplat.rendering.backends.tile_parts_triton import bounds, group, pixels
from trackersplat.rendering.backends.triton import blending
from trackersplat.rendering.backends.triton.projection import RECORD, Splats
from trackersplat.rendering.rules import ALPHA_MAX, ALPHA_MIN, LOG2_ALPHA_MIN, TRANSMITTANCE_MIN

# Sizes that fix the kernels' layout.
_AT_ONCE = 16  # splats of a tile taken together
_MOST_CHANNELS, _LEAST_CHANNELS = 64, 16  # per program
_WARPS = 4
_FEW = 4  # channels per program that `_blend_few` blends
_MOST_OF_FEW = 8  # channels from which on matrix products are faster

_RULES = {"ALPHA_MIN": ALPHA_MIN, "ALPHA_MAX": ALPHA_MAX, "TRANSMITTANCE_MIN": TRANSMITTANCE_MIN}


def blend(splats: Splats, cameras: CameraTensors, lists: Lists, values: Tensor) -> Tensor:
    """(C, H, W, F) of values (C, N, F), or (1, N, F) for all cameras."""
    views, size = len(cameras.pose), values.shape[2]
    shown = values.new_empty(views, cameras.height, cameras.width, size)
    if 0 < size <= _MOST_OF_FEW:
        tiles = len(cameras.pose) * -(-cameras.height // blending.TILE) * -(-cameras.width // blending.TILE)
        _blend_few[(tiles, triton.cdiv(size, _FEW))](
            splats.records, values.contiguous(), lists.ids, lists.offsets, shown, *_sizes(splats, cameras, lists, values),
            FEW=_FEW, TILE=blending.TILE, CHECK_EVERY=blending.CHECK_EVERY, RECORD=RECORD, num_warps=blending.WARPS,
            ALPHA_MAX=ALPHA_MAX, LOG2_ALPHA_MIN=LOG2_ALPHA_MIN, TRANSMITTANCE_MIN=TRANSMITTANCE_MIN,
        )  # fmt: skip
    elif size:
        block, grid = _layout(cameras, size)
        _blend_channels[grid](
            *_shapes(splats), values.contiguous(), lists.ids, lists.offsets, shown, *_sizes(splats, cameras, lists, values),
            GROUP=_AT_ONCE, CHANNELS=block, TILE=blending.TILE, num_warps=_WARPS, **_RULES,
        )  # fmt: skip
    return shown


def unblend(
    splats: Splats,
    cameras: CameraTensors,
    lists: Lists,
    values: Tensor,  # as in `blend`
    shown: Tensor,  # (C, H, W, F) what it gave
    gradient: Tensor,  # of that
    sums: Tensor | None,  # (C, N, 16), added to (see `projection.SUMS`)
    grad_values: Tensor | None,  # (C, N, F), added to
) -> None:
    """The gradients of splats and values, of which those are left out that are not given."""
    if not values.shape[2]:
        return
    block, grid = _layout(cameras, values.shape[2])
    _unblend_channels[grid](
        *_shapes(splats), values.contiguous(), lists.ids, lists.offsets, shown.contiguous(), gradient.contiguous(),
        shown if sums is None else sums, shown if grad_values is None else grad_values, *_sizes(splats, cameras, lists, values),
        OF_SPLATS=sums is not None, OF_VALUES=grad_values is not None, RECORD=RECORD,
        GROUP=_AT_ONCE, CHANNELS=block, TILE=blending.TILE, num_warps=_WARPS, **_RULES,
    )  # fmt: skip


def _layout(cameras: CameraTensors, size: int) -> tuple[int, tuple[int, int]]:
    """Channels per program, and the programs."""
    block = min(_MOST_CHANNELS, max(_LEAST_CHANNELS, triton.next_power_of_2(size)))
    tiles = len(cameras.pose) * -(-cameras.height // blending.TILE) * -(-cameras.width // blending.TILE)
    return block, (tiles, triton.cdiv(size, block))


def _shapes(splats: Splats) -> tuple[Tensor, Tensor, Tensor]:
    return splats.means2d, splats.conics, splats.opacities


def _sizes(splats: Splats, cameras: CameraTensors, lists: Lists, values: Tensor) -> tuple[int, ...]:
    rows, columns = -(-cameras.height // blending.TILE), -(-cameras.width // blending.TILE)
    period = len(splats.opacities) * len(values)  # of indices in the values
    return (
        len(lists.ids), lists.offsets.numel(), rows, columns, cameras.width, cameras.height, values.shape[2], len(splats.opacities), period
    )  # fmt: skip


@triton.jit
def _value(values, index, first, channel: tl.constexpr, channels):
    """Of a splat in one channel; 0 behind the last one."""
    return tl.load(values + index * channels + first + channel, mask=first + channel < channels, other=0.0)


@triton.jit(do_not_specialize=["entries", "listed", "count", "period"])
def _blend_few(
    records, values, ids, offsets, shown, entries, listed, rows, columns, width, height, channels, count, period,
    FEW: tl.constexpr, TILE: tl.constexpr, CHECK_EVERY: tl.constexpr, RECORD: tl.constexpr,
    ALPHA_MAX: tl.constexpr, LOG2_ALPHA_MIN: tl.constexpr, TRANSMITTANCE_MIN: tl.constexpr,
):  # fmt: skip
    tl.static_assert(FEW == 4, "as many sums as there are below")
    tile, first = tl.program_id(0), tl.program_id(1) * FEW
    px, py, place, inside = pixels(tile, rows, columns, width, height, TILE)
    entry, end = bounds(offsets, tile, listed, entries)
    transmittance = tl.where(inside, 1.0, 0.0)
    a, b, c, d = tl.zeros_like(px), tl.zeros_like(px), tl.zeros_like(px), tl.zeros_like(px)
    most = 1.0
    while (entry < end) & (most > 0.0):
        for step in tl.static_range(CHECK_EVERY):
            k = entry + step
            index = tl.load(ids + tl.minimum(k, end - 1)).to(tl.int64)
            record, own = records + index * RECORD, index % period
            log_opacity = tl.load(record + 5, mask=k < end, other=-1e4)
            exponent = blending.exponent_of(record, log_opacity, px - tl.load(record), py - tl.load(record + 1))
            _alpha, weight, transmittance = blending.transmit(exponent, transmittance, ALPHA_MAX, LOG2_ALPHA_MIN, TRANSMITTANCE_MIN)
            a += weight * _value(values, own, first, 0, channels)
            b += weight * _value(values, own, first, 1, channels)
            c += weight * _value(values, own, first, 2, channels)
            d += weight * _value(values, own, first, 3, channels)
        entry += CHECK_EVERY
        most = tl.max(transmittance)
    at = shown + place * channels + first
    tl.store(at, a, mask=inside & (first < channels))
    tl.store(at + 1, b, mask=inside & (first + 1 < channels))
    tl.store(at + 2, c, mask=inside & (first + 2 < channels))
    tl.store(at + 3, d, mask=inside & (first + 3 < channels))


@triton.jit(do_not_specialize=["entries", "listed", "count", "period"])
def _blend_channels(
    means2d, conics, opacities, values, ids, offsets, shown,
    entries, listed, rows, columns, width, height, channels, count, period,
    ALPHA_MIN: tl.constexpr, ALPHA_MAX: tl.constexpr, TRANSMITTANCE_MIN: tl.constexpr,
    TILE: tl.constexpr, GROUP: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    px, py, place, inside = pixels(tile, rows, columns, width, height, TILE)
    entry, end = bounds(offsets, tile, listed, entries)
    light = tl.where(inside, 1.0, 0.0)
    blended = tl.zeros([TILE * TILE, CHANNELS], tl.float32)
    open_pixels = 1.0
    while (entry < end) & (open_pixels > TRANSMITTANCE_MIN):
        index, there, _dx, _dy, _alpha, weight, kept = group(
            means2d, conics, opacities, ids, entry, end, count, px, py, light, GROUP, ALPHA_MIN, ALPHA_MAX, TRANSMITTANCE_MIN
        )
        own = tl.load(
            values + (index % period)[:, None] * channels + channel[None, :], mask=there[:, None] & (channel < channels)[None, :], other=0.0
        )
        blended += tl.dot(weight, own, input_precision="tf32x3")
        light = light * tl.exp(tl.sum(kept, axis=1))
        open_pixels = tl.max(light)
        entry += GROUP
    tl.store(shown + place[:, None] * channels + channel[None, :], blended, mask=inside[:, None] & (channel < channels)[None, :])


@triton.jit(do_not_specialize=["entries", "listed", "count", "period"])
def _unblend_channels(
    means2d, conics, opacities, values, ids, offsets, shown, gradient, sums, grad_values,
    entries, listed, rows, columns, width, height, channels, count, period,
    OF_SPLATS: tl.constexpr, OF_VALUES: tl.constexpr, RECORD: tl.constexpr,
    ALPHA_MIN: tl.constexpr, ALPHA_MAX: tl.constexpr, TRANSMITTANCE_MIN: tl.constexpr,
    TILE: tl.constexpr, GROUP: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    px, py, place, inside = pixels(tile, rows, columns, width, height, TILE)
    entry, end = bounds(offsets, tile, listed, entries)
    light = tl.where(inside, 1.0, 0.0)
    shown_at, known = place[:, None] * channels + channel[None, :], inside[:, None] & (channel < channels)[None, :]
    slope = tl.load(gradient + shown_at, mask=known, other=0.0)
    rest = tl.sum(slope * tl.load(shown + shown_at, mask=known, other=0.0), axis=1)  # of the loss: what lies behind the splats so far
    open_pixels = 1.0
    while (entry < end) & (open_pixels > TRANSMITTANCE_MIN):
        index, there, dx, dy, alpha, weight, kept = group(
            means2d, conics, opacities, ids, entry, end, count, px, py, light, GROUP, ALPHA_MIN, ALPHA_MAX, TRANSMITTANCE_MIN
        )
        wanted = there[:, None] & (channel < channels)[None, :]
        if OF_SPLATS:
            own = tl.load(values + (index % period)[:, None] * channels + channel[None, :], mask=wanted, other=0.0)
            value = weight * tl.dot(slope, tl.trans(own), input_precision="tf32x3")
            through = tl.cumsum(value, axis=1)
            # see `blending`; alpha is uncapped
            uncapped = (weight > 0.0) & (alpha < ALPHA_MAX)
            change = tl.where(uncapped, value - (rest[:, None] - through) * alpha / (1.0 - tl.minimum(alpha, ALPHA_MAX)), 0.0)
            rest -= tl.sum(value, axis=1)
            own_sums = sums + index * RECORD
            by_x, by_y = change * dx, change * dy
            tl.atomic_add(own_sums, tl.sum(change, axis=0), mask=there, sem="relaxed")
            tl.atomic_add(own_sums + 1, tl.sum(by_x, axis=0), mask=there, sem="relaxed")
            tl.atomic_add(own_sums + 2, tl.sum(by_x * dx, axis=0), mask=there, sem="relaxed")
            tl.atomic_add(own_sums + 3, tl.sum(by_y, axis=0), mask=there, sem="relaxed")
            tl.atomic_add(own_sums + 4, tl.sum(by_x * dy, axis=0), mask=there, sem="relaxed")
            tl.atomic_add(own_sums + 5, tl.sum(by_y * dy, axis=0), mask=there, sem="relaxed")
        if OF_VALUES:
            total = tl.dot(tl.trans(weight), slope, input_precision="tf32x3")
            tl.atomic_add(grad_values + index[:, None] * channels + channel[None, :], total, mask=wanted, sem="relaxed")
        light = light * tl.exp(tl.sum(kept, axis=1))
        open_pixels = tl.max(light)
        entry += GROUP
