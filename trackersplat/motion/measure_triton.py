"""The variances of measurements in one pass; stands in for the elementwise ones of measure.py."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.motion.ops.results import AffineMotion
from trackersplat.motion.settings import MeasureSettings

_BLOCK = 128  # Gaussians per program (layout)


def assess(
    affine: AffineMotion,
    weight: Tensor,  # (V, N) float32, this and the next two as in `affine.Visibility`
    behind: Tensor,  # (V, N) float32
    surface: Tensor,  # (V, N, 3) float32
    means: Tensor,  # (N, 3) float32
    log_scales: Tensor,  # (N, 3) float32
    cameras: Tensor,  # (V, 4) float32: optical centre, and the mean of the focal lengths in px
    settings: MeasureSettings,
) -> dict[str, Tensor]:
    """All of `measure.Measurements` but the view weights, by name, and the ``area`` that these are made of."""
    (views, targets, count), device = affine.weight.shape, means.device
    variance, rough, moved = torch.empty(3, views, targets, count, device=device)
    area, shown = torch.empty(views, count, device=device), torch.empty(views, count, dtype=torch.bool, device=device)
    near = torch.empty(views, count, 3, device=device)
    if area.numel():
        _assess[(triton.cdiv(count, _BLOCK), views)](
            affine.displacement, affine.weight, affine.share, affine.spread, affine.leverage, affine.reach, weight, behind, surface,
            means.contiguous(), log_scales.contiguous(), cameras, variance, rough, moved, shown, near, area, count, targets,
            settings.surface_tolerance, settings.minimum_weight, settings.minimum_share, settings.track_noise_px**2, BLOCK=_BLOCK,
        )  # fmt: skip
    return {
        "displacement": affine.displacement, "variance": variance, "rough": rough, "moved": moved, "shown": shown, "surface": near,
        "area": area,
    }  # fmt: skip


def inverse_view_weights(area: Tensor, power: float, least_share: float) -> Tensor:
    """See `measure.inverse_view_weights`."""
    views, count = area.shape
    weights = torch.empty_like(area)
    if weights.numel():
        _inverse_weights[(triton.cdiv(count, _BLOCK),)](area, weights, views, count, power, least_share, BLOCK=_BLOCK)
    return weights


@triton.jit(do_not_specialize=["count", "tolerance", "least_weight", "least_share", "noise"])
def _assess(  # type: ignore[no-untyped-def]
    displacements, weights, shares, spreads, leverages, reaches, seen, behinds, surfaces, means, log_scales, cameras,
    variances, roughs, moves, shown_out, surface_out, areas, count, targets, tolerance, least_weight, least_share, noise,
    BLOCK: tl.constexpr,
):  # fmt: skip
    view = tl.program_id(1).to(tl.int64)
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    own = view * count + n
    x = tl.load(means + 3 * n, mask=there, other=0.0) - tl.load(cameras + 4 * view)
    y = tl.load(means + 3 * n + 1, mask=there, other=0.0) - tl.load(cameras + 4 * view + 1)
    z = tl.load(means + 3 * n + 2, mask=there, other=0.0) - tl.load(cameras + 4 * view + 2)
    distance = tl.sqrt_rn(x * x + y * y + z * z)
    largest = tl.maximum(tl.load(log_scales + 3 * n, mask=there, other=0.0), tl.load(log_scales + 3 * n + 1, mask=there, other=0.0))
    largest = tl.maximum(largest, tl.load(log_scales + 3 * n + 2, mask=there, other=0.0))
    behind = tl.load(behinds + own, mask=there, other=0.0)
    hidden = behind / (tolerance * distance + tl.exp(largest))
    hidden = tl.where(behind == behind, tl.minimum(tl.maximum(hidden, 0.0), 1e3), 1e3)
    clear = hidden < 1.0
    of_view = tl.load(seen + own, mask=there, other=0.0)
    shown = (of_view >= least_weight) & clear
    tl.store(shown_out + own, shown, mask=there)
    for axis in tl.static_range(3):
        tl.store(surface_out + 3 * own + axis, tl.load(surfaces + 3 * own + axis, mask=there & shown, other=0.0), mask=there)
    span = distance / tl.load(cameras + 4 * view + 3)
    tl.store(areas + own, of_view * span * span, mask=there)
    dulled = 1.0 + hidden * hidden * hidden * hidden
    for target in range(targets):
        at = (view * targets + target) * count + n
        weight = tl.load(weights + at, mask=there, other=0.0)
        share = tl.load(shares + at, mask=there, other=0.0)
        spread = tl.load(spreads + at, mask=there, other=0.0)
        gain = (1.0 + tl.load(leverages + at, mask=there, other=0.0)) * dulled
        # Little weight means few pixels, and share those that are certain: both thin out what there is to average.
        gain = gain * (1.0 + least_weight / tl.maximum(weight, 1e-9)) / tl.maximum(share, 1e-6)
        rough = spread * spread * gain
        variance = noise * gain + rough
        valid = (weight >= least_weight) & (share >= least_share) & clear & (tl.abs(variance) < float("inf"))
        tl.store(variances + at, tl.where(valid, variance, float("inf")), mask=there)
        tl.store(roughs + at, tl.where(valid, rough, 0.0), mask=there)
        u = tl.load(displacements + 2 * at, mask=there, other=0.0)
        v = tl.load(displacements + 2 * at + 1, mask=there, other=0.0)
        tl.store(moves + at, tl.maximum(tl.sqrt_rn(u * u + v * v), tl.load(reaches + at, mask=there, other=0.0)), mask=there)


@triton.jit(do_not_specialize=["count", "power", "least_share"])
def _inverse_weights(areas, weights, views, count, power, least_share, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    most = tl.full((BLOCK,), 1e-30, tl.float32)
    for view in range(views):
        most = tl.maximum(most, tl.load(areas + view * count + n, mask=there, other=0.0))
    for view in range(views):
        share = tl.maximum(tl.load(areas + view * count + n, mask=there, other=0.0) / most, least_share)
        tl.store(weights + view * count + n, tl.exp2(-power * tl.log2(share)), mask=there)
