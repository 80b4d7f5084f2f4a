"""The steps of the conjugate gradients of graph_system.py on the CPU, in three compiled passes over the nodes each."""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor


class Steps:
    """Solves ``(diagonal - coupling) x = right``, all in float64; ``x`` and ``energy`` are those after the last step."""

    x: Tensor
    energy: Tensor

    def __init__(
        self,
        starts: Tensor,  # (N + 1,) int64, of the rows of the coupling (CSR)
        columns: Tensor,  # (I,) int64
    ) -> None:
        self._pattern = starts.numpy(), columns.numpy()

    def begin(
        self,
        diagonal: Tensor,  # (6, N) symmetric blocks
        inverted: Tensor,  # (6, N) their inverses, the preconditioner
        values: Tensor,  # (I,) of the coupling
        right: Tensor,  # (N, 3)
        x: Tensor,  # (N, 3) a guess
    ) -> None:
        """Another system of the same pattern."""
        solution = x.to(torch.float64, copy=True).contiguous().numpy()  # the steps write into it
        self._system = (*self._pattern, *(each.double().contiguous().numpy() for each in (values, diagonal, inverted)))
        self._vectors = (solution, np.empty_like(solution), np.empty_like(solution), np.empty_like(solution))
        energy = _begin(*self._system, right.double().contiguous().numpy(), *self._vectors)
        self.x, self.energy = torch.from_numpy(solution), torch.tensor(energy, dtype=torch.float64)

    def go(self, steps: int) -> None:
        self.energy = torch.tensor(_go(*self._system, float(self.energy), steps, *self._vectors), dtype=torch.float64)


# For pieces of kernels, which are not called from Python; without the wrappers for that they compile sooner.
_inner = numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")


@_kernel
def _begin(starts, columns, values, diagonal, inverted, right, x, residual, direction, image):  # type: ignore[no-untyped-def]
    """Writes residual and first direction. Returns their product, the energy."""
    energy = 0.0
    for n in range(x.shape[0]):
        _multiply(starts, columns, values, diagonal, x, n, image)
        for i in range(3):
            residual[n, i] = right[n, i] - image[n, i]
        energy += _preconditioned(inverted, residual, n, direction)
    return energy


@_kernel
def _go(starts, columns, values, diagonal, inverted, energy, steps, x, residual, direction, image):  # type: ignore[no-untyped-def]
    """Takes so many steps. Returns the energy after the last."""
    count = x.shape[0]
    for _ in range(steps):
        curvature = 0.0
        for n in range(count):
            _multiply(starts, columns, values, diagonal, direction, n, image)
            curvature += direction[n, 0] * image[n, 0] + direction[n, 1] * image[n, 1] + direction[n, 2] * image[n, 2]
        length = energy / curvature if curvature > 0 else 0.0
        before, energy = energy, 0.0
        for n in range(count):
            for i in range(3):
                x[n, i] += length * direction[n, i]
                residual[n, i] -= length * image[n, i]
            energy += _preconditioned(inverted, residual, n, image)
        kept = energy / before if before > 0 else 0.0
        for n in range(count):
            for i in range(3):
                direction[n, i] = image[n, i] + kept * direction[n, i]
    return energy


@_inner
def _multiply(starts, columns, values, diagonal, vectors, n, image):  # type: ignore[no-untyped-def]
    """Row ``n`` of (diagonal - coupling) vectors."""
    u, v, w = 0.0, 0.0, 0.0
    for k in range(starts[n], starts[n + 1]):
        column, value = columns[k], values[k]
        u += value * vectors[column, 0]
        v += value * vectors[column, 1]
        w += value * vectors[column, 2]
    x, y, z = vectors[n, 0], vectors[n, 1], vectors[n, 2]
    image[n, 0] = diagonal[0, n] * x + diagonal[1, n] * y + diagonal[2, n] * z - u
    image[n, 1] = diagonal[1, n] * x + diagonal[3, n] * y + diagonal[4, n] * z - v
    image[n, 2] = diagonal[2, n] * x + diagonal[4, n] * y + diagonal[5, n] * z - w


@_inner
def _preconditioned(inverted, residual, n, result):  # type: ignore[no-untyped-def]
    """Writes row ``n`` of inverted residual. Returns its product with that of the residual."""
    x, y, z = residual[n, 0], residual[n, 1], residual[n, 2]
    result[n, 0] = inverted[0, n] * x + inverted[1, n] * y + inverted[2, n] * z
    result[n, 1] = inverted[1, n] * x + inverted[3, n] * y + inverted[4, n] * z
    result[n, 2] = inverted[2, n] * x + inverted[4, n] * y + inverted[5, n] * z
    return x * result[n, 0] + y * result[n, 1] + z * result[n, 2]
