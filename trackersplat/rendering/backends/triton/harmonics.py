"""Spherical harmonics of many directions, degree 0-3, in the convention of 3DGS (see rendering/sh.py)."""

# mypy: disable-error-code="no-untyped-def"
# Triton infers the types of kernels.

from __future__ import annotations

import triton
import triton.language as tl

from trackersplat.gaussians.gaussians import SH_C0
from trackersplat.rendering import sh

_C0 = tl.constexpr(SH_C0)
_C1 = tl.constexpr(sh.C1)
_C20, _C21, _C22 = (tl.constexpr(value) for value in sh.C2)
_C30, _C31, _C32, _C33, _C34 = (tl.constexpr(value) for value in sh.C3)


@triton.jit
def harmonic(x, y, z, K: tl.constexpr):
    """Number K of `sh.sh_basis` at unit directions."""
    if K == 0:
        value = tl.zeros_like(x) + _C0
    elif K == 1:
        value = -_C1 * y
    elif K == 2:
        value = _C1 * z
    elif K == 3:
        value = -_C1 * x
    elif K == 4:
        value = _C20 * x * y
    elif K == 5:
        value = -_C20 * y * z
    elif K == 6:
        value = _C21 * (2 * z * z - x * x - y * y)
    elif K == 7:
        value = -_C20 * x * z
    elif K == 8:
        value = _C22 * (x * x - y * y)
    elif K == 9:
        value = -_C30 * y * (3 * x * x - y * y)
    elif K == 10:
        value = _C31 * x * y * z
    elif K == 11:
        value = -_C32 * y * (4 * z * z - x * x - y * y)
    elif K == 12:
        value = _C33 * z * (2 * z * z - 3 * x * x - 3 * y * y)
    elif K == 13:
        value = -_C32 * x * (4 * z * z - x * x - y * y)
    elif K == 14:
        value = _C34 * z * (x * x - y * y)
    else:
        value = -_C30 * x * (x * x - 3 * y * y)
    return value


@triton.jit
def harmonic_gradient(x, y, z, K: tl.constexpr):
    """Its derivatives with respect to x, y and z, taken as a polynomial."""
    none = tl.zeros_like(x)
    if K == 0:
        gradient = (none, none, none)
    elif K == 1:
        gradient = (none, none - _C1, none)
    elif K == 2:
        gradient = (none, none, none + _C1)
    elif K == 3:
        gradient = (none - _C1, none, none)
    elif K == 4:
        gradient = (_C20 * y, _C20 * x, none)
    elif K == 5:
        gradient = (none, -_C20 * z, -_C20 * y)
    elif K == 6:
        gradient = (-2 * _C21 * x, -2 * _C21 * y, 4 * _C21 * z)
    elif K == 7:
        gradient = (-_C20 * z, none, -_C20 * x)
    elif K == 8:
        gradient = (2 * _C22 * x, -2 * _C22 * y, none)
    elif K == 9:
        gradient = (-6 * _C30 * x * y, -3 * _C30 * (x * x - y * y), none)
    elif K == 10:
        gradient = (_C31 * y * z, _C31 * x * z, _C31 * x * y)
    elif K == 11:
        gradient = (2 * _C32 * x * y, -_C32 * (4 * z * z - x * x - 3 * y * y), -8 * _C32 * y * z)
    elif K == 12:
        gradient = (-6 * _C33 * x * z, -6 * _C33 * y * z, 3 * _C33 * (2 * z * z - x * x - y * y))
    elif K == 13:
        gradient = (-_C32 * (4 * z * z - 3 * x * x - y * y), 2 * _C32 * x * y, -8 * _C32 * x * z)
    elif K == 14:
        gradient = (2 * _C34 * x * z, -2 * _C34 * y * z, _C34 * (x * x - y * y))
    else:
        gradient = (-3 * _C30 * (x * x - y * y), 6 * _C30 * x * y, none)
    return gradient
