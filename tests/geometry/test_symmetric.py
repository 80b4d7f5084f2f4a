from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from trackersplat.geometry.symmetric import DIAGONAL, UNIQUE, inverse, isotropic, product


@pytest.fixture
def full() -> Tensor:
    """(40, 3, 3) positive definite matrices, some of them badly conditioned."""
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn(40, 3, 3, generator=generator, dtype=torch.float64) * torch.tensor((1.0, 30.0, 0.1))
    return factors @ factors.mT + 1e-3 * torch.eye(3, dtype=torch.float64)


def entries(full: Tensor) -> Tensor:
    return torch.stack([full[:, i, j] for i, j in UNIQUE])


def test_the_entries_are_the_upper_triangle_and_its_diagonal() -> None:
    assert list(UNIQUE) == list(zip(*np.triu_indices(3), strict=True))
    assert [UNIQUE[place] for place in DIAGONAL] == [(0, 0), (1, 1), (2, 2)]


def test_the_inverse_is_that_of_the_full_matrices(full: Tensor) -> None:
    expected = entries(torch.linalg.inv(full))
    largest = expected.abs().amax(0)
    torch.testing.assert_close(inverse(entries(full)) / largest, expected / largest, rtol=0, atol=1e-6)


def test_the_product_is_that_of_the_full_matrices(full: Tensor) -> None:
    vectors = torch.randn(40, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(product(entries(full), vectors), torch.einsum("nij,nj->ni", full, vectors))


def test_isotropic_matrices_scale_vectors() -> None:
    values, vectors = torch.tensor((2.0, -0.5)), torch.tensor(((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)))
    assert product(isotropic(values), vectors).tolist() == [[2.0, 4.0, 6.0], [-2.0, -2.5, -3.0]]
