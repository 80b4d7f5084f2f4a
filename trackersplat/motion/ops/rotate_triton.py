"""Rotations of neighbourhoods in one pass; stands in for the elementwise Kabsch of rotate.py."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.geometry.quaternions_triton import turned_by
from trackersplat.motion.ops.results import NeighbourhoodRotation
from trackersplat.motion.settings import RotationSettings

_BLOCK = 64  # neighbourhoods per program (layout)


def solve(
    points: Tensor,  # (N, 3) float64
    translations: Tensor,  # (N, 3) float64
    everyone: Tensor,  # (M, 1 + k) int64, the point itself first
    weight: Tensor,  # (M, 1 + k) float64
    settings: RotationSettings,
) -> NeighbourhoodRotation:
    """See `rotate.neighbourhood_rotations`."""
    count, neighbours = everyone.shape
    quaternion = points.new_empty(count, 4)
    precision = points.new_empty(count)
    alike = torch.empty(count, dtype=torch.bool, device=points.device)
    if count:
        _kabsch[(triton.cdiv(count, _BLOCK),)](
            points.contiguous(), translations.contiguous(), everyone.contiguous(), weight.contiguous(), quaternion, precision, alike,
            count, neighbours, 1.0 / settings.prior**2,
            ROUNDS=settings.rounds, STEPS=settings.newton_steps, KERNEL=settings.kernel, BLOCK=_BLOCK, num_warps=2,
        )  # fmt: skip
    return NeighbourhoodRotation(quaternion=quaternion, precision=precision, alike=alike)


@triton.jit(do_not_specialize=["count"])
def _kabsch(  # type: ignore[no-untyped-def]
    points, translations, everyone, weights, quaternion, precision, alike_out, count, neighbours, pull,
    ROUNDS: tl.constexpr, STEPS: tl.constexpr, KERNEL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    m = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = m < count
    row = m * neighbours
    own = tl.load(everyone + row, mask=there, other=0)
    x0 = tl.load(points + 3 * own)
    y0 = tl.load(points + 3 * own + 1)
    z0 = tl.load(points + 3 * own + 2)
    u0 = tl.load(translations + 3 * own)
    v0 = tl.load(translations + 3 * own + 1)
    w0 = tl.load(translations + 3 * own + 2)
    zero = x0 * 0.0
    # Centre and drift of the neighbourhood, both from those of its own point; and its rotation.
    cx, cy, cz, dx, dy, dz = zero, zero, zero, zero, zero, zero
    qw, qx, qy, qz = zero, zero, zero, zero
    moment = zero
    differs = zero
    # The round after the last only weighs.
    for step in range(ROUNDS + 1):
        total, bx, by, bz, tx, ty, tz = zero, zero, zero, zero, zero, zero, zero
        xx, xy, xz, yx, yy, yz, zx, zy, zz = zero, zero, zero, zero, zero, zero, zero, zero, zero
        moment = zero
        for j in range(neighbours):
            index = tl.load(everyone + row + j, mask=there, other=0)
            weight = tl.load(weights + row + j, mask=there, other=0.0)
            px = tl.load(points + 3 * index) - x0
            py = tl.load(points + 3 * index + 1) - y0
            pz = tl.load(points + 3 * index + 2) - z0
            mx = tl.load(translations + 3 * index) - u0
            my = tl.load(translations + 3 * index + 1) - v0
            mz = tl.load(translations + 3 * index + 2) - w0
            if step == 0:
                differs += tl.where((mx != 0.0) | (my != 0.0) | (mz != 0.0), 1.0, 0.0)
            else:
                fx, fy, fz = px - cx, py - cy, pz - cz
                kx, ky, kz = turned_by(qw, qx, qy, qz, fx, fy, fz)
                ex, ey, ez = mx - dx - kx, my - dy - ky, mz - dz - kz
                soft = 1.0 + (ex * ex + ey * ey + ez * ez) * weight / (KERNEL * KERNEL)
                weight = weight / (soft * soft)
                moment += weight * (fx * fx + fy * fy + fz * fz)
            total += weight
            bx += weight * px
            by += weight * py
            bz += weight * pz
            tx += weight * mx
            ty += weight * my
            tz += weight * mz
            ax, ay, az = px + mx, py + my, pz + mz
            xx += weight * ax * px
            xy += weight * ax * py
            xz += weight * ax * pz
            yx += weight * ay * px
            yy += weight * ay * py
            yz += weight * ay * pz
            zx += weight * az * px
            zy += weight * az * py
            zz += weight * az * pz
        if step < ROUNDS:
            norm = 1.0 / tl.maximum(total, 1e-300)
            cx, cy, cz = bx * norm, by * norm, bz * norm
            dx, dy, dz = tx * norm, ty * norm, tz * norm
            ax, ay, az = bx + tx, by + ty, bz + tz
            qw, qx, qy, qz = _best_rotation(
                xx - ax * cx + pull, xy - ax * cy, xz - ax * cz,
                yx - ay * cx, yy - ay * cy + pull, yz - ay * cz,
                zx - az * cx, zy - az * cy, zz - az * cz + pull, STEPS,
            )  # fmt: skip
    tl.store(quaternion + 4 * m, qw, mask=there)
    tl.store(quaternion + 4 * m + 1, qx, mask=there)
    tl.store(quaternion + 4 * m + 2, qy, mask=there)
    tl.store(quaternion + 4 * m + 3, qz, mask=there)
    tl.store(precision + m, (2.0 / 3.0) * moment, mask=there)
    tl.store(alike_out + m, differs == 0.0, mask=there)


@triton.jit
def _best_rotation(xx, xy, xz, yx, yy, yz, zx, zy, zz, STEPS: tl.constexpr):  # type: ignore[no-untyped-def]
    """See `geometry.quaternions.best_rotation`. Rows of the matrix belong to what is turned to, columns to what is turned."""
    largest_entry = tl.maximum(tl.maximum(tl.abs(xx), tl.abs(yy)), tl.abs(zz))
    largest_entry = tl.maximum(largest_entry, tl.maximum(tl.maximum(tl.abs(xy), tl.abs(xz)), tl.abs(yz)))
    largest_entry = tl.maximum(largest_entry, tl.maximum(tl.maximum(tl.abs(yx), tl.abs(zx)), tl.abs(zy)))
    something = largest_entry > 0.0
    scale = tl.where(something, 1.0 / tl.maximum(largest_entry, 1e-300), 0.0)
    one = tl.where(something, 0.0, 1.0)
    xx, yy, zz = xx * scale + one, yy * scale + one, zz * scale + one
    xy, xz, yx, yz, zx, zy = xy * scale, xz * scale, yx * scale, yz * scale, zx * scale, zy * scale
    k00, k01, k02, k03 = xx + yy + zz, zy - yz, xz - zx, yx - xy
    k11, k12, k13 = xx - yy - zz, xy + yx, zx + xz
    k22, k23 = yy - xx - zz, yz + zy
    k33 = zz - xx - yy
    square = xx * xx + xy * xy + xz * xz + yx * yx + yy * yy + yz * yz + zx * zx + zy * zy + zz * zz
    linear = -8.0 * (xx * (yy * zz - yz * zy) - xy * (yx * zz - yz * zx) + xz * (yx * zy - yy * zx))
    m0, m1, m2, m3 = _first_cofactors(k01, k02, k03, k11, k12, k13, k22, k23, k33)
    constant = k00 * m0 + k01 * m1 + k02 * m2 + k03 * m3
    value = tl.sqrt(3.0 * square)  # no sum of three singular values is larger
    for _ in range(STEPS):
        height = ((value * value - 2.0 * square) * value + linear) * value + constant
        slope = (4.0 * value * value - 4.0 * square) * value + linear
        value -= tl.where(slope > 0.0, tl.maximum(height / tl.maximum(slope, 1e-300), 0.0), 0.0)
    qw, qx, qy, qz = _null_vector(k00 - value, k01, k02, k03, k11 - value, k12, k13, k22 - value, k23, k33 - value)
    # Rounding of the polynomial costs half the digits where two eigenvalues are alike; the Rayleigh quotient brings them back.
    value = (
        qw * (k00 * qw + k01 * qx + k02 * qy + k03 * qz)
        + qx * (k01 * qw + k11 * qx + k12 * qy + k13 * qz)
        + qy * (k02 * qw + k12 * qx + k22 * qy + k23 * qz)
        + qz * (k03 * qw + k13 * qx + k23 * qy + k33 * qz)
    )
    qw, qx, qy, qz = _null_vector(k00 - value, k01, k02, k03, k11 - value, k12, k13, k22 - value, k23, k33 - value)
    sign = tl.where(qw < 0.0, -1.0, 1.0)
    return qw * sign, qx * sign, qy * sign, qz * sign


@triton.jit
def _first_cofactors(k01, k02, k03, k11, k12, k13, k22, k23, k33):  # type: ignore[no-untyped-def]
    """The cofactors of the first row of a symmetric 4x4 matrix."""
    a = k22 * k33 - k23 * k23
    b = k12 * k33 - k13 * k23
    c = k12 * k23 - k13 * k22
    d = k02 * k33 - k03 * k23
    e = k02 * k23 - k03 * k22
    f = k02 * k13 - k03 * k12
    return k11 * a - k12 * b + k13 * c, -(k01 * a - k12 * d + k13 * e), k01 * b - k11 * d + k13 * f, -(k01 * c - k11 * e + k12 * f)


@triton.jit
def _null_vector(k00, k01, k02, k03, k11, k12, k13, k22, k23, k33):  # type: ignore[no-untyped-def]
    """The unit null vector of a singular symmetric 4x4 matrix: the longest row of its adjugate."""
    a = k22 * k33 - k23 * k23
    b = k12 * k33 - k13 * k23
    c = k12 * k23 - k13 * k22
    d = k02 * k33 - k03 * k23
    e = k02 * k23 - k03 * k22
    f = k02 * k13 - k03 * k12
    g = k01 * k12 - k02 * k11
    h = k01 * k13 - k03 * k11
    a00 = k11 * a - k12 * b + k13 * c
    a01 = -(k01 * a - k12 * d + k13 * e)
    a02 = k01 * b - k11 * d + k13 * f
    a03 = -(k01 * c - k11 * e + k12 * f)
    a11 = k00 * a - k02 * d + k03 * e
    a12 = -(k00 * b - k01 * d + k03 * f)
    a13 = k00 * c - k01 * e + k02 * f
    a22 = k00 * (k11 * k33 - k13 * k13) - k01 * (k01 * k33 - k03 * k13) + k03 * h
    a23 = -(k00 * (k11 * k23 - k12 * k13) - k01 * (k01 * k23 - k02 * k13) + k03 * g)
    a33 = k00 * (k11 * k22 - k12 * k12) - k01 * (k01 * k22 - k02 * k12) + k02 * g
    best = a00 * a00 + a01 * a01 + a02 * a02 + a03 * a03
    w, x, y, z = a00, a01, a02, a03
    length = a01 * a01 + a11 * a11 + a12 * a12 + a13 * a13
    longer = length > best
    best = tl.where(longer, length, best)
    w, x, y, z = tl.where(longer, a01, w), tl.where(longer, a11, x), tl.where(longer, a12, y), tl.where(longer, a13, z)
    length = a02 * a02 + a12 * a12 + a22 * a22 + a23 * a23
    longer = length > best
    best = tl.where(longer, length, best)
    w, x, y, z = tl.where(longer, a02, w), tl.where(longer, a12, x), tl.where(longer, a22, y), tl.where(longer, a23, z)
    length = a03 * a03 + a13 * a13 + a23 * a23 + a33 * a33
    longer = length > best
    best = tl.where(longer, length, best)
    w, x, y, z = tl.where(longer, a03, w), tl.where(longer, a13, x), tl.where(longer, a23, y), tl.where(longer, a33, z)
    norm = 1.0 / tl.sqrt(tl.maximum(best, 1e-300))
    return w * norm, x * norm, y * norm, z * norm
