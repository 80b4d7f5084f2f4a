from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.geometry.symmetric import UNIQUE, inverse, product
from trackersplat.motion.ops.results import Triangulation
from trackersplat.motion.ops.triangulate import Observations
from trackersplat.motion.ops.triangulate import triangulate as triangulate_observations
from trackersplat.motion.settings import TriangulateSettings


def triangulate(cameras: list[Camera], means: Tensor, *observations: Tensor) -> Triangulation:
    return triangulate_observations(cameras, means, Observations(*observations), TriangulateSettings())


def scene(cameras: list[Camera], count: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """Means, true translations, and exact pixel displacements (V, N, 2)."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(-0.4, 0.4, (count, 3))
    moves = rng.normal(size=(count, 3)) * 0.1
    exact = np.stack([camera.project(means + moves)[0] - camera.project(means)[0] for camera in cameras])
    return means, moves, torch.tensor(exact)


def projection_slope(camera: Camera, point: np.ndarray) -> np.ndarray:
    """(2, 3) pixels per scene unit, by central differences."""
    steps = 1e-5 * np.eye(3)
    return ((camera.project(point + steps)[0] - camera.project(point - steps)[0]) / 2e-5).T


def test_exact_displacements_give_the_exact_motion(cameras: list[Camera]) -> None:
    means, moves, exact = scene(cameras)
    result = triangulate(cameras, torch.tensor(means), exact, torch.full(exact.shape[:2], 0.09))
    np.testing.assert_allclose(result.translation, moves, atol=1e-6)
    assert result.residual_px.max() < 1e-4
    assert (result.views == len(cameras)).all()


def test_small_noise_gives_the_closed_form_of_linear_least_squares(cameras: list[Camera]) -> None:
    means, _, _ = scene(cameras, 50)
    noise = torch.tensor(np.random.default_rng(2).normal(size=(len(cameras), 50, 2)) * 1e-4)
    variances = torch.tensor(np.random.default_rng(3).uniform(0.05, 0.5, (len(cameras), 50)))
    result = triangulate(cameras, torch.tensor(means), noise, variances)
    for i in range(50):
        normal, right = np.zeros((3, 3)), np.zeros(3)
        for view, camera in enumerate(cameras):
            jacobian = projection_slope(camera, means[i])
            normal += jacobian.T @ jacobian / float(variances[view, i])
            right += jacobian.T @ noise[view, i].numpy() / float(variances[view, i])
        np.testing.assert_allclose(result.translation[i], np.linalg.solve(normal, right), rtol=1e-3, atol=1e-9)
        np.testing.assert_allclose(result.covariance_trace[i], np.trace(np.linalg.inv(normal)), rtol=1e-3)


def test_the_error_is_as_large_as_the_stated_deviation(cameras: list[Camera]) -> None:
    means, moves, exact = scene(cameras, 2000)
    noise = torch.tensor(np.random.default_rng(4).normal(size=tuple(exact.shape)) * 0.3)
    result = triangulate(cameras, torch.tensor(means), exact + noise, torch.full(exact.shape[:2], 0.09))
    error = (result.translation - torch.tensor(moves)).square().sum(-1)
    ratio = float((error / result.covariance_trace).mean())
    assert 0.7 < ratio < 1.4
    assert 0.2 < float(result.residual_px.median()) < 0.5


def test_one_view_in_which_the_track_jumped_does_not_bend_the_answer(cameras: list[Camera]) -> None:
    means, moves, exact = scene(cameras)
    broken = exact.clone()
    broken[1] += torch.tensor((25.0, -18.0))
    result = triangulate(cameras, torch.tensor(means), broken, torch.full(exact.shape[:2], 0.09))
    error = np.linalg.norm(result.translation.numpy() - moves, axis=-1)
    assert np.percentile(error, 95) < 5e-3  # do-nothing: 160 mm
    assert (result.views == len(cameras) - 1).double().mean() > 0.95
    assert (result.seen == len(cameras)).all()


def test_a_turning_body_of_which_every_view_sees_other_points_is_recovered_from_the_turned_surfaces(cameras: list[Camera]) -> None:
    """Each view tracks a point nearer than the mean on the same ray, which a rotation takes elsewhere."""
    rng = np.random.default_rng(5)
    means = rng.uniform(-0.4, 0.4, (200, 3))
    turn, shift = Rotation.from_rotvec((0.3, -0.5, 0.4)), np.array((0.05, -0.1, 0.08))
    nearer = rng.uniform(0.0, 0.05, (len(cameras), 200, 1))
    surfaces = np.stack([share * (camera.center - means) for camera, share in zip(cameras, nearer, strict=True)])
    turned = np.stack([turn.apply(surface) for surface in surfaces])
    seen = zip(cameras, surfaces, turned, strict=True)
    displacements = torch.tensor(
        np.stack([c.project(turn.apply(means) + after + shift)[0] - c.project(means + before)[0] for c, before, after in seen])
    )
    variances = torch.full(displacements.shape[:2], 0.09)
    expected = turn.apply(means) + shift - means
    result = triangulate(cameras, torch.tensor(means), displacements, variances, torch.tensor(turned))
    np.testing.assert_allclose(result.translation, expected, atol=1e-6)
    assert result.residual_px.max() < 1e-4
    # The same, told how each turns; and twice over, where the copies share the surfaces of the first.
    turns = torch.tensor(np.tile(turn.as_quat()[[3, 0, 1, 2]], (200, 1)))
    told = triangulate(cameras, torch.tensor(means), displacements, variances, torch.tensor(surfaces), turns)
    np.testing.assert_allclose(told.translation, expected, atol=1e-6)
    twice = [values.repeat(1, 2, *[1] * (values.ndim - 2)) for values in (displacements, variances)]
    both = triangulate(cameras, torch.tensor(means).repeat(2, 1), *twice, torch.tensor(surfaces), turns.repeat(2, 1))
    np.testing.assert_allclose(both.translation, np.tile(expected, (2, 1)), atol=1e-6)
    without = triangulate(cameras, torch.tensor(means), displacements, variances).translation.numpy()
    assert np.median(np.linalg.norm(without - expected, axis=-1)) > 0.02


def test_the_information_is_the_inverse_covariance_and_grows_with_the_views(cameras: list[Camera]) -> None:
    means, _, exact = scene(cameras, 30)
    variances = torch.tensor(np.random.default_rng(6).uniform(0.05, 0.5, (len(cameras), 30)))
    result = triangulate(cameras, torch.tensor(means), torch.zeros_like(exact), variances)
    for i in range(30):
        slopes = [projection_slope(camera, means[i]) for camera in cameras]
        normal = sum(slope.T @ slope / float(variance) for slope, variance in zip(slopes, variances[:, i], strict=True))
        np.testing.assert_allclose(result.information[:, i], [normal[at] for at in UNIQUE], rtol=1e-4, atol=1e-4 * np.trace(normal))
    covariance = inverse(result.information)
    np.testing.assert_allclose(covariance[[0, 3, 5]].sum(0), result.covariance_trace, rtol=1e-6)


def test_disagreement_of_the_views_lowers_the_information(cameras: list[Camera]) -> None:
    """By Geman-McClure's weights (1 + r^2 / 9)^-2 and by what the residuals of the views that agree show beyond their variance."""
    means, _, exact = scene(cameras, 30)
    noise = torch.tensor(np.random.default_rng(4).normal(size=tuple(exact.shape)) * 0.6)  # twice what the variances say
    result = triangulate(cameras, torch.tensor(means), exact + noise, torch.full(exact.shape[:2], 0.09))
    inflated, errors = 0, []
    for i in range(30):
        normal, squares, agree = np.zeros((3, 3)), 0.0, 0
        for view, camera in enumerate(cameras):
            reached = means[i] + result.translation[i].numpy()
            target = camera.project(means[i : i + 1])[0][0] + (exact + noise)[view, i].numpy()
            square = float(np.sum((camera.project(reached[None])[0][0] - target) ** 2)) / 0.09
            weight = (1.0 + square / 9.0) ** -2
            slope = projection_slope(camera, reached)
            normal += weight / 0.09 * slope.T @ slope
            if weight > 0.25:
                squares, agree = squares + weight * square, agree + 1
        inflation = max(1.0, squares / max(1.0, 2 * agree - 3))
        inflated += inflation > 1.3
        expected = np.array([normal[at] / inflation for at in UNIQUE])
        errors.append(float(np.abs(result.information[:, i].numpy() - expected).max() / expected.max()))
    assert inflated >= 3
    assert np.median(errors) < 0.01  # the last step's weights are those of the step before
    assert np.max(errors) < 0.2


def test_a_lone_view_tells_nothing_along_its_ray(cameras: list[Camera]) -> None:
    means, _, exact = scene(cameras)
    variances = torch.full(exact.shape[:2], torch.inf)
    variances[2] = 0.09
    result = triangulate(cameras, torch.tensor(means), exact, variances)
    ray = torch.nn.functional.normalize(torch.tensor(means) + result.translation - torch.tensor(cameras[2].center), dim=-1)
    across = torch.nn.functional.normalize(torch.linalg.cross(ray, torch.tensor(cameras[2].rotation[1]).expand_as(ray)), dim=-1)
    lost, told = ((direction * product(result.information, direction)).sum(-1) for direction in (ray, across))
    assert (lost.abs() < 1e-6 * told).all()
    assert (told > 1e3).all()


@pytest.mark.parametrize("nonsense", [1e3, np.nan, np.inf])
def test_observations_that_are_not_valid_are_left_out(cameras: list[Camera], nonsense: float) -> None:
    means, moves, exact = scene(cameras)
    broken, variances = exact.clone(), torch.full(exact.shape[:2], 0.09)
    broken[0], variances[0] = nonsense, torch.inf
    result = triangulate(cameras, torch.tensor(means), broken, variances)
    np.testing.assert_allclose(result.translation, moves, atol=1e-6)
    assert (result.seen == len(cameras) - 1).all()


def test_the_observation_of_a_view_that_a_mean_is_behind_is_not_valid(cameras: list[Camera]) -> None:
    means, moves, exact = scene(cameras)
    away = cameras[0].world_to_camera.copy()
    away[2, 3] = -5.0
    rig = [*cameras, replace(cameras[0], name="away", world_to_camera=away)]
    told = torch.cat((exact, torch.full_like(exact[:1], 3.0)))
    result = triangulate(rig, torch.tensor(means), told, torch.full(told.shape[:2], 0.09))
    np.testing.assert_allclose(result.translation, moves, atol=1e-6)
    assert (result.seen == len(cameras)).all()


def test_a_lone_view_is_no_measurement(cameras: list[Camera]) -> None:
    means, _, exact = scene(cameras)
    variances = torch.full(exact.shape[:2], torch.inf)
    variances[2] = 0.09
    result = triangulate(cameras, torch.tensor(means), exact, variances)
    assert torch.isfinite(result.translation).all()
    assert (result.deviation_px > 100).all()
    unseen = triangulate(cameras, torch.tensor(means), exact, torch.full(exact.shape[:2], torch.inf))
    assert (unseen.translation == 0).all()
    assert (unseen.views == 0).all()


def test_views_that_look_along_one_line_are_uncertain(cameras: list[Camera]) -> None:
    means, _, _ = scene(cameras)
    near = [cameras[0], replace(cameras[0], name="twin")]
    result = triangulate(near, torch.tensor(means), torch.zeros(2, len(means), 2), torch.full((2, len(means)), 0.09))
    wide = triangulate(cameras[:2], torch.tensor(means), torch.zeros(2, len(means), 2), torch.full((2, len(means)), 0.09))
    assert result.deviation_px.min() > 50 * wide.deviation_px.max()
