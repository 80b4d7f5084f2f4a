"""Inverse search and densification in one pass each; stand in for the elementwise ones of inverse_search.py."""

# In a kernel, tuples grow by addition alone, which ruff and mypy do not expect.
# ruff: noqa: RUF005
# mypy: disable-error-code="assignment"

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

_PATCHES = 4  # patches per program, with a row of 8 threads each: one warp, whose sums need no barrier (layout)
_BLOCK = 512  # pixels per program (layout)


def search_round(
    source: Tensor, target: Tensor, flow: Tensor, steps: int, *, patch: int, stride: int, farthest: float, flat: float, spacing: int = 1
) -> Tensor:
    """See `inverse_search.search`: one round. ``flow`` (B, 2, h, w) holds the displacements of the patches at every ``spacing``th place,
    the last ones where the places end; 1: it holds nothing else."""
    batch, height, width = source.shape
    rows, columns = -(-height // stride) + 1, -(-width // stride) + 1
    result = flow.new_empty(batch, 2, rows, columns)
    _round[(triton.cdiv(rows * columns, _PATCHES), batch)](
        source, target, flow, result, rows, columns, height, width, flow.shape[2], flow.shape[3], farthest * farthest, flat,
        STEPS=steps, PATCH=patch, STRIDE=stride, SPACING=spacing, BLOCK=_PATCHES, num_warps=1,
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
def _values(image, left, right, across, row, width, height):  # type: ignore[no-untyped-def]
    """Of one row of the places of patches, between two columns each; rows continued beyond the border."""
    line = image + (tl.minimum(tl.maximum(row, 0), height - 1) * width)[:, None]
    a = tl.load(line + left)
    return a + across * (tl.load(line + right) - a)


@triton.jit
def _differences(  # type: ignore[no-untyped-def]
    image, template, within, y, x, u, v, norm, height, width, PATCH: tl.constexpr,
):  # fmt: skip
    """Per row of the patches, (BLOCK, PATCH) each: the target at a displacement less the template, less the mean of that."""
    # All pixels of a patch lie alike between those of the target: a row of those serves two rows of the patch.
    u = tl.minimum(tl.maximum(u, -1.0 * width), 1.0 * width)
    v = tl.minimum(tl.maximum(v, -1.0 * height), 1.0 * height)
    whole_u, whole_v = tl.floor(u), tl.floor(v)
    across, down = (u - whole_u)[:, None], (v - whole_v)[:, None]
    x += whole_u.to(tl.int32)[:, None]
    y += whole_v.to(tl.int32)
    left, right = tl.minimum(tl.maximum(x, 0), width - 1), tl.minimum(tl.maximum(x + 1, 0), width - 1)
    upper = _values(image, left, right, across, y, width, height)
    total = across * 0.0
    errors = ()
    for k in tl.static_range(PATCH):
        lower = _values(image, left, right, across, y + k + 1, width, height)
        error = (upper + down * (lower - upper) - template[k]) * within[k]
        total += error
        errors = errors + (error,)
        upper = lower
    mean = (tl.sum(total, axis=1) * norm)[:, None]
    centred = ()
    for k in tl.static_range(PATCH):
        centred = centred + (errors[k] - mean * within[k],)
    return centred


@triton.jit
def _products(a, b, PATCH: tl.constexpr):  # type: ignore[no-untyped-def]
    """(BLOCK,): sums of the products over the patches."""
    total = a[0] * b[0]
    for k in tl.static_range(1, PATCH):
        total += a[k] * b[k]
    return tl.sum(total, axis=1)


@triton.jit
def _centred(values, within, norm, PATCH: tl.constexpr):  # type: ignore[no-untyped-def]
    total = values[0]
    for k in tl.static_range(1, PATCH):
        total += values[k]
    mean = (tl.sum(total, axis=1) * norm)[:, None]
    result = ()
    for k in tl.static_range(PATCH):
        result = result + (values[k] - mean * within[k],)
    return result


@triton.jit
def _round(  # type: ignore[no-untyped-def]
    source, target, flow, result, rows, columns, height, width, flow_height, flow_width, farthest, flat,
    STEPS: tl.constexpr, PATCH: tl.constexpr, STRIDE: tl.constexpr, SPACING: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    count, flow_size = rows * columns, flow_height * flow_width
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = p < count
    b = tl.program_id(1).to(tl.int64)
    source += b * height * width
    target += b * height * width
    flow += b * 2 * flow_size
    result += b * 2 * count
    row, column = p // columns, p % columns
    y, x = STRIDE * (row - 1), STRIDE * (column - 1)[:, None] + tl.arange(0, PATCH)[None, :]
    within_x = (x >= 0) & (x < width) & there[:, None]
    left, right = tl.minimum(tl.maximum(x - 1, 0), width - 1), tl.minimum(tl.maximum(x + 1, 0), width - 1)
    middle = tl.minimum(tl.maximum(x, 0), width - 1)
    template, gx, gy, within, inside = (), (), (), (), within_x.to(tl.float32) * 0.0
    for k in tl.static_range(PATCH):
        line = tl.minimum(tl.maximum(y + k, 0), height - 1)
        above, below = tl.minimum(tl.maximum(y + k - 1, 0), height - 1), tl.minimum(tl.maximum(y + k + 1, 0), height - 1)
        one = (within_x & ((y + k >= 0) & (y + k < height))[:, None]).to(tl.float32)
        inside += one
        within = within + (one,)
        line, above, below = (line * width)[:, None], (above * width)[:, None], (below * width)[:, None]
        template = template + (tl.load(source + line + middle),)
        gx = gx + (0.5 * one * (tl.load(source + line + right) - tl.load(source + line + left)),)
        gy = gy + (0.5 * one * (tl.load(source + below + middle) - tl.load(source + above + middle)),)
    norm = 1.0 / tl.maximum(tl.sum(inside, axis=1), 1.0)
    gx, gy = _centred(gx, within, norm, PATCH), _centred(gy, within, norm, PATCH)
    xx, xy, yy = _products(gx, gx, PATCH) + flat, _products(gx, gy, PATCH), _products(gy, gy, PATCH) + flat
    scale = 1.0 / (xx * yy - xy * xy)

    lowest = xx * 0.0 + float("inf")
    start_u, start_v = xx * 0.0, xx * 0.0
    for q in range(5):  # the patch itself, then those above, below, to the left and to the right
        near_row = row + tl.where(q == 1, -1, tl.where(q == 2, 1, 0))
        near_column = column + tl.where(q == 3, -1, tl.where(q == 4, 1, 0))
        near_row = tl.minimum(tl.maximum(near_row, 0), rows - 1)
        near_column = tl.minimum(tl.maximum(near_column, 0), columns - 1)
        near = tl.minimum(near_row * SPACING, flow_height - 1) * flow_width + tl.minimum(near_column * SPACING, flow_width - 1)
        u = tl.load(flow + near, mask=there, other=0.0)
        v = tl.load(flow + flow_size + near, mask=there, other=0.0)
        error = _differences(target, template, within, y, x, u, v, norm, height, width, PATCH)
        cost = _products(error, error, PATCH)
        better = cost < lowest
        lowest = tl.where(better, cost, lowest)
        start_u = tl.where(better, u, start_u)
        start_v = tl.where(better, v, start_v)
    u, v = start_u, start_v
    best_u, best_v = start_u, start_v
    for _ in range(STEPS):
        error = _differences(target, template, within, y, x, u, v, norm, height, width, PATCH)
        cost = _products(error, error, PATCH)
        near_start = (u - start_u) * (u - start_u) + (v - start_v) * (v - start_v) <= farthest
        better = (cost < lowest) & near_start
        lowest = tl.where(better, cost, lowest)
        best_u = tl.where(better, u, best_u)
        best_v = tl.where(better, v, best_v)
        bx, by = _products(gx, error, PATCH), _products(gy, error, PATCH)
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
