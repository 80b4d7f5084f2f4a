"""Gaussians moved in one pass; stands in for the selections of apply.py."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.motion import Motion
from trackersplat.rendering.backends.triton.harmonics import harmonic

_BLOCK = 32  # Gaussians per program (layout)


def move(gaussians: Gaussians, motion: Motion, directions: Tensor, inverses: Tensor) -> Gaussians:
    """See `apply.move`. ``directions`` (S, 3) and ``inverses`` (16, S) float32: what `sh_rotation` reads rotated bands off with."""
    means, quats, sh = (torch.empty_like(values, memory_format=torch.contiguous_format) for values in _moving(gaussians))
    if len(gaussians):
        _move[(triton.cdiv(len(gaussians), _BLOCK),)](
            *(values.contiguous() for values in (*_moving(gaussians), motion.translation, motion.rotation, motion.is_static)),
            directions, inverses, means, quats, sh, len(gaussians),
            DEGREE=gaussians.sh_degree, SAMPLES=len(directions), BLOCK=_BLOCK,
        )  # fmt: skip
    return Gaussians(means, quats, gaussians.log_scales, gaussians.opacity_logits, sh)


def _moving(gaussians: Gaussians) -> tuple[Tensor, Tensor, Tensor]:
    return gaussians.means, gaussians.quats, gaussians.sh


@triton.jit(do_not_specialize=["count"])
def _move(  # type: ignore[no-untyped-def]
    means, quats, sh, translation, rotation, is_static, directions, inverses, new_means, new_quats, new_sh, count,
    DEGREE: tl.constexpr, SAMPLES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    COEFFICIENTS: tl.constexpr = (DEGREE + 1) * (DEGREE + 1)
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    moving = there & (tl.load(is_static + n, mask=there, other=1) == 0)
    for axis in tl.static_range(3):
        at = tl.load(means + 3 * n + axis, mask=there)
        tl.store(
            new_means + 3 * n + axis, tl.where(moving, at + tl.load(translation + 3 * n + axis, mask=moving, other=0.0), at), mask=there
        )

    w = tl.load(rotation + 4 * n, mask=moving, other=1.0)
    x = tl.load(rotation + 4 * n + 1, mask=moving, other=0.0)
    y = tl.load(rotation + 4 * n + 2, mask=moving, other=0.0)
    z = tl.load(rotation + 4 * n + 3, mask=moving, other=0.0)
    turning = moving & ((x != 0.0) | (y != 0.0) | (z != 0.0))
    qw = tl.load(quats + 4 * n, mask=there, other=1.0)
    qx = tl.load(quats + 4 * n + 1, mask=there, other=0.0)
    qy = tl.load(quats + 4 * n + 2, mask=there, other=0.0)
    qz = tl.load(quats + 4 * n + 3, mask=there, other=0.0)
    pw = w * qw - (x * qx + y * qy + z * qz)
    px = w * qx + qw * x + y * qz - z * qy
    py = w * qy + qw * y + z * qx - x * qz
    pz = w * qz + qw * z + x * qy - y * qx
    norm = 1.0 / tl.maximum(tl.sqrt_rn(pw * pw + px * px + py * py + pz * pz), 1e-12)
    tl.store(new_quats + 4 * n, tl.where(turning, pw * norm, qw), mask=there)
    tl.store(new_quats + 4 * n + 1, tl.where(turning, px * norm, qx), mask=there)
    tl.store(new_quats + 4 * n + 2, tl.where(turning, py * norm, qy), mask=there)
    tl.store(new_quats + 4 * n + 3, tl.where(turning, pz * norm, qz), mask=there)

    for number in tl.static_range(3):  # the constant band has no direction
        tl.store(new_sh + 3 * COEFFICIENTS * n + number, tl.load(sh + 3 * COEFFICIENTS * n + number, mask=there), mask=there)
    if DEGREE > 0:
        if tl.sum(turning.to(tl.int32), axis=0) == 0:
            for number in tl.static_range(3, 3 * COEFFICIENTS):
                tl.store(new_sh + 3 * COEFFICIENTS * n + number, tl.load(sh + 3 * COEFFICIENTS * n + number, mask=there), mask=there)
        else:
            _turn_bands(sh, new_sh, directions, inverses, n, there, turning, w, x, y, z, DEGREE, SAMPLES)


@triton.jit
def _turn_bands(  # type: ignore[no-untyped-def]
    sh, new_sh, directions, inverses, n, there, turning, w, x, y, z, DEGREE: tl.constexpr, SAMPLES: tl.constexpr
):
    """See `sh_rotation.rotate_sh`: a tile holds the sample directions of each Gaussian, turned back."""
    COEFFICIENTS: tl.constexpr = (DEGREE + 1) * (DEGREE + 1)
    sample = tl.arange(0, SAMPLES)
    dx = tl.load(directions + 3 * sample)[None, :]
    dy = tl.load(directions + 3 * sample + 1)[None, :]
    dz = tl.load(directions + 3 * sample + 2)[None, :]
    norm = 1.0 / tl.maximum(tl.sqrt_rn(w * w + x * x + y * y + z * z), 1e-12)
    w, x, y, z = (w * norm)[:, None], (x * norm)[:, None], (y * norm)[:, None], (z * norm)[:, None]
    bx = (1 - 2 * (y * y + z * z)) * dx + 2 * (x * y + w * z) * dy + 2 * (x * z - w * y) * dz
    by = 2 * (x * y - w * z) * dx + (1 - 2 * (x * x + z * z)) * dy + 2 * (y * z + w * x) * dz
    bz = 2 * (x * z + w * y) * dx + 2 * (y * z - w * x) * dy + (1 - 2 * (x * x + y * y)) * dz
    for degree in tl.static_range(1, DEGREE + 1):
        red, green, blue = bx * 0.0, bx * 0.0, bx * 0.0
        for k in tl.static_range(degree * degree, (degree + 1) * (degree + 1)):
            value = harmonic(bx, by, bz, k)
            at = sh + 3 * (COEFFICIENTS * n + k)
            red += value * tl.load(at, mask=there, other=0.0)[:, None]
            green += value * tl.load(at + 1, mask=there, other=0.0)[:, None]
            blue += value * tl.load(at + 2, mask=there, other=0.0)[:, None]
        for k in tl.static_range(degree * degree, (degree + 1) * (degree + 1)):
            row = tl.load(inverses + SAMPLES * k + sample)[None, :]
            at = 3 * (COEFFICIENTS * n + k)
            tl.store(new_sh + at, tl.where(turning, tl.sum(red * row, axis=1), tl.load(sh + at, mask=there)), mask=there)
            tl.store(new_sh + at + 1, tl.where(turning, tl.sum(green * row, axis=1), tl.load(sh + at + 1, mask=there)), mask=there)
            tl.store(new_sh + at + 2, tl.where(turning, tl.sum(blue * row, axis=1), tl.load(sh + at + 2, mask=there)), mask=there)
