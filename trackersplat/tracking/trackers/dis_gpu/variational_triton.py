"""Variational refinement in a few passes; stands in for the elementwise one of variational.py.

The pixels of a chessboard's two colours lie apart, (B, H, half) each, half being half the width, rounded up: a sweep over one colour
reads and writes whole lines of memory. The unknowns are the displacements themselves, not their changes.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.tracking.trackers.dis_gpu.inverse_search_triton import bilinear
from trackersplat.tracking.trackers.dis_gpu.settings import VariationalSettings

_BLOCK = 512  # pixels per program (layout)


def refine(source: Tensor, target: Tensor, flow: Tensor, settings: VariationalSettings) -> Tensor:
    """See `variational.refine`."""
    batch, height, width = source.shape
    half = (width + 1) // 2
    warped = torch.empty_like(source)
    current = flow.new_empty(2, batch, 2, height, half)  # by colour
    whole = (triton.cdiv(height * width, _BLOCK), batch)
    _warp[whole](target, flow, warped, current, batch, height, width, half, BLOCK=_BLOCK)
    system = flow.new_empty(2, batch, 6, height, half)
    result = torch.empty_like(flow)
    for _ in range(settings.linearisations):
        _linearise[whole](
            source, warped, flow, current, system, batch, height, width, half, settings.smoothness, settings.brightness, settings.gradient,
            settings.penalty**2, settings.normaliser**2, BLOCK=_BLOCK,
        )  # fmt: skip
        for _ in range(settings.sweeps):
            for colour in (0, 1):
                _sweep[(triton.cdiv(height * half, _BLOCK), batch)](
                    system, current, batch, height, width, half, colour, settings.relaxation, BLOCK=_BLOCK
                )
    _join[whole](current, result, batch, height, width, half, BLOCK=_BLOCK)
    return result


@triton.jit
def _warp(target, flow, warped, current, batch, height, width, half, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    size, part = height * width, height * half
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = p < size
    b = tl.program_id(1).to(tl.int64)
    row, column = p // width, p % width
    u = tl.load(flow + b * 2 * size + p, mask=there, other=0.0)
    v = tl.load(flow + b * 2 * size + size + p, mask=there, other=0.0)
    value = bilinear(target + b * size, column.to(tl.float32) + u, row.to(tl.float32) + v, height, width, there)
    tl.store(warped + b * size + p, value, mask=there)
    place = (((row + column) % 2).to(tl.int64) * batch + b) * 2 * part + row * half + column // 2
    tl.store(current + place, u, mask=there)
    tl.store(current + place + part, v, mask=there)


@triton.jit
def _join(current, result, batch, height, width, half, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    size, part = height * width, height * half
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = p < size
    b = tl.program_id(1).to(tl.int64)
    row, column = p // width, p % width
    place = (((row + column) % 2).to(tl.int64) * batch + b) * 2 * part + row * half + column // 2
    tl.store(result + b * 2 * size + p, tl.load(current + place, mask=there, other=0.0), mask=there)
    tl.store(result + b * 2 * size + size + p, tl.load(current + place + part, mask=there, other=0.0), mask=there)


@triton.jit
def _slope(source, warped, ahead, behind, there):  # type: ignore[no-untyped-def]
    """Half the difference between two places, of the mean of both images and of what one has over the other."""
    a = tl.load(source + ahead, mask=there, other=0.0)
    b = tl.load(source + behind, mask=there, other=0.0)
    c = tl.load(warped + ahead, mask=there, other=0.0)
    d = tl.load(warped + behind, mask=there, other=0.0)
    return 0.25 * (a + c - b - d), 0.5 * (c - a - d + b)


@triton.jit
def _linearise(  # type: ignore[no-untyped-def]
    source, warped, flow, current, system, batch, height, width, half, smoothness, brightness, gradient, kink, flat, BLOCK: tl.constexpr,
):  # fmt: skip
    size, part = height * width, height * half
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = p < size
    b = tl.program_id(1).to(tl.int64)
    source += b * size
    warped += b * size
    row, column = p // width, p % width
    left, right = tl.maximum(column - 1, 0), tl.minimum(column + 1, width - 1)
    up, down = tl.maximum(row - 1, 0), tl.minimum(row + 1, height - 1)
    x, xt = _slope(source, warped, row * width + right, row * width + left, there)
    y, yt = _slope(source, warped, down * width + column, up * width + column, there)
    x_right, _ = _slope(source, warped, row * width + tl.minimum(right + 1, width - 1), row * width + tl.maximum(right - 1, 0), there)
    x_left, _ = _slope(source, warped, row * width + tl.minimum(left + 1, width - 1), row * width + tl.maximum(left - 1, 0), there)
    x_down, _ = _slope(source, warped, down * width + right, down * width + left, there)
    x_up, _ = _slope(source, warped, up * width + right, up * width + left, there)
    y_down, _ = _slope(source, warped, tl.minimum(down + 1, height - 1) * width + column, tl.maximum(down - 1, 0) * width + column, there)
    y_up, _ = _slope(source, warped, tl.minimum(up + 1, height - 1) * width + column, tl.maximum(up - 1, 0) * width + column, there)
    xx, xy, yy = 0.5 * (x_right - x_left), 0.5 * (x_down - x_up), 0.5 * (y_down - y_up)
    t = tl.load(warped + p, mask=there, other=0.0) - tl.load(source + p, mask=there, other=0.0)

    colour = (row + column) % 2
    own = (colour.to(tl.int64) * batch + b) * 2 * part
    other = ((1 - colour).to(tl.int64) * batch + b) * 2 * part
    now_u = tl.load(current + own + row * half + column // 2, mask=there, other=0.0)
    now_v = tl.load(current + own + part + row * half + column // 2, mask=there, other=0.0)
    # The last pixel of a row or column has itself ahead: no difference.
    ahead_right = tl.where(column + 1 < width, other, own) + row * half + right // 2
    ahead_down = tl.where(row + 1 < height, other, own) + down * half + column // 2
    right_u = tl.load(current + ahead_right, mask=there, other=0.0) - now_u
    right_v = tl.load(current + ahead_right + part, mask=there, other=0.0) - now_v
    down_u = tl.load(current + ahead_down, mask=there, other=0.0) - now_u
    down_v = tl.load(current + ahead_down + part, mask=there, other=0.0) - now_v
    link = smoothness / tl.sqrt(right_u * right_u + right_v * right_v + down_u * down_u + down_v * down_v + kink)

    first_u = tl.load(flow + b * 2 * size + p, mask=there, other=0.0)
    first_v = tl.load(flow + b * 2 * size + size + p, mask=there, other=0.0)
    u, v = now_u - first_u, now_v - first_v
    norm = 1.0 / (x * x + y * y + flat)
    error = t + x * u + y * v
    weight = brightness * norm / tl.sqrt(error * error * norm + kink)
    norm_x, norm_y = 1.0 / (xx * xx + xy * xy + flat), 1.0 / (xy * xy + yy * yy + flat)
    error_x, error_y = xt + xx * u + xy * v, yt + xy * u + yy * v
    steep = gradient / tl.sqrt(error_x * error_x * norm_x + error_y * error_y * norm_y + kink)
    weight_x, weight_y = steep * norm_x, steep * norm_y
    uu = weight * x * x + weight_x * xx * xx + weight_y * xy * xy
    uv = weight * x * y + weight_x * xx * xy + weight_y * xy * yy
    vv = weight * y * y + weight_x * xy * xy + weight_y * yy * yy
    bu = uu * first_u + uv * first_v - (weight * x * t + weight_x * xx * xt + weight_y * xy * yt)
    bv = uv * first_u + vv * first_v - (weight * y * t + weight_x * xy * xt + weight_y * yy * yt)
    place = system + (colour.to(tl.int64) * batch + b) * 6 * part + row * half + column // 2
    tl.store(place, uu, mask=there)
    tl.store(place + part, uv, mask=there)
    tl.store(place + 2 * part, vv, mask=there)
    tl.store(place + 3 * part, bu, mask=there)
    tl.store(place + 4 * part, bv, mask=there)
    tl.store(place + 5 * part, link, mask=there)


@triton.jit
def _sweep(system, current, batch, height, width, half, colour, relaxation, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    part = height * half
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    b = tl.program_id(1).to(tl.int64)
    row, place = p // half, p % half
    column = 2 * place + (row + colour) % 2
    there = (p < part) & (column < width)
    own_system = system + (colour * batch + b) * 6 * part
    other_links = system + ((1 - colour) * batch + b) * 6 * part + 5 * part
    own = current + (colour * batch + b) * 2 * part
    other = current + ((1 - colour) * batch + b) * 2 * part
    uu = tl.load(own_system + p, mask=there, other=1.0)
    uv = tl.load(own_system + part + p, mask=there, other=0.0)
    vv = tl.load(own_system + 2 * part + p, mask=there, other=1.0)
    bu = tl.load(own_system + 3 * part + p, mask=there, other=0.0)
    bv = tl.load(own_system + 4 * part + p, mask=there, other=0.0)
    link = tl.load(own_system + 5 * part + p, mask=there, other=0.0)
    u = tl.load(own + p, mask=there, other=0.0)
    v = tl.load(own + part + p, mask=there, other=0.0)
    total = uu * 0.0
    for q in tl.static_range(4):
        if q == 0:  # right
            linked = there & (column + 1 < width)
            near = row * half + (column + 1) // 2
            weight = tl.where(linked, link, 0.0)
        elif q == 1:  # down
            linked = there & (row + 1 < height)
            near = p + half
            weight = tl.where(linked, link, 0.0)
        elif q == 2:  # left
            linked = there & (column > 0)
            near = row * half + (column - 1) // 2
            weight = tl.load(other_links + near, mask=linked, other=0.0)
        else:  # up
            linked = there & (row > 0)
            near = p - half
            weight = tl.load(other_links + near, mask=linked, other=0.0)
        bu += weight * tl.load(other + near, mask=linked, other=0.0)
        bv += weight * tl.load(other + part + near, mask=linked, other=0.0)
        total += weight
    u += relaxation * ((bu - uv * v) / (uu + total) - u)
    v += relaxation * ((bv - uv * u) / (vv + total) - v)
    tl.store(own + p, u, mask=there)
    tl.store(own + part + p, v, mask=there)
