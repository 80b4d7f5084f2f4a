"""Affine motions from lifted moments in one pass; stands in for ``motion.affine``'s elementwise solve."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 128  # Gaussians per program


def solve(
    sums: Tensor,  # (V, N, S + 13 F) float32
    mean: Tensor,  # (V, N, 2) float64 px
    width: int,
    height: int,
    scale: float,  # px per unit of the moments' coordinates
    rounding: float,  # px^2 that widen the pixel covariance
    shared: int,  # S, leading columns
) -> tuple[Tensor, ...]:
    """Displacement (V, F, N, 2), linear (V, F, N, 2, 2), weight, share, spread, leverage and reach (V, F, N), all float32."""
    (views, count, columns) = sums.shape
    targets = (columns - shared) // 13
    displacement = sums.new_empty(views, targets, count, 2)
    linear = sums.new_empty(views, targets, count, 2, 2)
    rest = sums.new_empty(5, views, targets, count)
    if rest.numel():
        _affine[(targets, triton.cdiv(count, _BLOCK), views)](
            sums.contiguous(), mean.contiguous(), displacement, linear, *rest.unbind(0),
            count, targets, 0.5 * width, 0.5 * height, scale, rounding, SHARED=shared, BLOCK=_BLOCK,
        )  # fmt: skip
    return displacement, linear, *rest.unbind(0)


@triton.jit
def _affine(  # type: ignore[no-untyped-def]
    sums, mean, displacement, linear, weight_out, share_out, spread_out, leverage_out, reach_out,
    count, targets, middle_x, middle_y, scale, rounding, SHARED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(1).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    target = tl.program_id(0)
    there = n < count
    view = tl.program_id(2).to(tl.int64)
    row = sums + (view * count + n) * (SHARED + 13 * targets)
    everything = tl.load(row, mask=there, other=0.0).to(tl.float64)
    row += SHARED + 13 * target
    weight = tl.load(row, mask=there, other=0.0).to(tl.float64)
    norm = 1.0 / tl.maximum(weight, 1e-12)
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

    determinant = tl.maximum(xx * yy - xy * xy, 1e-12)
    ixx, ixy, iyy = yy / determinant, -xy / determinant, xx / determinant
    a, b = ux * ixx + uy * ixy, ux * ixy + uy * iyy
    c, d = vx * ixx + vy * ixy, vx * ixy + vy * iyy
    ox = tl.load(mean + 2 * (view * count + n), mask=there, other=0.0) - (cx * scale + middle_x)
    oy = tl.load(mean + 2 * (view * count + n) + 1, mask=there, other=0.0) - (cy * scale + middle_y)
    spread = tl.sqrt(tl.maximum(total - (a * ux + b * uy + c * vx + d * vy), 0.0))
    leverage = ixx * ox * ox + 2.0 * ixy * ox * oy + iyy * oy * oy
    reach = tl.sqrt(tl.maximum(a * a * xx + 2.0 * a * b * xy + b * b * yy + c * c * xx + 2.0 * c * d * xy + d * d * yy, 0.0))

    present = weight > 1e-9
    at = (view * targets + target) * count + n
    tl.store(displacement + 2 * at, tl.where(present, u + a * ox + b * oy, 0.0).to(tl.float32), mask=there)
    tl.store(displacement + 2 * at + 1, tl.where(present, v + c * ox + d * oy, 0.0).to(tl.float32), mask=there)
    tl.store(linear + 4 * at, tl.where(present, a + 1.0, 1.0).to(tl.float32), mask=there)
    tl.store(linear + 4 * at + 1, tl.where(present, b, 0.0).to(tl.float32), mask=there)
    tl.store(linear + 4 * at + 2, tl.where(present, c, 0.0).to(tl.float32), mask=there)
    tl.store(linear + 4 * at + 3, tl.where(present, d + 1.0, 1.0).to(tl.float32), mask=there)
    share = tl.minimum(weight / tl.maximum(everything, 1e-12), 1.0)
    tl.store(weight_out + at, tl.where(present, weight, 0.0).to(tl.float32), mask=there)
    tl.store(share_out + at, tl.where(present, share, 0.0).to(tl.float32), mask=there)
    tl.store(spread_out + at, tl.where(present, spread, 0.0).to(tl.float32), mask=there)
    tl.store(leverage_out + at, tl.where(present, leverage, 0.0).to(tl.float32), mask=there)
    tl.store(reach_out + at, tl.where(present, reach, 0.0).to(tl.float32), mask=there)
