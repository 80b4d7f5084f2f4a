from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians, concatenate
from trackersplat.motion.apply import move
from trackersplat.motion.carry import carry_points, carry_points_between
from trackersplat.motion.motion import Motion
from trackersplat.motion.settings import CarryPointsSettings

Make = Callable[..., Gaussians]
SETTINGS = CarryPointsSettings()


def motion_of(translation: np.ndarray, rotation: np.ndarray | None = None) -> Motion:
    """``rotation``: (N, 4) wxyz."""
    count = len(translation)
    turns = np.tile((1.0, 0.0, 0.0, 0.0), (count, 1)) if rotation is None else rotation
    no, zero = torch.zeros(count, dtype=torch.bool), torch.zeros(count)
    return Motion(torch.tensor(translation).float(), torch.tensor(turns).float(), no, ~no, zero, zero, zero.int())


def rigid(means: np.ndarray, turn: Rotation, shift: tuple[float, float, float]) -> Motion:
    """The whole space turned about the origin, then shifted."""
    quaternion = turn.as_quat()[[3, 0, 1, 2]]
    return motion_of(turn.apply(means) + shift - means, np.tile(quaternion, (len(means), 1)))


@pytest.fixture
def points() -> Tensor:
    return torch.tensor(np.random.default_rng(5).uniform(-1.2, 1.2, (50, 3)))


@pytest.mark.parametrize("count", [1, 3, 60])
def test_a_rigid_motion_of_all_gaussians_carries_every_point_exactly(make_gaussians: Make, points: Tensor, count: int) -> None:
    means = np.random.default_rng(2).uniform(-1, 1, (count, 3))
    gaussians = make_gaussians(means)
    turn, shift = Rotation.from_rotvec((0.5, -1.1, 0.7)), (0.3, -2.0, 1.0)
    motion = rigid(gaussians.means.double().numpy(), turn, shift)
    expected = turn.apply(points.numpy()) + shift
    assert carry_points(points, gaussians, motion, SETTINGS).numpy() == pytest.approx(expected, abs=1e-6)
    assert carry_points_between(points, gaussians, move(gaussians, motion), SETTINGS).numpy() == pytest.approx(expected, abs=1e-5)


def test_the_result_is_that_of_the_formula_one_point_and_one_gaussian_after_the_other(make_gaussians: Make) -> None:
    """Gaussians of any shape, direction and opacity that all move elsewhere; thin ones count as 1.5 spacings wide."""
    rng = np.random.default_rng(6)
    count, neighbours = 40, 16
    gaussians = make_gaussians(rng.uniform(-1, 1, (count, 3)))
    scales, opacities = rng.choice([0.01, 0.1, 0.5], (count, 3)), rng.uniform(0.05, 0.95, count)
    gaussians = replace(
        gaussians, log_scales=torch.tensor(np.log(scales)).float(), opacity_logits=torch.tensor(np.log(opacities / (1 - opacities))).float()
    )
    turns, shifts = Rotation.random(count, random_state=1), rng.normal(size=(count, 3)) * 0.2
    motion = motion_of(shifts, turns.as_quat()[:, [3, 0, 1, 2]])
    points = rng.uniform(-1, 1, (30, 3))
    means, quats = gaussians.means.double().numpy(), gaussians.quats.double().numpy()
    for p, found in zip(points, carry_points(torch.tensor(points), gaussians, motion, SETTINGS).numpy(), strict=True):
        distance = np.linalg.norm(means - p, axis=1)
        near = np.argsort(distance)[:neighbours]
        spacing = distance[near[3]]
        q, w = [], []
        for j in near:
            width = np.maximum(scales[j], 1.5 * spacing)
            axes = Rotation.from_quat(quats[j][[1, 2, 3, 0]]).as_matrix()
            inverse = axes @ np.diag(width**-2.0) @ axes.T
            q.append(means[j] + shifts[j] + turns[j].apply(p - means[j]))
            w.append(opacities[j] * np.exp(-0.5 * (p - means[j]) @ inverse @ (p - means[j])) / width.prod())
        q, w = np.array(q), np.array(w)
        votes = w * np.exp(-0.5 * ((q[:, None] - q) ** 2).sum(-1) / (0.6 * spacing) ** 2)
        best = votes[votes.sum(axis=1).argmax()]
        best = best / best.sum()
        before, after = means[near], means[near] + shifts[near]
        middle, there = best @ before, best @ after
        own = np.einsum("k,kij->ij", best, turns[near].as_matrix())  # three more pairs of vectors: what turns the axes into its columns
        pairs = np.concatenate(((after - there) / spacing, own.T)), np.concatenate(((before - middle) / spacing, np.eye(3)))
        turn, _ = Rotation.align_vectors(*pairs, weights=np.concatenate((best, np.full(3, SETTINGS.rotation_weight))))
        np.testing.assert_allclose(found, there + turn.apply(p - middle), atol=1e-5)


def test_noise_of_single_gaussians_is_averaged_over_those_that_move_alike(make_gaussians: Make) -> None:
    """A body turns and goes on; every Gaussian of it does so with an error of 0.02, and with no rotation of its own."""
    rng = np.random.default_rng(8)
    means = rng.uniform(-0.5, 0.5, (400, 3))
    gaussians = make_gaussians(means, scale=0.01)
    turn, shift = Rotation.from_rotvec((0.0, 0.1, 0.0)), np.array((0.3, 0.0, 0.1))
    motion = motion_of(turn.apply(means) + shift - means + rng.normal(size=means.shape) * 0.02)
    points = rng.uniform(-0.4, 0.4, (100, 3))
    error = np.linalg.norm(carry_points(torch.tensor(points), gaussians, motion, SETTINGS).numpy() - turn.apply(points) - shift, axis=1)
    alone = np.linalg.norm(rng.normal(size=(1000, 3)) * 0.02, axis=1)
    assert np.median(error) < 0.6 * np.median(alone)


def test_points_stay_where_nothing_moves(make_gaussians: Make, points: Tensor) -> None:
    gaussians = make_gaussians(np.random.default_rng(2).uniform(-1, 1, (30, 3)))
    assert carry_points(points, gaussians, motion_of(np.zeros((30, 3))), SETTINGS).equal(points)


def test_a_point_between_two_motions_follows_the_nearer_one_and_not_their_mean(make_gaussians: Make) -> None:
    grid = np.stack(np.meshgrid(np.arange(8), np.arange(8), [0.0]), axis=-1).reshape(-1, 3) * 0.1
    left = grid[:, 0] < 0.35
    shift = np.where(left[:, None], (0.0, 0.0, 1.0), (0.0, 0.0, 0.0))
    found = carry_points(torch.tensor([[0.33, 0.33, 0.0], [0.37, 0.33, 0.0]]), make_gaussians(grid, scale=0.08), motion_of(shift), SETTINGS)
    assert found[:, 2].numpy() == pytest.approx([1.0, 0.0], abs=1e-6)


def test_a_large_still_background_does_not_hold_a_point_on_a_small_mover_back(make_gaussians: Make) -> None:
    """A foot on the floor: the floor's Gaussians are opaque, large, and their means no further away than the foot's."""
    floor = make_gaussians(np.array([[x, y, 0.0] for x in (-0.03, 0.03) for y in (-0.03, 0.03)]))
    floor = replace(floor, log_scales=torch.log(torch.tensor([0.5, 0.5, 0.5])).expand(4, 3).clone())
    foot = make_gaussians(np.array([[x, y, 0.03] for x in (-0.02, 0.0, 0.02) for y in (-0.02, 0.0, 0.02)]), scale=0.02)
    foot = replace(foot, opacity_logits=torch.full((9,), -1.0))
    both = concatenate([floor, foot])
    shift = np.concatenate((np.zeros((4, 3)), np.tile((0.0, 0.4, 0.0), (9, 1))))
    found = carry_points(torch.tensor([[0.0, 0.0, 0.01]]), both, motion_of(shift), SETTINGS)
    assert found[0].numpy() == pytest.approx((0.0, 0.4, 0.01), abs=1e-6)


def test_coinciding_gaussians_give_finite_answers(make_gaussians: Make) -> None:
    gaussians = make_gaussians(np.zeros((20, 3)))
    found = carry_points(torch.tensor([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]]), gaussians, motion_of(np.full((20, 3), 0.5)), SETTINGS)
    assert found.numpy() == pytest.approx(np.array([[0.5, 0.5, 0.5], [5.5, 0.5, 0.5]]), abs=1e-6)


def test_a_motion_that_is_not_finite_leaves_only_the_points_around_it_without_a_place(make_gaussians: Make) -> None:
    means = np.tile(np.random.default_rng(3).uniform(-1, 1, (20, 3)), (2, 1))
    means[20:, 0] += 10.0
    translation = np.tile((0.5, 0.0, 0.0), (40, 1))
    translation[0] = np.nan
    points = torch.tensor([[0.1, 0.2, 0.3], [10.1, 0.2, 0.3]], dtype=torch.float64)
    found = carry_points(points, make_gaussians(means), motion_of(translation), replace(SETTINGS, neighbours=20))
    assert not found[0].isfinite().any()
    assert found[1].numpy() == pytest.approx((10.6, 0.2, 0.3), abs=1e-6)


def test_what_does_not_fit_is_refused(make_gaussians: Make, points: Tensor) -> None:
    gaussians = make_gaussians(np.zeros((4, 3)))
    with pytest.raises(ShapeError, match=r"\(P, 3\)"):
        carry_points(points[:, :2], gaussians, motion_of(np.zeros((4, 3))), SETTINGS)
    with pytest.raises(ShapeError, match="its motion"):
        carry_points(points, gaussians, motion_of(np.zeros((5, 3))), SETTINGS)
    with pytest.raises(ShapeError, match="same Gaussians"):
        carry_points_between(points, gaussians, gaussians[:2], SETTINGS)
