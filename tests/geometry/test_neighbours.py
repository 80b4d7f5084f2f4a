from __future__ import annotations

import numpy as np
import torch

from trackersplat.geometry.neighbours import nearest_neighbours


def test_neighbours_agree_with_brute_force() -> None:
    points = np.random.default_rng(0).normal(size=(300, 3))
    indices, distances = nearest_neighbours(torch.tensor(points), 7)
    full = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(full, np.inf)
    np.testing.assert_array_equal(indices, np.argsort(full, axis=1)[:, :7])
    np.testing.assert_allclose(distances, np.sort(full, axis=1)[:, :7])


def test_a_point_is_never_its_own_neighbour_even_where_many_coincide() -> None:
    points = np.repeat(np.random.default_rng(1).normal(size=(4, 3)), 12, axis=0)
    indices, distances = nearest_neighbours(torch.tensor(points), 5)
    assert indices.shape == (48, 5)
    assert not (indices == torch.arange(48)[:, None]).any()
    assert (distances == 0).all()


def test_few_points_have_fewer_neighbours() -> None:
    for count in range(4):
        indices, distances = nearest_neighbours(torch.arange(3.0 * count).reshape(count, 3), 8)
        assert indices.shape == distances.shape == (count, max(count - 1, 0))
