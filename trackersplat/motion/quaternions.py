"""Unit quaternions (wxyz), rotation vectors and matrices, batched."""

from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.errors import ShapeError


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """Hamilton product of (..., 4) wxyz quaternions: the rotation ``right`` followed by ``left``."""
    if left.shape[-1] != 4 or right.shape[-1] != 4:
        raise ShapeError(f"Quaternions must be (..., 4), got {tuple(left.shape)} and {tuple(right.shape)}.")
    w, v = left[..., :1], left[..., 1:]
    s, u = right[..., :1], right[..., 1:]
    scalar = w * s - (v * u).sum(-1, keepdim=True)
    vector = w * u + s * v + torch.linalg.cross(v, u)
    return torch.cat((scalar, vector), dim=-1)


def quaternion_to_matrix(quaternions: Tensor) -> Tensor:
    """(..., 4) of any norm but 0 to rotation matrices (..., 3, 3); q and -q give the same matrix."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    return torch.stack(
        (
            torch.stack((1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)), dim=-1),
            torch.stack((2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)), dim=-1),
            torch.stack((2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)), dim=-1),
        ),
        dim=-2,
    )


def matrix_to_quaternion(matrices: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) to unit quaternions (..., 4) with w >= 0, exact for the identity.

    Of the four algebraic forms, the one with the largest denominator is taken, so that no rotation loses digits.
    """
    m = matrices
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    # Row r is 4 q_r q: proportional to the quaternion, of length 4 |q_r|.
    rows = torch.stack(
        (
            torch.stack((1 + m00 + m11 + m22, a, b, c), dim=-1),
            torch.stack((a, 1 + m00 - m11 - m22, d, e), dim=-1),
            torch.stack((b, d, 1 - m00 + m11 - m22, f), dim=-1),
            torch.stack((c, e, f, 1 - m00 - m11 + m22), dim=-1),
        ),
        dim=-2,
    )
    best = torch.diagonal(rows, dim1=-2, dim2=-1).argmax(-1)
    chosen = rows.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    quaternions = torch.nn.functional.normalize(chosen, dim=-1)
    return torch.where(quaternions[..., :1] < 0, -quaternions, quaternions)


def rotation_vector_to_quaternion(vectors: Tensor) -> Tensor:
    """Rotation vectors (..., 3) in radians to unit quaternions (..., 4), exact for the zero vector."""
    half = 0.5 * torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    # sinc(x) = sin(pi x)/(pi x) is 1 at 0, where the plain quotient is not defined.
    return torch.cat((torch.cos(half), 0.5 * vectors * torch.sinc(half / torch.pi)), dim=-1)


def quaternion_to_rotation_vector(quaternions: Tensor) -> Tensor:
    """Unit quaternions (..., 4) to rotation vectors (..., 3) of at most pi radians; q and -q give the same vector."""
    shortest = torch.where(quaternions[..., :1] < 0, -quaternions, quaternions)
    sine = torch.linalg.vector_norm(shortest[..., 1:], dim=-1, keepdim=True)
    half = torch.atan2(sine, shortest[..., :1])
    # 2 half / sin(half) tends to 2 at the identity.
    factor = torch.where(sine > 0, 2 * half / sine.clamp_min(torch.finfo(sine.dtype).tiny), torch.full_like(sine, 2.0))
    return shortest[..., 1:] * factor
