from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.motion.triangulate import triangulate


def scene(cameras: list[Camera], count: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """Means, true translations, and exact pixel displacements (V, N, 2)."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(-0.4, 0.4, (count, 3))
    moves = rng.normal(size=(count, 3)) * 0.1
    exact = np.stack([camera.project(means + moves)[0] - camera.project(means)[0] for camera in cameras])
    return means, moves, torch.tensor(exact)


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
            jacobian = np.empty((2, 3))
            for axis in range(3):  # central differences of the projection
                step = np.zeros(3)
                step[axis] = 1e-5
                jacobian[:, axis] = ((camera.project((means[i] + step)[None])[0] - camera.project((means[i] - step)[None])[0]) / 2e-5)[0]
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


def test_views_without_a_say_are_left_out(cameras: list[Camera]) -> None:
    means, moves, exact = scene(cameras)
    broken, variances = exact.clone(), torch.full(exact.shape[:2], 0.09)
    broken[0], variances[0] = 1e3, torch.inf
    result = triangulate(cameras, torch.tensor(means), broken, variances)
    np.testing.assert_allclose(result.translation, moves, atol=1e-6)
    assert (result.seen == len(cameras) - 1).all()


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
