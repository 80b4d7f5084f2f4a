"""Variational refinement in one pass per linearisation; stands in for the elementwise one of variational.py.

A program has a tile of the image in its registers, builds the linear system of a pixel there and does all sweeps on it. Neighbours are
handed on through a few kilobytes of memory of its own, which stay in the cache. A pixel at the rim of a tile misses neighbours: each
half of a sweep spoils one more ring, so tiles overlap by that many rings, and the rim is left to the tile beside. The unknowns are the
displacements themselves, not their changes.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.geometry.devices import programs_at_once
from trackersplat.tracking.trackers.dis_gpu.inverse_search_triton import bilinear
from trackersplat.tracking.trackers.dis_gpu.settings import VariationalSettings

_BLOCK = 512  # pixels per program that warps (layout)
_TILE = 64  # pixels per side of a tile (layout)
_WARPS = 16  # per tile (layout)
_SWEEPS = 4  # per pass, at the most: they cost a rim of twice as many pixels (layout)


def refine(source: Tensor, target: Tensor, flow: Tensor, settings: VariationalSettings) -> Tensor:
    """See `variational.refine`."""
    batch, height, width = source.shape
    warped = torch.empty_like(source)
    _warp[(triton.cdiv(height * width, _BLOCK), batch)](target, flow, warped, height, width, BLOCK=_BLOCK)
    passes = triton.cdiv(settings.sweeps, _SWEEPS)
    sweeps = [settings.sweeps // passes + (index < settings.sweeps % passes) for index in range(passes)]
    largest = triton.cdiv(height, _TILE - 4 * sweeps[0]) * triton.cdiv(width, _TILE - 4 * sweeps[0]) * batch
    programs = min(largest, programs_at_once(source.device))
    handed = flow.new_zeros(programs * 2 * _TILE * _TILE + _TILE)
    current = flow
    for _ in range(settings.linearisations):
        point = current
        for count in sweeps:
            inner = _TILE - 4 * count
            across, down = triton.cdiv(width, inner), triton.cdiv(height, inner)
            result = torch.empty_like(flow)
            _relax[(min(programs, across * down * batch),)](
                source, warped, flow, point, current, result, handed, across * down * batch, across * down, across, height, width,
                settings.smoothness, settings.brightness, settings.gradient, settings.penalty**2, settings.normaliser**2,
                settings.relaxation, SWEEPS=count, TILE=_TILE, num_warps=_WARPS,
            )  # fmt: skip
            current = result
    return current


@triton.jit
def _warp(target, flow, warped, height, width, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    size = height * width
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = p < size
    b = tl.program_id(1).to(tl.int64)
    x = (p % width).to(tl.float32) + tl.load(flow + b * 2 * size + p, mask=there, other=0.0)
    y = (p // width).to(tl.float32) + tl.load(flow + b * 2 * size + size + p, mask=there, other=0.0)
    tl.store(warped + b * size + p, bilinear(target + b * size, x, y, height, width, there), mask=there)


@triton.jit
def _both(source, warped, place):  # type: ignore[no-untyped-def]
    """Half the mean of both images at a place, and half of what one has over the other."""
    a, b = tl.load(source + place), tl.load(warped + place)
    return 0.25 * (a + b), 0.5 * (b - a)


@triton.jit
def _link(u, v, right_u, right_v, down_u, down_v, smoothness, kink):  # type: ignore[no-untyped-def]
    """Weight of the differences between a pixel and its right and lower neighbours."""
    right_u, right_v, down_u, down_v = right_u - u, right_v - v, down_u - u, down_v - v
    return smoothness / tl.sqrt(right_u * right_u + right_v * right_v + down_u * down_u + down_v * down_v + kink)


@triton.jit
def _linearised(  # type: ignore[no-untyped-def]
    source, warped, first, point, row, column, height, width, smoothness, brightness, gradient, kink, flat, relaxation,
):  # fmt: skip
    """The system at ``point`` of pixels in the image: what a relaxation of each multiplies and adds, and its links: to
    the right and down, to the left, up."""
    size = height * width
    left, right = tl.maximum(column - 1, 0), tl.minimum(column + 1, width - 1)
    up, down = tl.maximum(row - 1, 0), tl.minimum(row + 1, height - 1)
    here, above, below = row * width, up * width, down * width
    centre, t = _both(source, warped, here + column)
    ahead, t_ahead = _both(source, warped, here + right)
    behind, t_behind = _both(source, warped, here + left)
    x, xt = ahead - behind, t_ahead - t_behind
    # The slopes, too, are continued beyond the border.
    ahead, _ = _both(source, warped, here + tl.minimum(column + 2, width - 1))
    behind, _ = _both(source, warped, here + tl.maximum(column - 2, 0))
    xx = 0.5 * (tl.where(column + 1 < width, ahead - centre, x) - tl.where(column > 0, centre - behind, x))
    ahead, t_ahead = _both(source, warped, below + column)
    behind, t_behind = _both(source, warped, above + column)
    y, yt = ahead - behind, t_ahead - t_behind
    ahead, _ = _both(source, warped, tl.minimum(row + 2, height - 1) * width + column)
    behind, _ = _both(source, warped, tl.maximum(row - 2, 0) * width + column)
    yy = 0.5 * (tl.where(row + 1 < height, ahead - centre, y) - tl.where(row > 0, centre - behind, y))
    ahead, _ = _both(source, warped, below + right)
    behind, _ = _both(source, warped, below + left)
    xy = ahead - behind
    ahead, _ = _both(source, warped, above + right)
    behind, _ = _both(source, warped, above + left)
    xy = 0.5 * (xy - (ahead - behind))
    t *= 2.0

    # Beyond the border a pixel has itself as neighbour: no difference.
    now_u, now_v = tl.load(point + here + column), tl.load(point + size + here + column)
    right_u, right_v = tl.load(point + here + right), tl.load(point + size + here + right)
    down_u, down_v = tl.load(point + below + column), tl.load(point + size + below + column)
    link = _link(now_u, now_v, right_u, right_v, down_u, down_v, smoothness, kink)
    left_u, left_v = tl.load(point + here + left), tl.load(point + size + here + left)
    down_u, down_v = tl.load(point + below + left), tl.load(point + size + below + left)
    link_left = tl.where(column > 0, _link(left_u, left_v, now_u, now_v, down_u, down_v, smoothness, kink), 0.0)
    up_u, up_v = tl.load(point + above + column), tl.load(point + size + above + column)
    right_u, right_v = tl.load(point + above + right), tl.load(point + size + above + right)
    link_up = tl.where(row > 0, _link(up_u, up_v, right_u, right_v, now_u, now_v, smoothness, kink), 0.0)
    total = tl.where(column + 1 < width, link, 0.0) + tl.where(row + 1 < height, link, 0.0) + link_left + link_up

    first_u, first_v = tl.load(first + here + column), tl.load(first + size + here + column)
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
    return relaxation / (uu + total), relaxation / (vv + total), uv, bu, bv, link, link_left, link_up


@triton.jit
def _relaxed(  # type: ignore[no-untyped-def]
    own, others, r, column, u, v, per_u, per_v, uv, bu, bv, link, link_left, link_up, relaxation, TILE: tl.constexpr,
):  # fmt: skip
    """The displacements of one colour after half a sweep, handed on. At the rim of a tile they are made of what happens to be beside it."""
    half: tl.constexpr = TILE // 2
    part: tl.constexpr = TILE * half
    place = r * half + column // 2
    near = others + place
    right, left = others + r * half + (column + 1) // 2, others + r * half + (column + 1) // 2 - 1
    bu += link * (tl.load(right) + tl.load(near + half)) + link_left * tl.load(left) + link_up * tl.load(near - half)
    bv += link * (tl.load(right + part) + tl.load(near + part + half))
    bv += link_left * tl.load(left + part) + link_up * tl.load(near + part - half)
    # Gauss-Seidel within the pixel: u first, then v with the new u.
    u += per_u * (bu - uv * v) - relaxation * u
    v += per_v * (bv - uv * u) - relaxation * v
    tl.store(own + place, u)
    tl.store(own + part + place, v)
    tl.debug_barrier()  # the other colour reads them in other threads
    return u, v


@triton.jit
def _relax(  # type: ignore[no-untyped-def]
    source, warped, first, point, current, result, handed, number, tiles, across, height, width,
    smoothness, brightness, gradient, kink, flat, relaxation, SWEEPS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """One linear system at ``point`` and its sweeps, from ``current``; the pixels of each of a chessboard's colours in one tensor."""
    rim: tl.constexpr = 2 * SWEEPS
    size = height * width
    r = tl.arange(0, TILE)[:, None]
    half = 2 * tl.arange(0, TILE // 2)[None, :]
    c0, c1 = half + r % 2, half + (r + 1) % 2  # a tile begins at an even row and column
    # A plane each of u and v of one colour, then of the other; a row before the first plane of all and one behind the last are nobody's.
    handed0 = handed + TILE // 2 + tl.program_id(0).to(tl.int64) * 2 * TILE * TILE
    handed1 = handed0 + TILE * TILE
    for index in range(tl.program_id(0), number, tl.num_programs(0)):
        b, tile = (index // tiles).to(tl.int64), index % tiles
        top, left = (tile // across) * (TILE - 2 * rim) - rim, (tile % across) * (TILE - 2 * rim) - rim
        row = tl.minimum(tl.maximum(top + r, 0), height - 1)
        column0 = tl.minimum(tl.maximum(left + c0, 0), width - 1)
        column1 = tl.minimum(tl.maximum(left + c1, 0), width - 1)
        images, ways = b * size, b * 2 * size
        per_u0, per_v0, uv0, bu0, bv0, link0, left0, up0 = _linearised(
            source + images, warped + images, first + ways, point + ways, row, column0, height, width,
            smoothness, brightness, gradient, kink, flat, relaxation,
        )  # fmt: skip
        tl.debug_barrier()  # else the registers must hold what both colours load
        per_u1, per_v1, uv1, bu1, bv1, link1, left1, up1 = _linearised(
            source + images, warped + images, first + ways, point + ways, row, column1, height, width,
            smoothness, brightness, gradient, kink, flat, relaxation,
        )  # fmt: skip
        # Beyond the border displacements are zero and stay so: the links to there pull at nothing.
        exists = (top + r >= 0) & (top + r < height)
        exists0, exists1 = exists & (left + c0 >= 0) & (left + c0 < width), exists & (left + c1 >= 0) & (left + c1 < width)
        per_u0, per_v0 = tl.where(exists0, per_u0, 0.0), tl.where(exists0, per_v0, 0.0)
        per_u1, per_v1 = tl.where(exists1, per_u1, 0.0), tl.where(exists1, per_v1, 0.0)
        now = current + ways + row * width
        u0, v0 = tl.load(now + column0, mask=exists0, other=0.0), tl.load(now + size + column0, mask=exists0, other=0.0)
        u1, v1 = tl.load(now + column1, mask=exists1, other=0.0), tl.load(now + size + column1, mask=exists1, other=0.0)
        tl.store(handed1 + r * (TILE // 2) + c1 // 2, u1)
        tl.store(handed1 + TILE * (TILE // 2) + r * (TILE // 2) + c1 // 2, v1)
        tl.debug_barrier()
        for _ in range(SWEEPS):
            u0, v0 = _relaxed(handed0, handed1, r, c0, u0, v0, per_u0, per_v0, uv0, bu0, bv0, link0, left0, up0, relaxation, TILE)
            u1, v1 = _relaxed(handed1, handed0, r, c1, u1, v1, per_u1, per_v1, uv1, bu1, bv1, link1, left1, up1, relaxation, TILE)
        kept = (r >= rim) & (r < TILE - rim)
        kept0, kept1 = exists0 & kept & (c0 >= rim) & (c0 < TILE - rim), exists1 & kept & (c1 >= rim) & (c1 < TILE - rim)
        out = result + ways + row * width
        tl.store(out + column0, u0, mask=kept0)
        tl.store(out + size + column0, v0, mask=kept0)
        tl.store(out + column1, u1, mask=kept1)
        tl.store(out + size + column1, v1, mask=kept1)
