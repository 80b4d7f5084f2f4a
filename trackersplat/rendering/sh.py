"""Real spherical harmonics in the convention of 3DGS."""

from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import SH_C0

MAX_DEGREE = 3

C1 = 0.4886025119029199  # sqrt(3 / 4 pi)
C2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
C3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)


def sh_basis(directions: Tensor, degree: int) -> Tensor:
    """Y_lm at unit directions (N, 3) for l <= degree: (N, (degree + 1)^2), ordered l, then m = -l..l.

    The Condon-Shortley phase is kept (odd m change sign), as in 3DGS. Degree 0-3.

    Raises ShapeError if directions are not (N, 3) or the degree is out of range.
    """
    if directions.ndim != 2 or directions.shape[1] != 3:
        raise ShapeError(f"sh_basis() needs directions of shape (N, 3), got {tuple(directions.shape)}.")
    if not 0 <= degree <= MAX_DEGREE:
        raise ShapeError(f"sh_basis() knows degrees 0 to {MAX_DEGREE}, got {degree}.")
    x, y, z = directions.unbind(1)
    basis = [torch.full_like(x, SH_C0)]
    if degree >= 1:
        basis += [-C1 * y, C1 * z, -C1 * x]
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        basis += [C2[0] * x * y, -C2[0] * y * z, C2[1] * (2 * zz - xx - yy), -C2[0] * x * z, C2[2] * (xx - yy)]
        if degree == 3:
            basis += [
                -C3[0] * y * (3 * xx - yy),
                C3[1] * x * y * z,
                -C3[2] * y * (4 * zz - xx - yy),
                C3[3] * z * (2 * zz - 3 * xx - 3 * yy),
                -C3[2] * x * (4 * zz - xx - yy),
                C3[4] * z * (xx - yy),
                -C3[0] * x * (xx - 3 * yy),
            ]
    return torch.stack(basis, 1)
