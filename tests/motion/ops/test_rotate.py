from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from trackersplat.geometry.neighbours import nearest_neighbours
from trackersplat.motion.ops.rotate import neighbourhood_rotations
from trackersplat.motion.settings import RotationSettings


def solve(points: np.ndarray, moves: np.ndarray, k: int = 10, precision: float = 1e6, prior: float = 1.0) -> np.ndarray:
    indices, _ = nearest_neighbours(torch.tensor(points), k)
    weights = torch.full(indices.shape, precision)
    own = torch.full((len(points),), precision)
    everyone = torch.arange(len(points))
    settings = RotationSettings(prior=prior)
    vectors, certainty = neighbourhood_rotations(torch.tensor(points), torch.tensor(moves), everyone, indices, weights, own, settings)
    assert torch.isfinite(vectors).all()
    assert (certainty >= 0).all()
    return vectors.numpy()


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.2, 0.2, (300, 3)) + np.array((1.0, -2.0, 0.5))


@pytest.mark.parametrize("angle", [0.01, 0.4, 1.5, 3.0])
def test_a_rigid_rotation_is_recovered(points: np.ndarray, rigid: Callable[..., tuple[np.ndarray, np.ndarray]], angle: float) -> None:
    moves, rotation = rigid(points, angle, (0.3, -1.0, 0.5), points.mean(0), np.array((0.3, 0.1, -0.2)))
    expected = Rotation.from_matrix(rotation).as_rotvec()
    np.testing.assert_allclose(solve(points, moves), np.broadcast_to(expected, points.shape), atol=2e-3)


def test_no_motion_and_common_motion_give_exactly_no_rotation(points: np.ndarray) -> None:
    assert (solve(points, np.zeros_like(points)) == 0).all()
    assert (solve(points, np.broadcast_to((0.1, 0.2, -0.3), points.shape).copy()) == 0).all()


def test_a_reflection_is_answered_with_the_best_rotation() -> None:
    """The singular vectors of a reflection have the wrong handedness; SciPy's solution of the same problem does not."""
    points = np.random.default_rng(4).normal(size=(15, 3)) * (3.0, 2.0, 1.0)
    flipped = points * (1.0, 1.0, -1.0)
    centred = points - points.mean(0)
    expected, _ = Rotation.align_vectors(flipped - flipped.mean(0), centred)
    vectors = solve(points, flipped - points, k=14, precision=1e-6, prior=1e6)  # too imprecise for anything to be left out
    np.testing.assert_allclose(Rotation.from_rotvec(vectors).as_matrix(), np.broadcast_to(expected.as_matrix(), (15, 3, 3)), atol=1e-3)


def test_points_on_a_line_do_not_spin_about_it(rigid: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
    line = np.linspace(-1, 1, 40)[:, None] * np.array((1.0, 0.0, 0.0))
    moves, rotation = rigid(line, 0.5, (0, 0, 1), np.zeros(3), np.zeros(3))
    vectors = solve(line, moves)
    np.testing.assert_allclose(vectors, np.broadcast_to(Rotation.from_matrix(rotation).as_rotvec(), line.shape), atol=1e-3)


def test_a_neighbour_that_moves_elsewhere_does_not_turn_the_rest(
    points: np.ndarray, rigid: Callable[..., tuple[np.ndarray, np.ndarray]]
) -> None:
    moves, rotation = rigid(points, 0.3, (0, 1, 0), points.mean(0), np.zeros(3))
    broken = moves.copy()
    broken[::12] += (0.5, 0.0, 0.4)
    whole = np.ones(len(points), dtype=bool)
    whole[::12] = False
    error = np.linalg.norm(solve(points, broken, k=16)[whole] - Rotation.from_matrix(rotation).as_rotvec(), axis=-1)
    assert np.median(error) < 0.02


def test_noise_of_close_points_is_held_down_by_the_prior(points: np.ndarray) -> None:
    noise = np.random.default_rng(5).normal(size=points.shape) * 0.05
    free = np.linalg.norm(solve(points, noise, precision=400.0, prior=100.0), axis=-1)
    held = np.linalg.norm(solve(points, noise, precision=400.0, prior=0.1), axis=-1)
    assert np.median(held) < 0.4 * np.median(free)
