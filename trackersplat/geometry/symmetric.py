"""Symmetric 3x3 matrices by their six unique entries: batches of tiny matrices are slow on a GPU, rows of numbers are not."""

from __future__ import annotations

import torch
from torch import Tensor

UNIQUE = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # the order of the entries in a (6, N) tensor
DIAGONAL = [0, 3, 5]


def inverse(matrix: Tensor) -> Tensor:
    """(6, N) of positive definite matrices (6, N), by cofactors."""
    a, b, c, d, e, f = matrix
    cofactors = torch.stack((d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b))
    return cofactors / (a * cofactors[0] + b * cofactors[1] + c * cofactors[2])


def product(matrix: Tensor, vector: Tensor) -> Tensor:
    """(N, 3) of matrices (6, N) and vectors (N, 3)."""
    a, b, c, d, e, f = matrix
    x, y, z = vector.unbind(-1)
    return torch.stack((a * x + b * y + c * z, b * x + d * y + e * z, c * x + e * y + f * z), dim=-1)


def trace(matrix: Tensor) -> Tensor:
    """(N,) sums of the diagonals of matrices (6, N)."""
    return torch.stack([matrix[row] for row in DIAGONAL]).sum(0)  # a list of indices would have to be sent to a GPU, which waits for that


def isotropic(values: Tensor) -> Tensor:
    """(6, N): ``values`` (N,) times the identity."""
    zero = torch.zeros_like(values)
    return torch.stack((values, zero, zero, values, zero, values))
