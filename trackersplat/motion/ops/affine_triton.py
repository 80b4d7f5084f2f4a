"""Affine motions from lifted moments in one pass; stands in for the elementwise solve of affine.py."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from trackersplat.motion.ops.affine_fit import SHARED_CHANNELS, TARGET_CHANNELS, AffineFit
from trackersplat.motion.ops.results import AffineMotion

_BLOCK = 128  # Gaussians per program (layout)


def solve(
    sums: Tensor,  # (V, N, 3 + 13 F) float32
    mean: Tensor,  # (V, N, 2) float64 px
    fit: AffineFit,
) -> AffineMotion:
    """See `affine.solve_affine`. All results are float32."""
    (views, count, columns) = sums.shape
    targets = (columns - SHARED_CHANNELS) // TARGET_CHANNELS
    displacement = sums.new_empty(views, targets, count, 2)
    linear = sums.new_empty(views, targets, count, 2, 2)
    weight, share, spread, leverage, reach = sums.new_empty(5, views, targets, count)
    if weight.numel():
        _affine[(targets, triton.cdiv(count, _BLOCK), views)](
            sums.contiguous(), mean.contiguous(), displacement, linear, weight, share, spread, leverage, reach,
            count, targets, 0.5 * fit.width, 0.5 * fit.height, fit.scale, fit.rounding,
            LEAST_WEIGHT=fit.least_weight, TINY=fit.tiny, SHARED=SHARED_CHANNELS, MOMENTS=TARGET_CHANNELS, BLOCK=_BLOCK,
        )  # fmt: skip
    return AffineMotion(displacement=displacement, linear=linear, weight=weight, share=share, spread=spread, leverage=leverage, reach=reach)


@triton.jit
def _affine(  # type: ignore[no-untyped-def]
    sums, mean, displacement, linear, weight_out, share_out, spread_out, leverage_out, reach_out,
    count, targets, middle_x, middle_y, scale, rounding,
    LEAST_WEIGHT: tl.constexpr, TINY: tl.constexpr, SHARED: tl.constexpr, MOMENTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(1).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    target = tl.program_id(0)
    there = n < count
    view = tl.program_id(2).to(tl.int64)
    row = sums + (view * count + n) * (SHARED + MOMENTS * targets)
    everything = tl.load(row, mask=there, other=0.0).to(tl.float64)
    row += SHARED + MOMENTS * target
    weight = tl.load(row, mask=there, other=0.0).to(tl.float64)
    norm = 1.0 / tl.maximum(weight, TINY)
    cx = tl.load(row + 1, mask=there, other=0.0).to(tl.float64) * norm
    cy = tl.load(row + 2, mask=there, other=0.0).to(tl.float64) * norm
    xx = (tl.load(row + 3, mask=there, other=0.0).to(tl.float64) * norm - cx * cx) * scale * scale + rounding
    xy = (tl.load(row + 4, mask=there, other=0.0).to(tl.float64) * norm - cx * cy) * scale * scale
    yy = (tl.load(row + 5, mask=there, other=0.0).to(tl.float64) * norm - cy * cy) * scale * scale + rounding
    u = tl.load(row + 6, mask=there, other=0.0).to(tl.float64) * norm
    ux = (tl.load(row + 7, mask=there, other=0.0).to(tl.float64) * norm - u * cx) * scale
    uy = (tl.load(row + 8, mask=there, other=0.0).to(tl.float64) * norm - u * cy) * scale
    v = tl.load(row + 9, mask=there, other=0.0).to(tl.float64) * norm
    vx = (tl.load(row + 10, mask=there, other=0.0).to(tl.float64) * norm - v * cx) * scale
    vy = (tl.load(row + 11, mask=there, other=0.0).to(tl.float64) * norm - v * cy) * scale
    total = tl.load(row + 12, mask=there, other=0.0).to(tl.float64) * norm - u * u - v * v

    determinant = tl.maximum(xx * yy - xy * xy, TINY)
    ixx, ixy, iyy = yy / determinant, -xy / determinant, xx / determinant
    a, b = ux * ixx + uy * ixy, ux * ixy + uy * iyy
    c, d = vx * ixx + vy * ixy, vx * ixy + vy * iyy
    ox = tl.load(mean + 2 * (view * count + n), mask=there, other=0.0) - (cx * scale + middle_x)
    oy = tl.load(mean + 2 * (view * count + n) + 1, mask=there, other=0.0) - (cy * scale + middle_y)
    spread = tl.sqrt(tl.maximum(total - (a * ux + b * uy + c * vx + d * vy), 0.0))
    leverage = ixx * ox * ox + 2.0 * ixy * ox * oy + iyy * oy * oy
    reach = tl.sqrt(tl.maximum(a * a * xx + 2.0 * a * b * xy + b * b * yy + c * c * xx + 2.0 * c * d * xy + d * d * yy, 0.0))

    present = weight > LEAST_WEIGHT
    at = (view * targets + target) * count + n
    tl.store(displacement + 2 * at, tl.where(present, u + a * ox + b * oy, 0.0).to(tl.float32), mask=there)
    tl.store(displacement + 2 * at + 1, tl.where(present, v + c * ox + d * oy, 0.0).to(tl.float32), mask=there)
    tl.store(linear + 4 * at, tl.where(present, a + 1.0, 1.0).to(tl.float32), mask=there)
    tl.store(linear + 4 * at + 1, tl.where(present, b, 0.0).to(tl.float32), mask=there)
    tl.store(linear + 4 * at + 2, tl.where(present, c, 0.0).to(tl.float32), mask=there)
    tl.store(linear + 4 * at + 3, tl.where(present, d + 1.0, 1.0).to(tl.float32), mask=there)
    share = tl.minimum(weight / tl.maximum(everything, TINY), 1.0)
    tl.store(weight_out + at, tl.where(present, weight, 0.0).to(tl.float32), mask=there)
    tl.store(share_out + at, tl.where(present, share, 0.0).to(tl.float32), mask=there)
    tl.store(spread_out + at, tl.where(present, spread, 0.0).to(tl.float32), mask=there)
    tl.store(leverage_out + at, tl.where(present, leverage, 0.0).to(tl.float32), mask=there)
    tl.store(reach_out + at, tl.where(present, reach, 0.0).to(tl.float32), mask=there)
