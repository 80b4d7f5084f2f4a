from __future__ import annotations

import numpy as np
import pytest
import torch

from trackersplat.geometry.symmetric import UNIQUE, isotropic
from trackersplat.motion.ops.graph_system import GraphSystem
from trackersplat.motion.settings import SolverSettings

COUNT = 60


class Problem:
    """A random graph of 60 nodes, of which the last 10 are connected only among themselves and hold no data."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        pairs = {(int(min(p)), int(max(p))) for p in rng.integers(0, COUNT - 10, (150, 2)) if p[0] != p[1]}
        pairs |= {(i, i + 1) for i in range(COUNT - 1) if i + 1 != COUNT - 10}
        self.first, self.second = np.array(sorted(pairs)).T
        self.edges = rng.uniform(0.5, 5.0, len(self.first))
        self.jump = rng.normal(size=(len(self.first), 3))
        self.free = rng.uniform(size=COUNT) < 0.8
        self.free[-10:] = True
        factors = rng.normal(size=(COUNT, 3, 3))
        self.data = factors @ factors.transpose(0, 2, 1)
        self.data[rng.uniform(size=COUNT) < 0.5] = 0.0
        self.data[3] = np.diag((4.0, 0.0, 0.0))  # tells about x alone
        self.free[3] = True
        self.data[-10:] = 0.0
        self.target = rng.normal(size=(COUNT, 3))

    def solve(self, *, jump: bool = True, fade: float = 0.0, start: np.ndarray | None = None) -> np.ndarray:
        known = torch.tensor(np.trace(self.data, axis1=1, axis2=2) > 0)
        system = GraphSystem(torch.tensor(self.free), known, torch.tensor(self.first), torch.tensor(self.second), SolverSettings())
        return system.solve(
            torch.tensor(np.stack([self.data[:, i, j] for i, j in UNIQUE])),
            torch.tensor(self.target),
            torch.tensor(self.edges),
            torch.tensor(self.jump) if jump else None,
            fade=fade,
            start=None if start is None else torch.tensor(start),
        ).numpy()

    def dense(self, *, jump: bool = True, fade: float = 0.0) -> np.ndarray:
        """The same by the normal equations of all 150 unknowns of the part that is connected to data, as one matrix."""
        reached = self.free & (np.arange(COUNT) < COUNT - 10)
        matrix, right = np.zeros((COUNT, 3, COUNT, 3)), np.zeros((COUNT, 3))
        for i in range(COUNT):
            matrix[i, :, i, :] += self.data[i] + fade * np.eye(3)
            right[i] += self.data[i] @ self.target[i]
        for i, j, weight, step in zip(self.first, self.second, self.edges, self.jump if jump else 0 * self.jump, strict=True):
            for one, other, sign in ((i, j, 1.0), (j, i, -1.0)):
                matrix[one, :, one, :] += weight * np.eye(3)
                matrix[one, :, other, :] -= weight * np.eye(3)
                right[one] += sign * weight * step
        result = np.zeros((COUNT, 3))
        size = 3 * int(reached.sum())
        result[reached] = np.linalg.solve(matrix[reached][:, :, reached].reshape(size, size), right[reached].reshape(-1)).reshape(-1, 3)
        return result


@pytest.mark.parametrize("jump", [True, False])
@pytest.mark.parametrize("fade", [0.0, 0.3])
def test_the_solution_is_that_of_the_dense_system(jump: bool, fade: float) -> None:
    problem = Problem()
    np.testing.assert_allclose(problem.solve(jump=jump, fade=fade), problem.dense(jump=jump, fade=fade), atol=2e-4)


def test_the_guess_does_not_change_the_solution() -> None:
    problem = Problem()
    guess = np.random.default_rng(1).normal(size=(COUNT, 3)) * 10
    np.testing.assert_allclose(problem.solve(start=guess), problem.dense(), atol=2e-4)


def test_nodes_that_are_not_free_or_not_connected_to_data_are_zero() -> None:
    problem = Problem()
    solved = problem.solve()
    assert (solved[~problem.free] == 0).all()
    assert (solved[-10:] == 0).all()
    assert (solved[:-10][problem.free[:-10]] != 0).all()


def test_a_measurement_far_stiffer_than_its_edges_is_as_good_as_fixed() -> None:
    free, known = torch.tensor((True, True)), torch.tensor((True, False))
    system = GraphSystem(free, known, torch.tensor((0,)), torch.tensor((1,)), SolverSettings())
    weights = isotropic(torch.tensor((1e15, 0.0), dtype=torch.float64))
    target = torch.tensor(((1.0, -2.0, 3.0), (0.0, 0.0, 0.0)), dtype=torch.float64)
    solved = system.solve(weights, target, torch.ones(1, dtype=torch.float64))
    torch.testing.assert_close(solved, target[0].expand(2, 3), rtol=0, atol=1e-4)
