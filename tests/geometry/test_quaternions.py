from __future__ import annotations

import torch
from scipy.spatial.transform import Rotation

from trackersplat.geometry.quaternions import (
    best_rotation,
    multiply,
    quaternion_to_matrix,
    quaternion_to_rotation_vector,
    rotate,
    rotation_vector_to_quaternion,
)

NEWTON_STEPS = 24
RANDOM = Rotation.random(500, random_state=0)
QUATERNIONS = torch.tensor(RANDOM.as_quat()[:, [3, 0, 1, 2]])


def test_matrices_agree_with_scipy_and_do_not_depend_on_sign_or_norm() -> None:
    expected = torch.tensor(RANDOM.as_matrix())
    for factor in (1.0, -1.0, 7.5):
        torch.testing.assert_close(quaternion_to_matrix(factor * QUATERNIONS), expected)


def test_products_are_compositions() -> None:
    left, right = QUATERNIONS[:250], QUATERNIONS[250:]
    torch.testing.assert_close(quaternion_to_matrix(multiply(left, right)), quaternion_to_matrix(left) @ quaternion_to_matrix(right))


def test_vectors_turn_as_with_matrices() -> None:
    vectors = torch.randn(500, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = (quaternion_to_matrix(QUATERNIONS) @ vectors[..., None])[..., 0]
    torch.testing.assert_close(rotate(QUATERNIONS, vectors), expected)
    torch.testing.assert_close(rotate(-QUATERNIONS, vectors), expected)


def test_the_best_rotation_of_a_rotation_is_itself_also_for_half_turns() -> None:
    half_turns = torch.eye(4, dtype=torch.float64)[1:]
    for q in (QUATERNIONS, half_turns):
        back = best_rotation(3e5 * quaternion_to_matrix(q), NEWTON_STEPS)
        torch.testing.assert_close((back * q).sum(-1).abs(), torch.ones(len(q), dtype=torch.float64))


def test_the_best_rotation_agrees_with_singular_vectors_also_of_reflections_and_lines() -> None:
    generator = torch.Generator().manual_seed(2)
    spreads = torch.tensor(((1.0, 1.0, 1.0), (1.0, 1.0, -1.0), (1.0, 1e-3, 1e-3), (1e-4, 1e-4, 1e-4)), dtype=torch.float64)
    for spread in spreads:
        matrices = torch.randn(500, 3, 3, generator=generator, dtype=torch.float64) * spread + torch.eye(3) * 1e-5
        left, _, right = torch.linalg.svd(matrices)
        sign = torch.ones(500, 3, dtype=torch.float64)
        sign[:, 2] = torch.sign(torch.linalg.det(left) * torch.linalg.det(right))
        torch.testing.assert_close(
            quaternion_to_matrix(best_rotation(matrices, NEWTON_STEPS)), (left * sign[:, None]) @ right, atol=1e-5, rtol=0
        )


def test_round_trip_through_rotation_vectors_agrees_with_scipy() -> None:
    vectors = torch.tensor(RANDOM.as_rotvec())
    torch.testing.assert_close(quaternion_to_rotation_vector(QUATERNIONS), vectors)
    torch.testing.assert_close(quaternion_to_rotation_vector(-QUATERNIONS), vectors)
    torch.testing.assert_close(quaternion_to_rotation_vector(rotation_vector_to_quaternion(vectors)), vectors)


def test_the_identity_is_exact_in_every_form() -> None:
    for dtype in (torch.float32, torch.float64):
        identity = torch.tensor(((1.0, 0.0, 0.0, 0.0),), dtype=dtype)
        assert torch.equal(quaternion_to_matrix(identity), torch.eye(3, dtype=dtype)[None])
        assert torch.equal(best_rotation(torch.eye(3, dtype=dtype)[None], NEWTON_STEPS), identity)
        assert torch.equal(best_rotation(torch.zeros(1, 3, 3, dtype=dtype), NEWTON_STEPS), identity)
        assert torch.equal(rotate(identity, torch.ones(1, 3, dtype=dtype)), torch.ones(1, 3, dtype=dtype))
        assert torch.equal(rotation_vector_to_quaternion(torch.zeros(1, 3, dtype=dtype)), identity)
        assert torch.equal(quaternion_to_rotation_vector(identity), torch.zeros(1, 3, dtype=dtype))
        assert torch.equal(quaternion_to_rotation_vector(-identity), torch.zeros(1, 3, dtype=dtype))
