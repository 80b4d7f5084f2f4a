"""Lifting on CUDA in one forward pass: blending weights times pixel features as matrix products."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.rendering.backends.tile_parts_triton import bounds, group, pixels

# Sizes that fix the kernel's layout.
TILE = 8  # pixels a side; 16 take longer, 4 no less
_AT_ONCE = 16  # Gaussians of a tile taken together; 32 are no faster
_UNIT = 4  # numbers that an instruction adds at most
_MOST_CHANNELS, _LEAST_CHANNELS = 128, 16  # per program; the pixels of a tile times these are held on chip


@dataclass(frozen=True)
class Blending:
    """The constants of the rasteriser whose blending weights are wanted (see `rendering.rules`)."""

    alpha_min: float
    alpha_max: float
    transmittance_min: float


def fused_lift(
    means2d: Tensor,  # (C, N, 2) px
    conics: Tensor,  # (C, N, 3) inverse 2D covariances: xx, xy, yy
    opacities: Tensor,  # (N,)
    ids: Tensor,  # (I,) int32 Gaussians of all tiles, front to back within each; those of camera c from c N on
    offsets: Tensor,  # (C, rows, columns) int32 first entry of each tile
    features: Tensor,  # (C, H, W, F) float32
    blending: Blending,
) -> Tensor:  # (C, N, F)
    """``sum_p w_ip f_p`` with w = alpha T of front-to-back blending: the gradient of an N-channel render, without rendering it.

    A program takes one tile and a slice of the channels, walks through the tile's Gaussians in groups, turns each group's alphas
    into weights by a running product, and adds weights (Gaussians x pixels) times features (pixels x channels) to the sums.
    As in gsplat, alphas below the least are left out and larger ones capped, and a pixel is finished before the Gaussian that would
    bring its transmittance to the least or below.
    """
    cameras, height, width, channels = features.shape
    count = len(opacities)
    sums = torch.zeros(cameras, count, channels, device=features.device)
    _, rows, columns = offsets.shape
    if len(ids):
        unit = math.gcd(channels, _UNIT)
        block = min(_MOST_CHANNELS, max(_LEAST_CHANNELS, triton.next_power_of_2(channels)))
        _lift[(cameras * rows * columns, triton.cdiv(channels, block))](
            means2d.contiguous(), conics.contiguous(), opacities.contiguous(), ids, offsets.reshape(-1), features.contiguous(), sums,
            len(ids), cameras * rows * columns, rows, columns, width, height, channels // unit, count,
            ALPHA_MIN=blending.alpha_min, ALPHA_MAX=blending.alpha_max, TRANSMITTANCE_MIN=blending.transmittance_min,
            TILE=TILE, GROUP=_AT_ONCE, CHANNELS=block, UNIT=unit, num_warps=4,
        )  # fmt: skip
    return sums


@triton.jit(do_not_specialize=["entries"])
def _lift(  # type: ignore[no-untyped-def]
    means2d, conics, opacities, ids, offsets, features, sums,
    entries, tiles, rows, columns, width, height, units, count,
    ALPHA_MIN: tl.constexpr, ALPHA_MAX: tl.constexpr, TRANSMITTANCE_MIN: tl.constexpr,
    TILE: tl.constexpr, GROUP: tl.constexpr, CHANNELS: tl.constexpr, UNIT: tl.constexpr,
):  # fmt: skip
    channels = units * UNIT  # so that the compiler knows that UNIT of them are added in one instruction
    tile = tl.program_id(0)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    px, py, place, inside = pixels(tile, rows, columns, width, height, TILE)
    values = tl.load(
        features + place[:, None] * channels + channel[None, :], mask=inside[:, None] & (channel < channels)[None, :], other=0.0
    )
    light = tl.where(inside, 1.0, 0.0)
    entry, end = bounds(offsets, tile, tiles, entries)
    open_pixels = 1.0
    while (entry < end) & (open_pixels > TRANSMITTANCE_MIN):
        index, there, _dx, _dy, _alpha, weight, kept = group(
            means2d, conics, opacities, ids, entry, end, count, px, py, light, GROUP, ALPHA_MIN, ALPHA_MAX, TRANSMITTANCE_MIN
        )
        total = tl.dot(tl.trans(weight), values, input_precision="tf32x3")
        tl.atomic_add(
            sums + index[:, None] * channels + channel[None, :], total, mask=there[:, None] & (channel < channels)[None, :], sem="relaxed"
        )
        light = light * tl.exp(tl.sum(kept, axis=1))
        open_pixels = tl.max(light)
        entry += GROUP
