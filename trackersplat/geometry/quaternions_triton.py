"""Small products that several kernels need, component by component."""

from __future__ import annotations

import triton
import triton.language as tl


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
