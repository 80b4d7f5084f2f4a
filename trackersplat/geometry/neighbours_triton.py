"""Nearest neighbours by boxes of points on a GPU."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.geometry.curve import places_along_curve

_SCANNED = 256  # boxes looked over together (layout)
_ORDERED = 16  # queries whose neighbours a program puts in order (layout)
_FAR = 1e30  # coordinate of slots without a point; its square is infinite


def nearest(points: Tensor, k: int, queries: Tensor | None = None, *, size: int) -> tuple[Tensor, Tensor]:
    """Indices (Q, k) of the ``points`` (N, 3) float64 nearest to the ``queries`` (Q, 3), nearest first, and the distances; k <= N.

    Without queries: of the nearest other points to each of the points, k < N. Which are nearest is told by float32 differences. Points
    along a space-filling curve fill boxes of ``size``, a power of two and at least k. A program takes the queries of one box and looks
    through the boxes around it on the curve, then through all that could hold something nearer than what it has.
    """
    exact, exact_queries = points.contiguous(), (points if queries is None else queries).contiguous()
    points = points.float()
    low = points.amin(0)
    extent = (points.amax(0) - low).amax().clamp_min(1e-30)
    places = places_along_curve(points, low, extent)
    places, order = places.sort()
    members, boxes = _filled(points[order], size), triton.cdiv(len(points), size)
    box = members.reshape(boxes, size, 3)
    lows, highs = box.amin(1), torch.where(box < _FAR, box, -_FAR).amax(1)
    if queries is None:
        asked, asked_order, count = members, order, len(points)
        first = torch.arange(boxes, dtype=torch.int32, device=points.device)
    else:
        queries = queries.float()
        own, asked_order = places_along_curve(queries, low, extent).sort()
        asked, count = _filled(queries[asked_order], size), len(queries)
        first = (torch.searchsorted(places, own[::size].contiguous()) // size).clamp_max(boxes - 1).int()
    slots = torch.empty(count, k, dtype=torch.int32, device=points.device)
    _nearest[(len(first),)](
        asked, members, lows, highs, first, slots, count, boxes, k, BOX=size, SCANNED=_SCANNED, OTHERS=queries is None, num_warps=4
    )
    return in_order(exact, exact_queries, order, asked_order, slots, size=size)


def in_order(points: Tensor, queries: Tensor, order: Tensor, asked_order: Tensor, slots: Tensor, *, size: int) -> tuple[Tensor, Tensor]:
    """Indices (Q, k) and float64 distances of the points ``order[slots]`` by distance, those at one distance as the ``slots`` have them.

    Row r of the ``slots`` (Q, k) int32 belongs to the query ``asked_order[r]``. ``size``: a power of two and at least k.
    """
    count, k = slots.shape
    indices = torch.empty(count, k, dtype=torch.int64, device=slots.device)
    distances = torch.empty(count, k, dtype=torch.float64, device=slots.device)
    _in_order[(triton.cdiv(count, _ORDERED),)](
        points, queries, order, asked_order, slots, indices, distances, count, k, SIZE=size, BLOCK=_ORDERED, num_warps=4
    )
    return indices, distances


def _filled(points: Tensor, size: int) -> Tensor:
    """The points, and after them as many far away as fill the last box."""
    filled = points.new_full((triton.cdiv(len(points), size) * size, 3), _FAR)
    filled[: len(points)] = points
    return filled


@triton.jit
def _merged(best, members, x, y, z, own, box, BOX: tl.constexpr, OTHERS: tl.constexpr):  # type: ignore[no-untyped-def]
    """The smallest of ``best`` (BOX, BOX) and of the keys of all pairs with the box, in order: squared distance, then slot."""
    slot = box * BOX + tl.arange(0, BOX)
    dx = x[:, None] - tl.load(members + 3 * slot)[None, :]
    dy = y[:, None] - tl.load(members + 3 * slot + 1)[None, :]
    dz = z[:, None] - tl.load(members + 3 * slot + 2)[None, :]
    square = dx * dx + dy * dy + dz * dz
    if OTHERS:
        square = tl.where(own[:, None] == slot[None, :], float("inf"), square)
    key = (square.to(tl.int32, bitcast=True).to(tl.int64) << 32) | slot[None, :].to(tl.int64)
    both = tl.sort(tl.reshape(tl.join(best, key), (BOX, 2 * BOX)), dim=1)
    lower, _ = tl.split(tl.permute(tl.reshape(both, (BOX, 2, BOX)), (0, 2, 1)))
    return lower


@triton.jit
def _worst(best, real, rank, k):  # type: ignore[no-untyped-def]
    """Squared distance of the last of k, so far; below 0 for what is no query."""
    last = tl.max(tl.where(rank[None, :] == k - 1, best >> 32, 0), axis=1).to(tl.int32).to(tl.float32, bitcast=True)
    return tl.where(real, last, -1.0)


@triton.jit(do_not_specialize=["count", "boxes"])
def _nearest(  # type: ignore[no-untyped-def]
    asked, members, low, high, begin, slots, count, boxes, k, BOX: tl.constexpr, SCANNED: tl.constexpr, OTHERS: tl.constexpr
):
    group = tl.program_id(0)
    own = group * BOX + tl.arange(0, BOX)
    rank = tl.arange(0, BOX)
    real = own < count
    x = tl.load(asked + 3 * own)
    y = tl.load(asked + 3 * own + 1)
    z = tl.load(asked + 3 * own + 2)
    lx = tl.min(x)
    ly = tl.min(y)
    lz = tl.min(z)
    hx = tl.max(tl.where(real, x, float("-inf")))
    hy = tl.max(tl.where(real, y, float("-inf")))
    hz = tl.max(tl.where(real, z, float("-inf")))
    best = tl.full((BOX, BOX), 0x7F80000000000000, tl.int64)  # infinitely far
    box = tl.load(begin + group)
    first = tl.maximum(box - 2, 0)
    last = tl.minimum(box + 3, boxes)
    for near in range(first, last):
        best = _merged(best, members, x, y, z, own, near, BOX, OTHERS)
    scans = tl.cdiv(boxes, SCANNED)
    for scan in range(scans):  # those around first: what they hold leaves little to look for elsewhere
        start = ((scan + box // SCANNED) % scans) * SCANNED
        other = start + tl.arange(0, SCANNED)
        there = (other < boxes) & ((other < first) | (other >= last))
        bx = tl.load(low + 3 * other, mask=there, other=0.0)
        by = tl.load(low + 3 * other + 1, mask=there, other=0.0)
        bz = tl.load(low + 3 * other + 2, mask=there, other=0.0)
        tx = tl.load(high + 3 * other, mask=there, other=0.0)
        ty = tl.load(high + 3 * other + 1, mask=there, other=0.0)
        tz = tl.load(high + 3 * other + 2, mask=there, other=0.0)
        gx = tl.maximum(tl.maximum(bx - hx, lx - tx), 0.0)
        gy = tl.maximum(tl.maximum(by - hy, ly - ty), 0.0)
        gz = tl.maximum(tl.maximum(bz - hz, lz - tz), 0.0)
        # Rounding may have made the gap a little larger than it is.
        gap = tl.where(there, (gx * gx + gy * gy + gz * gz) * 0.99999, float("inf"))
        worst = _worst(best, real, rank, k)
        if tl.min(gap) < tl.max(worst):
            # From each query itself: queries far from each other would seem to be near to everything between them.
            qx = tl.maximum(tl.maximum(bx[None, :] - x[:, None], x[:, None] - tx[None, :]), 0.0)
            qy = tl.maximum(tl.maximum(by[None, :] - y[:, None], y[:, None] - ty[None, :]), 0.0)
            qz = tl.maximum(tl.maximum(bz[None, :] - z[:, None], z[:, None] - tz[None, :]), 0.0)
            square = tl.where(there[None, :], (qx * qx + qy * qy + qz * qz) * 0.99999, float("inf"))
            lack = tl.min(tl.where(square < worst[:, None], square - worst[:, None], 0.0), axis=0)
            while tl.min(lack) < 0.0:
                place = tl.argmin(lack, axis=0)
                best = _merged(best, members, x, y, z, own, start + place, BOX, OTHERS)
                square = tl.where(tl.arange(0, SCANNED)[None, :] == place, float("inf"), square)
                worst = _worst(best, real, rank, k)
                lack = tl.min(tl.where(square < worst[:, None], square - worst[:, None], 0.0), axis=0)
    tl.store(slots + own[:, None] * k + rank[None, :], (best & 0xFFFFFFFF).to(tl.int32), mask=real[:, None] & (rank < k)[None, :])


@triton.jit(do_not_specialize=["count"])
def _in_order(  # type: ignore[no-untyped-def]
    points, queries, order, asked_order, slots, indices, distances, count, k, SIZE: tl.constexpr, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    column = tl.arange(0, SIZE)
    real = row < count
    there = real[:, None] & (column < k)[None, :]
    slot = tl.load(slots + row[:, None] * k + column[None, :], mask=there, other=0)
    index = tl.load(order + slot, mask=there, other=0)
    query = tl.load(asked_order + row, mask=real, other=0)
    square = tl.zeros((BLOCK, SIZE), tl.float64)
    for axis in tl.static_range(3):
        apart = tl.load(points + 3 * index + axis) - tl.load(queries + 3 * query + axis)[:, None]
        square += apart * apart
    distance = tl.where(there, tl.sqrt(square), float("inf"))
    one, other = distance[:, :, None], distance[:, None, :]
    earlier = (one < other) | ((one == other) & (column[:, None] < column[None, :])[None, :, :])
    rank = tl.sum(earlier.to(tl.int32), axis=1)
    at = query[:, None] * k + rank
    tl.store(indices + at, index, mask=there)
    tl.store(distances + at, distance, mask=there)
