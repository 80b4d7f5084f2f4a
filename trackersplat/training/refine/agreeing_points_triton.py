"""All points of all rays in all views in one launch; stands in for the reference in `agreeing_points`."""

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.geometry.devices import uploaded
from trackersplat.training.refine.compared_views import ComparedViews
from trackersplat.training.refine.settings import ReplaceFaintSettings

_NUMBERS, _FOUND = tl.constexpr(17), tl.constexpr(8)  # per camera and per ray (layout)


def agreeing_points(views: ComparedViews, pixels: Tensor, settings: ReplaceFaintSettings) -> Tensor:
    """(R, 8): means, colours, cost and size of `agreeing_points.AgreeingPoints`."""
    lenses = [np.concatenate((c.rotation, c.translation, (c.fx, c.fy, c.cx, c.cy, c.near)), axis=None) for c in views.cameras]
    sizes = [(first, c.width, c.height) for first, c in zip(views.first, views.cameras, strict=False)]
    found = torch.empty(len(pixels), _FOUND.value, device=pixels.device)
    places = uploaded(sizes, pixels.device, torch.int64)
    numbers = uploaded(np.stack(lenses), pixels.device, torch.float32)
    own = torch.searchsorted(places[:, 0].contiguous(), pixels, right=True)
    _agree[(len(pixels),)](
        pixels, own, numbers, places, views.images, views.depths, views.errors, found,
        len(sizes), 1 - settings.reach, settings.reach / max(settings.depths - 1, 1), settings.behind, 0.5 * settings.error,
        settings.views, settings.agree, settings.alike,
        DEPTHS=settings.depths, BLOCK=triton.next_power_of_2(settings.depths), num_warps=2,
    )  # fmt: skip
    return found


@triton.jit
def _agree(  # type: ignore[no-untyped-def]
    pixels, own, lenses, places, images, depths, errors, found,
    views, nearest, step, behind, half_wrong, least, agree, alike,
    DEPTHS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    ray = tl.program_id(0)
    lane = tl.arange(0, BLOCK)
    pixel = tl.load(pixels + ray)
    exists = pixel >= 0
    pixel = tl.maximum(pixel, 0)
    mine = tl.maximum(tl.load(own + ray) - 1, 0).to(tl.int32)
    lens = lenses + _NUMBERS * mine
    local = pixel - tl.load(places + 3 * mine)
    width = tl.load(places + 3 * mine + 1)
    fx, fy = tl.load(lens + 12), tl.load(lens + 13)
    depth = tl.load(depths + pixel) * (nearest + step * lane.to(tl.float32))
    x = ((local % width).to(tl.float32) + 0.5 - tl.load(lens + 14)) / fx * depth - tl.load(lens + 9)
    y = ((local // width).to(tl.float32) + 0.5 - tl.load(lens + 15)) / fy * depth - tl.load(lens + 10)
    z = depth - tl.load(lens + 11)
    px = tl.load(lens) * x + tl.load(lens + 3) * y + tl.load(lens + 6) * z
    py = tl.load(lens + 1) * x + tl.load(lens + 4) * y + tl.load(lens + 7) * z
    pz = tl.load(lens + 2) * x + tl.load(lens + 5) * y + tl.load(lens + 8) * z
    red, green, blue = _colour(images, pixel, exists)
    count = tl.zeros([BLOCK], tl.float32)
    wrong = tl.zeros([BLOCK], tl.float32)
    difference = tl.zeros([BLOCK], tl.float32)
    reds = tl.zeros([BLOCK], tl.float32) + red
    greens = tl.zeros([BLOCK], tl.float32) + green
    blues = tl.zeros([BLOCK], tl.float32) + blue
    for view in range(views):
        lens = lenses + _NUMBERS * view
        across, down = tl.load(places + 3 * view + 1).to(tl.int32), tl.load(places + 3 * view + 2).to(tl.int32)
        x = tl.load(lens) * px + tl.load(lens + 1) * py + tl.load(lens + 2) * pz + tl.load(lens + 9)
        y = tl.load(lens + 3) * px + tl.load(lens + 4) * py + tl.load(lens + 5) * pz + tl.load(lens + 10)
        z = tl.load(lens + 6) * px + tl.load(lens + 7) * py + tl.load(lens + 8) * pz + tl.load(lens + 11)
        before = exists & (view != mine) & (lane < DEPTHS) & (z > tl.load(lens + 16))  # a view does not confirm its own pixels
        safe = tl.where(before, z, 1.0)
        u = x / safe * tl.load(lens + 12) + tl.load(lens + 14)
        v = y / safe * tl.load(lens + 13) + tl.load(lens + 15)
        seen = before & (u >= 0.0) & (v >= 0.0) & (u < across) & (v < down)
        column, row = tl.where(seen, u, 0.0).to(tl.int32), tl.where(seen, v, 0.0).to(tl.int32)
        at = tl.load(places + 3 * view) + row * across + column
        seen &= z < (1.0 + behind) * tl.load(depths + at, mask=seen, other=0.0)
        r, g, b = _colour(images, at, seen)
        here = tl.where(seen, 1.0, 0.0)
        count += here
        wrong += tl.where(tl.load(errors + at, mask=seen, other=0.0) > half_wrong, here, 0.0)
        difference += here * (tl.abs(r - red) + tl.abs(g - green) + tl.abs(b - blue)) / 3.0
        reds += r
        greens += g
        blues += b
    difference /= tl.maximum(count, 1.0)
    agreed = exists & (lane < DEPTHS) & (count + 1.0 >= least) & (wrong >= agree * count) & (difference < alike)
    cost = tl.where(agreed, difference, float("inf"))
    chosen = lane == tl.argmin(cost, axis=0)
    out = found + _FOUND * ray.to(tl.int64) + 0 * lane
    tl.store(out, px, mask=chosen)
    tl.store(out + 1, py, mask=chosen)
    tl.store(out + 2, pz, mask=chosen)
    tl.store(out + 3, reds / (count + 1.0), mask=chosen)
    tl.store(out + 4, greens / (count + 1.0), mask=chosen)
    tl.store(out + 5, blues / (count + 1.0), mask=chosen)
    tl.store(out + 6, cost, mask=chosen)
    tl.store(out + 7, depth / fx, mask=chosen)


@triton.jit
def _colour(images, at, mask):  # type: ignore[no-untyped-def]
    """In [0, 1]; 0 where masked."""
    red = tl.load(images + 3 * at, mask=mask, other=0).to(tl.float32) / 255.0
    green = tl.load(images + 3 * at + 1, mask=mask, other=0).to(tl.float32) / 255.0
    blue = tl.load(images + 3 * at + 2, mask=mask, other=0).to(tl.float32) / 255.0
    return red, green, blue
