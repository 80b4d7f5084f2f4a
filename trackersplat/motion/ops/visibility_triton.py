"""What views see of the Gaussians, from lifted sums, in one pass; stands in for `affine.visibility_elementwise`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 128  # Gaussians per program (layout)


def find(
    sums: Tensor,  # (V, N, 3 or more) float32: blending weight, and the two depths of `affine.surface_features` times it
    depth: Tensor,  # (V, N) float64, this and the next two as in `affine.BaseViews`
    deviation: Tensor,  # (V, N) float32
    front: Tensor,  # (V, N) float64
    means: Tensor,  # (N, 3) float32
    centers: Tensor,  # (V, 3) float64
    deepest_deviations: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The fields of `affine.Visibility`, float32."""
    views, count, columns = sums.shape
    weight, behind = torch.empty(2, views, count, device=sums.device)
    surface = torch.empty(views, count, 3, device=sums.device)
    if weight.numel():
        _visibility[(triton.cdiv(count, _BLOCK), views)](
            sums.contiguous(), depth.contiguous(), deviation.contiguous(), front.contiguous(), means.contiguous(), centers,
            weight, behind, surface, count, columns, deepest_deviations, BLOCK=_BLOCK,
        )  # fmt: skip
    return weight, behind, surface


@triton.jit(do_not_specialize=["count", "columns", "deepest"])
def _visibility(  # type: ignore[no-untyped-def]
    sums, depths, deviations, fronts, means, centers, weights, behinds, surfaces, count, columns, deepest, BLOCK: tl.constexpr
):
    view = tl.program_id(1).to(tl.int64)
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    own = view * count + n
    weight = tl.load(sums + own * columns, mask=there, other=0.0)
    seen = weight != 0.0
    over = tl.where(seen, weight, 1.0).to(tl.float64)
    first = tl.load(sums + own * columns + 1, mask=there, other=0.0).to(tl.float64) / over
    second = tl.load(sums + own * columns + 2, mask=there, other=0.0).to(tl.float64) / over
    depth = tl.load(depths + own, mask=there, other=1.0)
    back = depth - deepest * tl.load(deviations + own, mask=there, other=0.0)
    share = tl.maximum(tl.minimum(second, tl.load(fronts + own, mask=there, other=0.0)), back) / depth
    found = seen & (share > 0.0) & (share < 1.0)
    tl.store(weights + own, weight, mask=there)
    tl.store(behinds + own, tl.where(seen, depth - first, float("nan")).to(tl.float32), mask=there)
    for axis in tl.static_range(3):
        ray = tl.load(means + 3 * n + axis, mask=there, other=0.0).to(tl.float64) - tl.load(centers + 3 * view + axis)
        tl.store(surfaces + 3 * own + axis, tl.where(found, (share - 1.0) * ray, 0.0).to(tl.float32), mask=there)
