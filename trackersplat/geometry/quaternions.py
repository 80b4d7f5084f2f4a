"""Unit quaternions (wxyz), rotation vectors and matrices, batched."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.geometry.devices import has_triton


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
    if _is_fused(quaternions):
        from trackersplat.geometry import quaternions_triton as fused

        return fused.to_matrix(quaternions)
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    return torch.stack(
        (
            torch.stack((1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)), dim=-1),
            torch.stack((2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)), dim=-1),
            torch.stack((2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)), dim=-1),
        ),
        dim=-2,
    )


def rotation_vector_to_quaternion(vectors: Tensor) -> Tensor:
    """Rotation vectors (..., 3) in radians to unit quaternions (..., 4), exact for the zero vector."""
    if _is_fused(vectors):
        from trackersplat.geometry import quaternions_triton as fused

        return fused.from_rotation_vector(vectors)
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


def conjugate(quaternions: Tensor) -> Tensor:
    """(..., 4) the opposite rotations of unit quaternions."""
    return torch.cat((quaternions[..., :1], -quaternions[..., 1:]), dim=-1)


def rotate(quaternions: Tensor, vectors: Tensor) -> Tensor:
    """Vectors (..., 3) turned by unit quaternions (..., 4); the identity returns them unchanged."""
    if _is_fused(quaternions, vectors) and quaternions.shape[:-1] == vectors.shape[:-1]:
        from trackersplat.geometry import quaternions_triton as fused

        return fused.rotated(quaternions, vectors)
    scalar, vector = quaternions[..., :1], quaternions[..., 1:]
    twice = 2.0 * torch.linalg.cross(vector, vectors)
    return vectors + scalar * twice + torch.linalg.cross(vector, twice)


def _is_fused(*tensors: Tensor) -> bool:
    """Whether a kernel can do what takes many launches: on a GPU with Triton, where no gradient is wanted."""
    return (
        has_triton(tensors[0])
        and math.prod(tensors[0].shape) > 0
        and all(one.dtype == tensors[0].dtype and one.is_floating_point() for one in tensors)
        and not (torch.is_grad_enabled() and any(one.requires_grad for one in tensors))
    )


def best_rotation(matrices: Tensor, newton_steps: int) -> Tensor:
    """(..., 3, 3) ``M = sum w after before^T`` to the unit quaternions (..., 4) that maximise ``tr(R^T M)``: turn before to after.

    Horn's (1987) quaternion form of the orthogonal Procrustes problem: the eigenvector of the largest eigenvalue of a symmetric
    4x4 matrix. Its eigenvalue by Newton's method on the characteristic polynomial from above (Theobald 2005), the vector as the
    longest row of the adjugate: elementwise only, where batched SVDs of small matrices are slow on a GPU. Always a proper rotation.
    The identity where M is zero. Use float64. Newton converges quadratically in the end, but where two eigenvalues are alike each of
    the ``newton_steps`` only halves the distance.
    """
    scale = matrices.abs().amax((-2, -1), keepdim=True)
    m = torch.where(scale > 0, matrices / scale.clamp_min(torch.finfo(matrices.dtype).tiny), torch.eye(3).to(matrices))
    (xx, yx, zx), (xy, yy, zy), (xz, yz, zz) = (row.unbind(-1) for row in m.unbind(-2))  # of after (second) and before (first)
    k = (
        (xx + yy + zz, yz - zy, zx - xz, xy - yx),
        (yz - zy, xx - yy - zz, xy + yx, zx + xz),
        (zx - xz, xy + yx, yy - xx - zz, yz + zy),
        (xy - yx, zx + xz, yz + zy, zz - xx - yy),
    )
    square = m.square().sum((-2, -1))
    linear = -8.0 * (xx * (yy * zz - yz * zy) - xy * (yx * zz - yz * zx) + xz * (yx * zy - yy * zx))
    constant = _determinant(k)
    largest = (3.0 * square).sqrt()  # no sum of three singular values is larger
    for _ in range(newton_steps):
        value = ((largest.square() - 2.0 * square) * largest + linear) * largest + constant
        slope = (4.0 * largest.square() - 4.0 * square) * largest + linear
        largest = largest - torch.where(slope > 0, value / slope.clamp_min(1e-300), 0.0).clamp_min(0.0)
    quaternions = _null_vector(k, largest)
    # Rounding of the polynomial costs half the digits where two eigenvalues are alike; the Rayleigh quotient brings them back.
    image = (torch.stack([torch.stack(row, dim=-1) for row in k], dim=-2) * quaternions[..., None, :]).sum(-1)
    quaternions = _null_vector(k, (quaternions * image).sum(-1))
    return torch.where(quaternions[..., :1] < 0, -quaternions, quaternions)


_Matrix = tuple[tuple[Tensor, ...], ...]


def _null_vector(matrix: _Matrix, eigenvalue: Tensor) -> Tensor:
    """The unit eigenvector (..., 4) of a symmetric matrix: the longest row of the adjugate of what is singular."""
    shifted = tuple(tuple(entry - eigenvalue if i == j else entry for j, entry in enumerate(row)) for i, row in enumerate(matrix))
    rows = torch.stack([torch.stack([_cofactor(shifted, i, j) for j in range(4)], dim=-1) for i in range(4)], dim=-2)
    longest = rows.square().sum(-1).argmax(-1)
    chosen = rows.gather(-2, longest[..., None, None].expand(*longest.shape, 1, 4)).squeeze(-2)
    return torch.nn.functional.normalize(chosen, dim=-1, eps=1e-300)


def _cofactor(matrix: _Matrix, row: int, column: int) -> Tensor:
    rows = [r for r in range(4) if r != row]
    a, b, c = ([matrix[r][c] for c in range(4) if c != column] for r in rows)
    minor = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])
    return minor if (row + column) % 2 == 0 else -minor


def _determinant(matrix: _Matrix) -> Tensor:
    return sum((matrix[0][j] * _cofactor(matrix, 0, j) for j in range(1, 4)), start=matrix[0][0] * _cofactor(matrix, 0, 0))
