"""From raw parameters to splats on the screen, and the gradient back to the raw parameters.

A splat is a record of 16 float32. Its opacity at the pixel offset (dx, dy) from its centre is
``2^(A dx^2 + B dx dy + D dy^2 + log2 opacity)``: activation, conic and base of the exponential are folded into A, B, D once per splat.

Formulas: EWA splatting (Zwicker et al. 2001) as used by 3DGS (Kerbl et al. 2023): covariance J W R S S R^T W^T J^T + EPS_2D I with the
ray slopes in J clamped (see rendering/rules.py).
"""

# mypy: disable-error-code="no-untyped-def"
# Triton infers the types of kernels.

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.backends.cuda import CameraTensors, Projected
from trackersplat.rendering.backends.triton.harmonics import harmonic, harmonic_gradient
from trackersplat.rendering.rules import EPS_2D, FAR, LOG2_ALPHA_MIN, SLOPE_MARGIN

RECORD = 16  # floats per splat: u, v, A, B, D, log2 opacity, red, green, blue, depth; the rest is free
SUMS = 10  # of a record of sums over the pixels of a splat, which blending leaves: of the gradient with respect to the exponent (to base e)
# times 1, dx, dx^2, dy, dx dy, dy^2, then the gradients of the colours and of the depth
_BLOCK = 128  # Gaussians per program (layout)

# Parts of larger tensors, aligned in every way: each way would be compiled for itself.
_INPUTS = ["means", "quats", "log_scales", "logits", "sh", "pose", "lens", "center"]
_LOG2_E = tl.constexpr(1.4426950408889634)
_LN_2 = tl.constexpr(0.6931471805599453)
_RULES = {"EPS_2D": EPS_2D, "SLOPE_MARGIN": SLOPE_MARGIN}


@dataclass(frozen=True, eq=False)
class Splats(Projected):
    """Not differentiable: the gradient is `unproject`."""

    records: Tensor  # (C, N, 16); empty without colours
    degree: int  # of the colours; -1 without


@torch.no_grad()
def project(gaussians: Gaussians, cameras: CameraTensors, degree: int | None) -> Splats:
    """What the cameras see of the Gaussians."""
    views, count = len(cameras.pose), len(gaussians)
    like = gaussians.means
    splats = Splats(
        radii=torch.empty(views, count, 2, dtype=torch.int32, device=like.device),
        means2d=like.new_empty(views, count, 2),
        depths=like.new_empty(views, count),
        conics=like.new_empty(views, count, 3),
        opacities=like.new_empty(count),
        records=like.new_empty((views, count, RECORD) if degree is not None else (0,)),
        degree=-1 if degree is None else degree,
    )
    _project[(triton.cdiv(count, _BLOCK), views)](
        *_raw(gaussians), *_lenses(cameras),
        splats.radii, splats.means2d, splats.depths, splats.conics, splats.opacities, splats.records,
        count, gaussians.sh.shape[1], cameras.width, cameras.height, cameras.near,
        DEGREE=splats.degree, FAR=FAR, LOG2_ALPHA_MIN=LOG2_ALPHA_MIN, RECORD=RECORD, BLOCK=_BLOCK, num_warps=4, **_RULES,
    )  # fmt: skip
    return splats


def unproject(gaussians: Gaussians, cameras: CameraTensors, splats: Splats, sums: Tensor) -> tuple[Tensor, ...]:
    """The gradients of the raw parameters for the sums (C, N, 16) of each splat: like `Gaussians.tensors`, summed over the cameras."""
    used, stored = (splats.degree + 1) ** 2, gaussians.sh.shape[1]
    made = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in gaussians.tensors().values()]
    if used < stored:
        made[-1].zero_()
    count = len(gaussians)
    for view in range(len(cameras.pose)):
        _unproject[(triton.cdiv(count, _BLOCK),)](
            *_raw(gaussians), *_lenses(cameras), splats.radii, sums, *made, count, stored, cameras.width, cameras.height, view,
            DEGREE=splats.degree, ADD=view > 0, RECORD=RECORD, BLOCK=_BLOCK, num_warps=4, **_RULES,
        )  # fmt: skip
    return tuple(made)


def _raw(gaussians: Gaussians) -> tuple[Tensor, ...]:
    return tuple(tensor.detach().contiguous() for tensor in gaussians.tensors().values())


def _lenses(cameras: CameraTensors) -> tuple[Tensor, Tensor, Tensor]:
    return cameras.pose.contiguous(), cameras.intrinsics.contiguous(), cameras.center.contiguous()


@triton.jit
def _rotation(pose):
    """The rotation world to camera, row by row."""
    return (
        tl.load(pose), tl.load(pose + 1), tl.load(pose + 2),
        tl.load(pose + 4), tl.load(pose + 5), tl.load(pose + 6),
        tl.load(pose + 8), tl.load(pose + 9), tl.load(pose + 10),
    )  # fmt: skip


@triton.jit
def _slope_limits(lens, width, height, SLOPE_MARGIN: tl.constexpr):
    """Least and largest ray slope in x and y that the Jacobian takes."""
    fx, cx, fy, cy = tl.load(lens), tl.load(lens + 2), tl.load(lens + 4), tl.load(lens + 5)
    margin_x, margin_y = 0.5 * SLOPE_MARGIN * width / fx, 0.5 * SLOPE_MARGIN * height / fy
    return -cx / fx - margin_x, (width - cx) / fx + margin_x, -cy / fy - margin_y, (height - cy) / fy + margin_y


@triton.jit
def _clamped(value, least, most):
    """Without minimum and maximum, so that NaN stays NaN."""
    value = tl.where(value < least, least, value)
    return tl.where(value > most, most, value)


@triton.jit
def _scales(log_scales, g, there):
    """Standard deviations, in a range whose squares do not overflow."""
    s0 = tl.load(log_scales + 3 * g, mask=there, other=0.0) * _LOG2_E
    s1 = tl.load(log_scales + 3 * g + 1, mask=there, other=0.0) * _LOG2_E
    s2 = tl.load(log_scales + 3 * g + 2, mask=there, other=0.0) * _LOG2_E
    return tl.exp2(_clamped(s0, -60.0, 60.0)), tl.exp2(_clamped(s1, -60.0, 60.0)), tl.exp2(_clamped(s2, -60.0, 60.0))


@triton.jit
def _log2_opacity(logits, g, there):
    """log2 of 1 / (1 + exp(-logit))."""
    exponent = tl.load(logits + g, mask=there, other=0.0) * -_LOG2_E
    return -tl.log2(1.0 + tl.exp2(_clamped(exponent, -126.0, 126.0)))


@triton.jit
def _unit_quaternion(quats, g, there):
    """w, x, y, z divided by the norm, and one over the norm."""
    w = tl.load(quats + 4 * g, mask=there, other=1.0)
    x = tl.load(quats + 4 * g + 1, mask=there, other=0.0)
    y = tl.load(quats + 4 * g + 2, mask=there, other=0.0)
    z = tl.load(quats + 4 * g + 3, mask=there, other=0.0)
    rn = 1.0 / tl.sqrt(w * w + x * x + y * y + z * z)
    return w * rn, x * rn, y * rn, z * rn, rn


@triton.jit
def _matrix(w, x, y, z):
    """The rotation matrix of a unit quaternion, row by row."""
    return (
        1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y),
        2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x),
        2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y),
    )  # fmt: skip


@triton.jit
def _screen_covariance(p0, p1, p2, p3, p4, p5, EPS_2D: tl.constexpr):
    """xx, xy, yy of P P^T + EPS_2D I and its determinant (by Cauchy-Binet: no cancellation, unlike xx yy - xy^2)."""
    xx = p0 * p0 + p1 * p1 + p2 * p2
    xy = p0 * p3 + p1 * p4 + p2 * p5
    yy = p3 * p3 + p4 * p4 + p5 * p5
    n0, n1, n2 = p1 * p5 - p2 * p4, p2 * p3 - p0 * p5, p0 * p4 - p1 * p3
    determinant = n0 * n0 + n1 * n1 + n2 * n2 + (xx + yy + EPS_2D) * EPS_2D
    return xx + EPS_2D, xy, yy + EPS_2D, determinant


@triton.jit
def _direction(center, mx, my, mz):
    """Unit vector from the camera to the mean, and one over the distance."""
    x, y, z = mx - tl.load(center), my - tl.load(center + 1), mz - tl.load(center + 2)
    rn = 1.0 / tl.sqrt(tl.maximum(x * x + y * y + z * z, 1e-30))
    return x * rn, y * rn, z * rn, rn


@triton.jit
def _raw_colors(sh, g, x, y, z, stored, there, DEGREE: tl.constexpr):
    """0.5 + the sum over the harmonics, before the clamp at 0."""
    red, green, blue = tl.zeros_like(x) + 0.5, tl.zeros_like(x) + 0.5, tl.zeros_like(x) + 0.5
    for k in tl.static_range((DEGREE + 1) * (DEGREE + 1)):
        value = harmonic(x, y, z, k)
        at = sh + (g * stored + k) * 3
        red += value * tl.load(at, mask=there, other=0.0)
        green += value * tl.load(at + 1, mask=there, other=0.0)
        blue += value * tl.load(at + 2, mask=there, other=0.0)
    return red, green, blue


@triton.jit(do_not_specialize=["count"], do_not_specialize_on_alignment=_INPUTS)
def _project(
    means, quats, log_scales, logits, sh, pose, lens, center,
    radii, means2d, depths, conics, opacities, records, count, stored, width, height, near,
    DEGREE: tl.constexpr, FAR: tl.constexpr, LOG2_ALPHA_MIN: tl.constexpr, RECORD: tl.constexpr, BLOCK: tl.constexpr,
    EPS_2D: tl.constexpr, SLOPE_MARGIN: tl.constexpr,
):  # fmt: skip
    view = tl.program_id(1)
    g = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = g < count
    pose += 16 * view
    lens += 9 * view
    mx = tl.load(means + 3 * g, mask=there, other=0.0)
    my = tl.load(means + 3 * g + 1, mask=there, other=0.0)
    mz = tl.load(means + 3 * g + 2, mask=there, other=0.0)
    w0, w1, w2, w3, w4, w5, w6, w7, w8 = _rotation(pose)
    z = w6 * mx + w7 * my + w8 * mz + tl.load(pose + 11)
    log_opacity = _log2_opacity(logits, g, there)
    if view == 0:
        tl.store(opacities + g, tl.exp2(log_opacity), mask=there)
    visible = there & (z > near) & (z < FAR) & (log_opacity > LOG2_ALPHA_MIN)  # NaN compares false
    z = tl.where(visible, z, 1.0)
    rz = 1.0 / z
    slope_x = tl.where(visible, w0 * mx + w1 * my + w2 * mz + tl.load(pose + 3), 0.0) * rz
    slope_y = tl.where(visible, w3 * mx + w4 * my + w5 * mz + tl.load(pose + 7), 0.0) * rz
    fx, fy = tl.load(lens), tl.load(lens + 4)
    u, v = fx * slope_x + tl.load(lens + 2), fy * slope_y + tl.load(lens + 5)

    # J W R S: the three axes of the ellipsoid in pixels, two rows
    least_x, most_x, least_y, most_y = _slope_limits(lens, width, height, SLOPE_MARGIN)
    sx, sy = _clamped(slope_x, least_x, most_x), _clamped(slope_y, least_y, most_y)
    j0, j1, j2 = rz * (w0 - sx * w6), rz * (w1 - sx * w7), rz * (w2 - sx * w8)
    j3, j4, j5 = rz * (w3 - sy * w6), rz * (w4 - sy * w7), rz * (w5 - sy * w8)
    qw, qx, qy, qz, _rn = _unit_quaternion(quats, g, there)
    r0, r1, r2, r3, r4, r5, r6, r7, r8 = _matrix(qw, qx, qy, qz)
    s0, s1, s2 = _scales(log_scales, g, visible)
    p0, p1, p2 = fx * s0 * (j0 * r0 + j1 * r3 + j2 * r6), fx * s1 * (j0 * r1 + j1 * r4 + j2 * r7), fx * s2 * (j0 * r2 + j1 * r5 + j2 * r8)
    p3, p4, p5 = fy * s0 * (j3 * r0 + j4 * r3 + j5 * r6), fy * s1 * (j3 * r1 + j4 * r4 + j5 * r7), fy * s2 * (j3 * r2 + j4 * r5 + j5 * r8)
    xx, xy, yy, determinant = _screen_covariance(p0, p1, p2, p3, p4, p5, EPS_2D)
    rd = 1.0 / determinant

    # alpha >= ALPHA_MIN within this many pixels of the centre
    reach = tl.maximum(log_opacity - LOG2_ALPHA_MIN, 0.0) * (2.0 * _LN_2)
    extent_x, extent_y = tl.sqrt(reach * xx), tl.sqrt(reach * yy)
    visible &= (u + extent_x > 0.0) & (u - extent_x < width) & (v + extent_y > 0.0) & (v - extent_y < height)
    visible &= (extent_x < 1e9) & (extent_y < 1e9) & (rd > 0.0)
    at = view.to(tl.int64) * count + g
    tl.store(radii + 2 * at, tl.where(visible, tl.ceil(extent_x), 0.0).to(tl.int32), mask=there)
    tl.store(radii + 2 * at + 1, tl.where(visible, tl.ceil(extent_y), 0.0).to(tl.int32), mask=there)
    tl.store(depths + at, tl.where(visible, z, 0.0), mask=there)
    tl.store(means2d + 2 * at, u, mask=visible)
    tl.store(means2d + 2 * at + 1, v, mask=visible)
    tl.store(conics + 3 * at, yy * rd, mask=visible)
    tl.store(conics + 3 * at + 1, -xy * rd, mask=visible)
    tl.store(conics + 3 * at + 2, xx * rd, mask=visible)
    if DEGREE >= 0:
        x, y, z_direction, _rn = _direction(center + 3 * view, mx, my, mz)
        red, green, blue = _raw_colors(sh, g, x, y, z_direction, stored, visible, DEGREE)
        record = records + RECORD * at
        tl.store(record, u, mask=visible)
        tl.store(record + 1, v, mask=visible)
        tl.store(record + 2, yy * rd * (-0.5 * _LOG2_E), mask=visible)
        tl.store(record + 3, xy * rd * _LOG2_E, mask=visible)
        tl.store(record + 4, xx * rd * (-0.5 * _LOG2_E), mask=visible)
        tl.store(record + 5, log_opacity, mask=visible)
        tl.store(record + 6, tl.maximum(red, 0.0), mask=visible)
        tl.store(record + 7, tl.maximum(green, 0.0), mask=visible)
        tl.store(record + 8, tl.maximum(blue, 0.0), mask=visible)
        tl.store(record + 9, z, mask=visible)


@triton.jit
def _put(pointer, value, seen, there, ADD: tl.constexpr):
    """Stores, or adds to what is there; nothing of what is not seen, where values may not be finite."""
    value = tl.where(seen, value, 0.0)
    if ADD:
        value += tl.load(pointer, mask=there, other=0.0)
    tl.store(pointer, value, mask=there)


@triton.jit(do_not_specialize=["count", "view"], do_not_specialize_on_alignment=_INPUTS)
def _unproject(
    means, quats, log_scales, logits, sh, pose, lens, center, radii, sums,
    grad_means, grad_quats, grad_scales, grad_logits, grad_sh, count, stored, width, height, view,
    DEGREE: tl.constexpr, ADD: tl.constexpr, RECORD: tl.constexpr, BLOCK: tl.constexpr, EPS_2D: tl.constexpr, SLOPE_MARGIN: tl.constexpr,
):  # fmt: skip
    g = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = g < count
    at = tl.cast(view, tl.int64) * count + g
    seen = tl.load(radii + 2 * at, mask=there, other=0) > 0
    pose += 16 * view
    lens += 9 * view

    # forward again
    mx = tl.load(means + 3 * g, mask=seen, other=0.0)
    my = tl.load(means + 3 * g + 1, mask=seen, other=0.0)
    mz = tl.load(means + 3 * g + 2, mask=seen, other=0.0)
    w0, w1, w2, w3, w4, w5, w6, w7, w8 = _rotation(pose)
    x = tl.where(seen, w0 * mx + w1 * my + w2 * mz + tl.load(pose + 3), 0.0)
    y = tl.where(seen, w3 * mx + w4 * my + w5 * mz + tl.load(pose + 7), 0.0)
    z = tl.where(seen, w6 * mx + w7 * my + w8 * mz + tl.load(pose + 11), 1.0)
    rz = 1.0 / z
    slope_x, slope_y = x * rz, y * rz
    fx, fy = tl.load(lens), tl.load(lens + 4)
    least_x, most_x, least_y, most_y = _slope_limits(lens, width, height, SLOPE_MARGIN)
    sx, sy = _clamped(slope_x, least_x, most_x), _clamped(slope_y, least_y, most_y)
    j0, j1, j2 = rz * (w0 - sx * w6), rz * (w1 - sx * w7), rz * (w2 - sx * w8)
    j3, j4, j5 = rz * (w3 - sy * w6), rz * (w4 - sy * w7), rz * (w5 - sy * w8)
    qw, qx, qy, qz, rn = _unit_quaternion(quats, g, seen)
    r0, r1, r2, r3, r4, r5, r6, r7, r8 = _matrix(qw, qx, qy, qz)
    s0, s1, s2 = _scales(log_scales, g, seen)
    p0, p1, p2 = fx * s0 * (j0 * r0 + j1 * r3 + j2 * r6), fx * s1 * (j0 * r1 + j1 * r4 + j2 * r7), fx * s2 * (j0 * r2 + j1 * r5 + j2 * r8)
    p3, p4, p5 = fy * s0 * (j3 * r0 + j4 * r3 + j5 * r6), fy * s1 * (j3 * r1 + j4 * r4 + j5 * r7), fy * s2 * (j3 * r2 + j4 * r5 + j5 * r8)
    xx, xy, yy, determinant = _screen_covariance(p0, p1, p2, p3, p4, p5, EPS_2D)
    rd = 1.0 / determinant
    a, b, c = yy * rd, -xy * rd, xx * rd

    # screen position, and covariance (doubled): d(cov) = -conic G conic for symmetric G
    record = sums + RECORD * at
    sum_x, sum_y = tl.load(record + 1, mask=seen, other=0.0), tl.load(record + 3, mask=seen, other=0.0)
    g_u, g_v = a * sum_x + b * sum_y, b * sum_x + c * sum_y
    h_xx = -0.5 * tl.load(record + 2, mask=seen, other=0.0)
    h_xy = -0.5 * tl.load(record + 4, mask=seen, other=0.0)
    h_yy = -0.5 * tl.load(record + 5, mask=seen, other=0.0)
    k0, k1 = a * h_xx + b * h_xy, a * h_xy + b * h_yy
    k2, k3 = b * h_xx + c * h_xy, b * h_xy + c * h_yy
    g_xx, g_xy, g_yy = -2.0 * (k0 * a + k1 * b), -2.0 * (k2 * a + k3 * b), -2.0 * (k2 * b + k3 * c)
    g_p0, g_p1, g_p2 = g_xx * p0 + g_xy * p3, g_xx * p1 + g_xy * p4, g_xx * p2 + g_xy * p5
    g_p3, g_p4, g_p5 = g_yy * p3 + g_xy * p0, g_yy * p4 + g_xy * p1, g_yy * p5 + g_xy * p2
    _put(grad_scales + 3 * g, g_p0 * p0 + g_p3 * p3, seen, there, ADD)
    _put(grad_scales + 3 * g + 1, g_p1 * p1 + g_p4 * p4, seen, there, ADD)
    _put(grad_scales + 3 * g + 2, g_p2 * p2 + g_p5 * p5, seen, there, ADD)

    # J W R, whose factors S are known
    v0, v1, v2 = g_p0 * s0 * fx, g_p1 * s1 * fx, g_p2 * s2 * fx
    v3, v4, v5 = g_p3 * s0 * fy, g_p4 * s1 * fy, g_p5 * s2 * fy
    d0, d1, d2 = j0 * v0 + j3 * v3, j0 * v1 + j3 * v4, j0 * v2 + j3 * v5
    d3, d4, d5 = j1 * v0 + j4 * v3, j1 * v1 + j4 * v4, j1 * v2 + j4 * v5
    d6, d7, d8 = j2 * v0 + j5 * v3, j2 * v1 + j5 * v4, j2 * v2 + j5 * v5
    g_w = 2.0 * (qx * (d7 - d5) + qy * (d2 - d6) + qz * (d3 - d1))
    g_x = 2.0 * (qy * (d1 + d3) + qz * (d2 + d6) - 2.0 * qx * (d4 + d8) + qw * (d7 - d5))
    g_y = 2.0 * (qx * (d1 + d3) + qz * (d5 + d7) - 2.0 * qy * (d0 + d8) + qw * (d2 - d6))
    g_z = 2.0 * (qx * (d2 + d6) + qy * (d5 + d7) - 2.0 * qz * (d0 + d4) + qw * (d3 - d1))
    radial = qw * g_w + qx * g_x + qy * g_y + qz * g_z
    _put(grad_quats + 4 * g, (g_w - qw * radial) * rn, seen, there, ADD)
    _put(grad_quats + 4 * g + 1, (g_x - qx * radial) * rn, seen, there, ADD)
    _put(grad_quats + 4 * g + 2, (g_y - qy * radial) * rn, seen, there, ADD)
    _put(grad_quats + 4 * g + 3, (g_z - qz * radial) * rn, seen, there, ADD)

    opacity = tl.exp2(_log2_opacity(logits, g, seen))
    _put(grad_logits + g, tl.load(record, mask=seen, other=0.0) * (1.0 - opacity), seen, there, ADD)

    # mean: J W row 0 = rz (W_0 - sx W_2), row 1 = rz (W_1 - sy W_2), u = fx slope_x + cx, v = fy slope_y + cy
    m0, m1, m2 = v0 * r0 + v1 * r1 + v2 * r2, v0 * r3 + v1 * r4 + v2 * r5, v0 * r6 + v1 * r7 + v2 * r8
    m3, m4, m5 = v3 * r0 + v4 * r1 + v5 * r2, v3 * r3 + v4 * r4 + v5 * r5, v3 * r6 + v4 * r7 + v5 * r8
    g_sx, g_sy = -rz * (m0 * w6 + m1 * w7 + m2 * w8), -rz * (m3 * w6 + m4 * w7 + m5 * w8)
    g_slope_x = g_u * fx + tl.where((slope_x > least_x) & (slope_x < most_x), g_sx, 0.0)
    g_slope_y = g_v * fy + tl.where((slope_y > least_y) & (slope_y < most_y), g_sy, 0.0)
    g_rz = (j0 * m0 + j1 * m1 + j2 * m2 + j3 * m3 + j4 * m4 + j5 * m5) * z + g_slope_x * x + g_slope_y * y
    g_cx, g_cy, g_cz = g_slope_x * rz, g_slope_y * rz, tl.load(record + 9, mask=seen, other=0.0) - g_rz * rz * rz
    g_mx = g_cx * w0 + g_cy * w3 + g_cz * w6
    g_my = g_cx * w1 + g_cy * w4 + g_cz * w7
    g_mz = g_cx * w2 + g_cy * w5 + g_cz * w8

    # colour: no gradient where it was clamped at 0
    dx, dy, dz, ro = _direction(center + 3 * view, mx, my, mz)
    red, green, blue = _raw_colors(sh, g, dx, dy, dz, stored, seen, DEGREE)
    g_red = tl.where(red > 0.0, tl.load(record + 6, mask=seen, other=0.0), 0.0)
    g_green = tl.where(green > 0.0, tl.load(record + 7, mask=seen, other=0.0), 0.0)
    g_blue = tl.where(blue > 0.0, tl.load(record + 8, mask=seen, other=0.0), 0.0)
    g_dx, g_dy, g_dz = tl.zeros_like(dx), tl.zeros_like(dx), tl.zeros_like(dx)
    for k in tl.static_range((DEGREE + 1) * (DEGREE + 1)):
        value = harmonic(dx, dy, dz, k)
        place = (g * stored + k) * 3
        if k > 0:
            slope = g_red * tl.load(sh + place, mask=seen, other=0.0) + g_green * tl.load(sh + place + 1, mask=seen, other=0.0)
            slope += g_blue * tl.load(sh + place + 2, mask=seen, other=0.0)
            y_x, y_y, y_z = harmonic_gradient(dx, dy, dz, k)
            g_dx += slope * y_x
            g_dy += slope * y_y
            g_dz += slope * y_z
        _put(grad_sh + place, value * g_red, seen, there, ADD)
        _put(grad_sh + place + 1, value * g_green, seen, there, ADD)
        _put(grad_sh + place + 2, value * g_blue, seen, there, ADD)
    radial = dx * g_dx + dy * g_dy + dz * g_dz
    _put(grad_means + 3 * g, g_mx + (g_dx - dx * radial) * ro, seen, there, ADD)
    _put(grad_means + 3 * g + 1, g_my + (g_dy - dy * radial) * ro, seen, there, ADD)
    _put(grad_means + 3 * g + 2, g_mz + (g_dz - dz * radial) * ro, seen, there, ADD)
