"""The basis against independent formulas and its defining property."""

from __future__ import annotations

import brute_force_render as brute
import numpy as np
import pytest
import torch

from trackersplat.errors import ShapeError
from trackersplat.rendering.sh import sh_basis


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_the_basis_is_that_of_the_legendre_polynomials(degree: int) -> None:
    directions = torch.nn.functional.normalize(torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=1)
    np.testing.assert_allclose(sh_basis(directions, degree).numpy(), brute.harmonics(directions, degree).numpy(), atol=1e-12)


def test_the_basis_is_orthonormal_on_the_sphere() -> None:
    z, weights = np.polynomial.legendre.leggauss(8)  # exact up to degree 15
    phi = np.arange(16) * np.pi / 8
    sin = np.sqrt(1 - z**2)
    grid = np.stack(np.broadcast_arrays(sin[:, None] * np.cos(phi), sin[:, None] * np.sin(phi), z[:, None]), -1).reshape(-1, 3)
    area = np.repeat(weights * np.pi / 8, 16)
    basis = sh_basis(torch.from_numpy(grid), 3).numpy()
    np.testing.assert_allclose((basis * area[:, None]).T @ basis, np.eye(16), atol=1e-12)


def test_what_is_no_direction_or_degree_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(N, 3\)"):
        sh_basis(torch.zeros(3), 0)
    with pytest.raises(ShapeError, match="degrees 0 to 3"):
        sh_basis(torch.zeros(1, 3), 4)
