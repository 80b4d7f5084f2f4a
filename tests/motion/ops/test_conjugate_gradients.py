"""The compiled steps on the CPU, against the same in PyTorch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trackersplat.geometry.symmetric import DIAGONAL, inverse, isotropic
from trackersplat.motion.ops.conjugate_gradients_numba import Steps
from trackersplat.motion.ops.graph_system import ElementwiseSteps


def _system(count: int = 300) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Coupling, symmetric blocks of the diagonal, right side and guess."""
    random = torch.Generator().manual_seed(0)
    dense = torch.rand(count, count, generator=random, dtype=torch.float64) * (torch.rand(count, count, generator=random) < 0.02)
    dense = (dense + dense.T).fill_diagonal_(0.0)
    dense[4] = dense[:, 4] = 0.0  # on its own
    a, b, c = torch.rand(3, count, generator=random, dtype=torch.float64)
    diagonal = torch.stack((a * a, a * b, a * c, b * b, b * c, c * c))
    diagonal[DIAGONAL] += dense.sum(1) + 0.1
    right, guess = torch.randn(2, count, 3, generator=random, dtype=torch.float64)
    return dense.to_sparse_csr(), diagonal, right, guess


def test_every_step_is_that_of_pytorch() -> None:
    coupling, diagonal, right, guess = _system()
    pattern = coupling.crow_indices(), coupling.col_indices()
    expected, found = ElementwiseSteps(*pattern), Steps(*pattern)
    given = guess.clone()
    for factor in (1.0, 0.5):  # another system of the same pattern
        for steps in (expected, found):
            steps.begin(diagonal, inverse(diagonal), factor * coupling.values(), right, guess)
        for _ in range(6):
            torch.testing.assert_close(found.x, expected.x, rtol=1e-10, atol=1e-12)
            assert float(found.energy) == pytest.approx(float(expected.energy), rel=1e-9)
            expected.go(2)
            found.go(2)
    assert torch.equal(guess, given)


def test_many_steps_solve_the_system() -> None:
    coupling, diagonal, right, guess = _system(60)
    steps = Steps(coupling.crow_indices(), coupling.col_indices())
    steps.begin(diagonal, inverse(diagonal), coupling.values(), right, guess)
    steps.go(200)
    matrix = torch.zeros(60, 3, 60, 3, dtype=torch.float64)
    a, b, c, d, e, f = diagonal
    blocks = torch.stack((a, b, c, b, d, e, c, e, f), dim=-1).reshape(60, 3, 3)
    at = torch.arange(60)
    matrix[at, :, at, :] = blocks
    matrix -= coupling.to_dense()[:, None, :, None] * torch.eye(3, dtype=torch.float64)[None, :, None, :]
    solution = torch.linalg.solve(matrix.reshape(180, 180), right.reshape(180)).reshape(60, 3)
    torch.testing.assert_close(steps.x, solution, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_what_has_arrived_stays_there(size: float) -> None:
    right = size * torch.arange(15, dtype=torch.float64).reshape(5, 3)
    coupling = torch.zeros(5, 5, dtype=torch.float64).to_sparse_csr()
    steps = Steps(coupling.crow_indices(), coupling.col_indices())
    ones = isotropic(torch.ones(5, dtype=torch.float64))
    steps.begin(ones, ones, coupling.values(), right, torch.zeros_like(right))
    steps.go(4)
    assert torch.equal(steps.x, right)
    assert float(steps.energy) == 0.0
