"""Rotations in one pass each, which stand in for those of quaternions.py, and products that several kernels need, by component."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 256  # rotations per program (layout)


def to_matrix(quaternions: Tensor) -> Tensor:
    """See `quaternions.quaternion_to_matrix`."""
    result = quaternions.new_empty(*quaternions.shape[:-1], 3, 3)
    count = quaternions.numel() // 4
    _to_matrix[(triton.cdiv(count, _BLOCK),)](quaternions.contiguous(), result, count, BLOCK=_BLOCK)
    return result


def from_rotation_vector(vectors: Tensor) -> Tensor:
    """See `quaternions.rotation_vector_to_quaternion`."""
    result = vectors.new_empty(*vectors.shape[:-1], 4)
    count = vectors.numel() // 3
    _from_rotation_vector[(triton.cdiv(count, _BLOCK),)](vectors.contiguous(), result, count, BLOCK=_BLOCK)
    return result


def rotated(quaternions: Tensor, vectors: Tensor) -> Tensor:
    """See `quaternions.rotate`; one quaternion for each vector."""
    result = torch.empty_like(vectors, memory_format=torch.contiguous_format)
    count = vectors.numel() // 3
    _rotated[(triton.cdiv(count, _BLOCK),)](quaternions.contiguous(), vectors.contiguous(), result, count, BLOCK=_BLOCK)
    return result


@triton.jit(do_not_specialize=["count"])
def _to_matrix(quaternions, result, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    w = tl.load(quaternions + 4 * n, mask=there, other=1.0)
    x = tl.load(quaternions + 4 * n + 1, mask=there, other=0.0)
    y = tl.load(quaternions + 4 * n + 2, mask=there, other=0.0)
    z = tl.load(quaternions + 4 * n + 3, mask=there, other=0.0)
    norm = tl.maximum(tl.sqrt(w * w + x * x + y * y + z * z), 1e-12)
    w, x, y, z = w / norm, x / norm, y / norm, z / norm
    out = result + 9 * n
    tl.store(out, 1 - 2 * (y * y + z * z), mask=there)
    tl.store(out + 1, 2 * (x * y - w * z), mask=there)
    tl.store(out + 2, 2 * (x * z + w * y), mask=there)
    tl.store(out + 3, 2 * (x * y + w * z), mask=there)
    tl.store(out + 4, 1 - 2 * (x * x + z * z), mask=there)
    tl.store(out + 5, 2 * (y * z - w * x), mask=there)
    tl.store(out + 6, 2 * (x * z - w * y), mask=there)
    tl.store(out + 7, 2 * (y * z + w * x), mask=there)
    tl.store(out + 8, 1 - 2 * (x * x + y * y), mask=there)


@triton.jit(do_not_specialize=["count"])
def _from_rotation_vector(vectors, result, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    x = tl.load(vectors + 3 * n, mask=there, other=0.0)
    y = tl.load(vectors + 3 * n + 1, mask=there, other=0.0)
    z = tl.load(vectors + 3 * n + 2, mask=there, other=0.0)
    half = 0.5 * tl.sqrt(x * x + y * y + z * z)
    # sin(h) / h is 1 at 0, where the plain quotient is not defined.
    scale = 0.5 * tl.where(half > 0, tl.sin(half) / tl.where(half > 0, half, 1.0), 1.0)
    tl.store(result + 4 * n, tl.cos(half), mask=there)
    tl.store(result + 4 * n + 1, scale * x, mask=there)
    tl.store(result + 4 * n + 2, scale * y, mask=there)
    tl.store(result + 4 * n + 3, scale * z, mask=there)


@triton.jit(do_not_specialize=["count"])
def _rotated(quaternions, vectors, result, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    x = tl.load(vectors + 3 * n, mask=there, other=0.0)
    y = tl.load(vectors + 3 * n + 1, mask=there, other=0.0)
    z = tl.load(vectors + 3 * n + 2, mask=there, other=0.0)
    w = tl.load(quaternions + 4 * n, mask=there, other=1.0)
    by_x, by_y, by_z = turned_by(
        w,
        tl.load(quaternions + 4 * n + 1, mask=there, other=0.0),
        tl.load(quaternions + 4 * n + 2, mask=there, other=0.0),
        tl.load(quaternions + 4 * n + 3, mask=there, other=0.0),
        x, y, z,
    )  # fmt: skip
    tl.store(result + 3 * n, x + by_x, mask=there)
    tl.store(result + 3 * n + 1, y + by_y, mask=there)
    tl.store(result + 3 * n + 2, z + by_z, mask=there)


@triton.jit
def turned_by(qw, qx, qy, qz, x, y, z):  # type: ignore[no-untyped-def]
    """What the unit quaternion adds to the vector by turning it."""
    u = 2.0 * (qy * z - qz * y)
    v = 2.0 * (qz * x - qx * z)
    w = 2.0 * (qx * y - qy * x)
    return qw * u + qy * w - qz * v, qw * v + qz * u - qx * w, qw * w + qx * v - qy * u


@triton.jit
def symmetric_product(matrices, n, count, there, x, y, z):  # type: ignore[no-untyped-def]
    """Matrices ``n`` of (6, count) symmetric ones (xx, xy, xz, yy, yz, zz) times the vectors."""
    a = tl.load(matrices + n, mask=there, other=0.0)
    b = tl.load(matrices + count + n, mask=there, other=0.0)
    c = tl.load(matrices + 2 * count + n, mask=there, other=0.0)
    d = tl.load(matrices + 3 * count + n, mask=there, other=0.0)
    e = tl.load(matrices + 4 * count + n, mask=there, other=0.0)
    f = tl.load(matrices + 5 * count + n, mask=there, other=0.0)
    return a * x + b * y + c * z, b * x + d * y + e * z, c * x + e * y + f * z
