"""Inverse search and densification in one pass each; stand in for the elementwise ones of inverse_search.py."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_PATCHES = 32  # patches per program (layout)
_BLOCK = 512  # pixels per program (layout)


def search_round(
    source: Tensor, target: Tensor, flow: Tensor, steps: int, *, patch: int, stride: int, farthest: float, flat: float
) -> Tensor:
    """See `inverse_search.search`: one round."""
    batch, height, width = source.shape
    rows, columns = flow.shape[2:]
    result = torch.empty_like(flow)
    _round[(triton.cdiv(rows * columns, _PATCHES), batch)](
        source, target, flow, result, rows, columns, height, width, farthest * farthest, flat,
        STEPS=steps, PATCH=patch, STRIDE=stride, BLOCK=_PATCHES,
    )  # fmt: skip
    return result


def densify(source: Tensor, target: Tensor, patches: Tensor, *, stride: int) -> Tensor:
    """See `inverse_search.densify`."""
    batch, height, width = source.shape
    rows, columns = patches.shape[2:]
    result = source.new_empty(batch, 2, height, width)
    _densify[(triton.cdiv(height * width, _BLOCK), batch)](
        source, target, patches, result, rows, columns, height, width, STRIDE=stride, BLOCK=_BLOCK
    )
    return result


@triton.jit
def bilinear(image, x, y, height, width, mask):  # type: ignore[no-untyped-def]
    """float32 values of one image (H, W) at array indices, continued beyond the border."""
    x = tl.minimum(tl.maximum(x, 0.0), width - 1.0)
    y = tl.minimum(tl.maximum(y, 0.0), height - 1.0)
    left, top = x.to(tl.int32), y.to(tl.int32)
    right, bottom = tl.minimum(left + 1, width - 1), tl.minimum(top + 1, height - 1)
    across, down = x - left.to(tl.float32), y - top.to(tl.float32)
    a = tl.load(image + top * width + left, mask=mask, other=0).to(tl.float32)
    b = tl.load(image + top * width + right, mask=mask, other=0).to(tl.float32)
    c = tl.load(image + bottom * width + left, mask=mask, other=0).to(tl.float32)
    d = tl.load(image + bottom * width + right, mask=mask, other=0).to(tl.float32)
    upper = a + across * (b - a)
    return upper + down * (c + across * (d - c) - upper)


@triton.jit
def _difference(image, template, inside, norm, x, y, u, v, height, width):  # type: ignore[no-untyped-def]
    # All pixels of a patch lie alike between those of the target.
    u = tl.minimum(tl.maximum(u, -1.0 * width), 1.0 * width)
    v = tl.minimum(tl.maximum(v, -1.0 * height), 1.0 * height)
    whole_u, whole_v = tl.floor(u), tl.floor(v)
    across, down = (u - whole_u)[:, None], (v - whole_v)[:, None]
    x += whole_u.to(tl.int32)[:, None]
    y += whole_v.to(tl.int32)[:, None]
    left, right = tl.minimum(tl.maximum(x, 0), width - 1), tl.minimum(tl.maximum(x + 1, 0), width - 1)
    top, bottom = tl.minimum(tl.maximum(y, 0), height - 1) * width, tl.minimum(tl.maximum(y + 1, 0), height - 1) * width
    a, b = tl.load(image + top + left), tl.load(image + top + right)
    c, d = tl.load(image + bottom + left), tl.load(image + bottom + right)
    upper = a + across * (b - a)
    error = (upper + down * (c + across * (d - c) - upper) - template) * inside
    return error - (tl.sum(error, axis=1) * norm)[:, None] * inside


@triton.jit
def _round(  # type: ignore[no-untyped-def]
    source, target, flow, result, rows, columns, height, width, farthest, flat,
    STEPS: tl.constexpr, PATCH: tl.constexpr, STRIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    count = rows * columns
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = p < count
    b = tl.program_id(1).to(tl.int64)
    source += b * height * width
    target += b * height * width
    flow += b * 2 * count
    result += b * 2 * count
    row, column = p // columns, p % columns
    k = tl.arange(0, PATCH * PATCH)
    yi = STRIDE * (row - 1)[:, None] + (k // PATCH)[None, :]
    xi = STRIDE * (column - 1)[:, None] + (k % PATCH)[None, :]
    within = (yi >= 0) & (yi < height) & (xi >= 0) & (xi < width) & there[:, None]
    inside = within.to(tl.float32)
    norm = 1.0 / tl.maximum(tl.sum(inside, axis=1), 1.0)
    template = tl.load(source + yi * width + xi, mask=within, other=0.0)
    gx = 0.5 * (
        tl.load(source + yi * width + tl.minimum(xi + 1, width - 1), mask=within, other=0.0)
        - tl.load(source + yi * width + tl.maximum(xi - 1, 0), mask=within, other=0.0)
    )
    gy = 0.5 * (
        tl.load(source + tl.minimum(yi + 1, height - 1) * width + xi, mask=within, other=0.0)
        - tl.load(source + tl.maximum(yi - 1, 0) * width + xi, mask=within, other=0.0)
    )
    gx -= (tl.sum(gx, axis=1) * norm)[:, None] * inside
    gy -= (tl.sum(gy, axis=1) * norm)[:, None] * inside
    xx, xy, yy = tl.sum(gx * gx, axis=1) + flat, tl.sum(gx * gy, axis=1), tl.sum(gy * gy, axis=1) + flat
    scale = 1.0 / (xx * yy - xy * xy)

    start_u = tl.load(flow + p, mask=there, other=0.0)
    start_v = tl.load(flow + count + p, mask=there, other=0.0)
    error = _difference(target, template, inside, norm, xi, yi, start_u, start_v, height, width)
    lowest = tl.sum(error * error, axis=1)
    for q in tl.static_range(4):
        if q == 0:
            near = tl.maximum(row - 1, 0) * columns + column
        elif q == 1:
            near = tl.minimum(row + 1, rows - 1) * columns + column
        elif q == 2:
            near = row * columns + tl.maximum(column - 1, 0)
        else:
            near = row * columns + tl.minimum(column + 1, columns - 1)
        u = tl.load(flow + near, mask=there, other=0.0)
        v = tl.load(flow + count + near, mask=there, other=0.0)
        error = _difference(target, template, inside, norm, xi, yi, u, v, height, width)
        cost = tl.sum(error * error, axis=1)
        better = cost < lowest
        lowest = tl.where(better, cost, lowest)
        start_u = tl.where(better, u, start_u)
        start_v = tl.where(better, v, start_v)
    u, v = start_u, start_v
    best_u, best_v = start_u, start_v
    for _ in range(STEPS):
        error = _difference(target, template, inside, norm, xi, yi, u, v, height, width)
        cost = tl.sum(error * error, axis=1)
        near_start = (u - start_u) * (u - start_u) + (v - start_v) * (v - start_v) <= farthest
        better = (cost < lowest) & near_start
        lowest = tl.where(better, cost, lowest)
        best_u = tl.where(better, u, best_u)
        best_v = tl.where(better, v, best_v)
        bx, by = tl.sum(gx * error, axis=1), tl.sum(gy * error, axis=1)
        u -= (yy * bx - xy * by) * scale
        v -= (xx * by - xy * bx) * scale
    tl.store(result + p, best_u, mask=there)
    tl.store(result + count + p, best_v, mask=there)


@triton.jit
def _densify(source, target, patches, result, rows, columns, height, width, STRIDE: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    count = rows * columns
    size = height * width
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = p < size
    b = tl.program_id(1).to(tl.int64)
    row, column = p // width, p % width
    value = tl.load(source + b * size + p, mask=there, other=0.0)
    total_u, total_v, weights = value * 0.0, value * 0.0, value * 0.0
    x, y = column.to(tl.float32), row.to(tl.float32)
    for q in tl.static_range(4):
        near = (row // STRIDE + q // 2) * columns + column // STRIDE + q % 2
        u = tl.load(patches + b * 2 * count + near, mask=there, other=0.0)
        v = tl.load(patches + b * 2 * count + count + near, mask=there, other=0.0)
        difference = bilinear(target + b * size, x + u, y + v, height, width, there) - value
        weight = 1.0 / tl.maximum(tl.abs(difference), 1.0)
        total_u += weight * u
        total_v += weight * v
        weights += weight
    tl.store(result + b * 2 * size + p, total_u / weights, mask=there)
    tl.store(result + b * 2 * size + size + p, total_v / weights, mask=there)
