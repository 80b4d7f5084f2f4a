"""Nearest neighbours by boxes of points on a GPU."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.geometry.curve import order_along_curve

BOX = 32  # points of a box, and the most neighbours that can be asked for (layout)
_SCANNED = 256  # boxes looked over together (layout)
_FAR = 1e30  # coordinate of slots without a point; its square is infinite


def nearest(points: Tensor, k: int) -> Tensor:
    """Indices (N, k <= 32) of the nearest other points of ``points`` (N, 3) float32, nearest first; k < N.

    Exact but for the rounding of float32 differences. Points along a space-filling curve fill boxes of 32. A program takes the points of
    one box and looks through the boxes around it on the curve, then through all that could hold something nearer than what it has.
    """
    count = len(points)
    order = order_along_curve(points)
    boxes = triton.cdiv(count, BOX)
    members = points.new_full((boxes * BOX, 3), _FAR)
    members[:count] = points[order]
    box = members.reshape(boxes, BOX, 3)
    low, high = box.amin(1), torch.where(box < _FAR, box, -_FAR).amax(1)
    slots = torch.empty(count, k, dtype=torch.int32, device=points.device)
    _nearest[(boxes,)](members, low, high, slots, count, boxes, k, BOX=BOX, SCANNED=_SCANNED, num_warps=4)
    indices = torch.empty(count, k, dtype=torch.int64, device=points.device)
    indices[order] = order[slots.long()]
    return indices


@triton.jit
def _merged(best, members, x, y, z, own, box, BOX: tl.constexpr):  # type: ignore[no-untyped-def]
    """The 32 smallest, in order, of ``best`` (32, 32) and of the keys of all pairs with the box: squared distance, then slot."""
    slot = box * BOX + tl.arange(0, BOX)
    dx = x[:, None] - tl.load(members + 3 * slot)[None, :]
    dy = y[:, None] - tl.load(members + 3 * slot + 1)[None, :]
    dz = z[:, None] - tl.load(members + 3 * slot + 2)[None, :]
    square = dx * dx + dy * dy + dz * dz
    square = tl.where(own[:, None] == slot[None, :], float("inf"), square)
    key = (square.to(tl.int32, bitcast=True).to(tl.int64) << 32) | slot[None, :].to(tl.int64)
    both = tl.sort(tl.reshape(tl.join(best, key), (BOX, 2 * BOX)), dim=1)
    lower, _ = tl.split(tl.permute(tl.reshape(both, (BOX, 2, BOX)), (0, 2, 1)))
    return lower


@triton.jit
def _nearest(members, low, high, slots, count, boxes, k, BOX: tl.constexpr, SCANNED: tl.constexpr):  # type: ignore[no-untyped-def]
    box = tl.program_id(0)
    own = box * BOX + tl.arange(0, BOX)
    rank = tl.arange(0, BOX)
    real = own < count
    x = tl.load(members + 3 * own)
    y = tl.load(members + 3 * own + 1)
    z = tl.load(members + 3 * own + 2)
    lx = tl.load(low + 3 * box)
    ly = tl.load(low + 3 * box + 1)
    lz = tl.load(low + 3 * box + 2)
    hx = tl.load(high + 3 * box)
    hy = tl.load(high + 3 * box + 1)
    hz = tl.load(high + 3 * box + 2)
    best = tl.full((BOX, BOX), 0x7F80000000000000, tl.int64)  # infinitely far
    first = tl.maximum(box - 2, 0)
    last = tl.minimum(box + 3, boxes)
    for near in range(first, last):
        best = _merged(best, members, x, y, z, own, near, BOX)
    for start in range(0, boxes, SCANNED):
        other = start + tl.arange(0, SCANNED)
        there = (other < boxes) & ((other < first) | (other >= last))
        gx = tl.maximum(tl.load(low + 3 * other, mask=there, other=0.0) - hx, lx - tl.load(high + 3 * other, mask=there, other=0.0))
        gy = tl.maximum(tl.load(low + 3 * other + 1, mask=there, other=0.0) - hy, ly - tl.load(high + 3 * other + 1, mask=there, other=0.0))
        gz = tl.maximum(tl.load(low + 3 * other + 2, mask=there, other=0.0) - hz, lz - tl.load(high + 3 * other + 2, mask=there, other=0.0))
        gx = tl.maximum(gx, 0.0)
        gy = tl.maximum(gy, 0.0)
        gz = tl.maximum(gz, 0.0)
        # Rounding may have made the gap a little larger than it is.
        gap = tl.where(there, (gx * gx + gy * gy + gz * gz) * 0.99999, float("inf"))
        worst = tl.max(tl.where((rank[None, :] == k - 1) & real[:, None], best >> 32, 0)).to(tl.int32).to(tl.float32, bitcast=True)
        nearest = tl.min(gap)
        while (nearest < worst) | ((worst == float("inf")) & (nearest < float("inf"))):
            place = tl.argmin(gap, axis=0)
            best = _merged(best, members, x, y, z, own, start + place, BOX)
            gap = tl.where(tl.arange(0, SCANNED) == place, float("inf"), gap)
            worst = tl.max(tl.where((rank[None, :] == k - 1) & real[:, None], best >> 32, 0)).to(tl.int32).to(tl.float32, bitcast=True)
            nearest = tl.min(gap)
    tl.store(slots + own[:, None] * k + rank[None, :], (best & 0xFFFFFFFF).to(tl.int32), mask=real[:, None] & (rank < k)[None, :])
