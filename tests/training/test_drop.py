"""Gaussians that a step leaves out at random, so that those behind them are seen, too."""

from __future__ import annotations

import numpy as np
import torch
from quad_scene import quad_capture

from trackersplat.captures.capture import PointCloud
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.training.first_frame.drop import MOST_OPAQUE, RandomDrop
from trackersplat.training.first_frame.optimise import optimise_points
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone

STEPS, COUNT = 10, 20_000


def _gaussians(opacity: float) -> Gaussians:
    quats = torch.zeros(COUNT, 4)
    quats[:, 0] = 1
    means = torch.arange(3.0 * COUNT).reshape(COUNT, 3)
    logits = torch.full((COUNT,), opacity).logit().requires_grad_()
    return Gaussians(means, quats, torch.zeros(COUNT, 3), logits, torch.zeros(COUNT, 1, 3))


def test_the_share_that_is_left_out_grows_with_the_steps() -> None:
    drop, gaussians = RandomDrop(0.4, STEPS, seed=0), _gaussians(0.3)
    left = [len(drop(step, gaussians)) / COUNT for step in range(STEPS + 1)]
    assert left[0] == 1
    assert torch.allclose(torch.tensor(left), 1 - 0.4 * torch.arange(STEPS + 1) / STEPS, atol=0.02)


def test_the_opacity_of_all_together_stays_the_same() -> None:
    gaussians = _gaussians(0.3)
    left = RandomDrop(0.4, STEPS, seed=0)(STEPS, gaussians)
    assert torch.allclose(left.opacities, torch.full((len(left),), 0.5))
    assert abs(float((left.opacities.sum() / gaussians.opacities.sum()).detach()) - 1) < 0.02


def test_opacities_at_the_ends_stay_finite_and_those_left_out_get_no_gradient() -> None:
    gaussians = _gaussians(0.9)
    gaussians.opacity_logits.data[0] = 40.0  # 1 in single precision
    gaussians.opacity_logits.data[1:3] = torch.tensor([-60.0, -200.0])  # the latter is 0 in single precision
    left = RandomDrop(0.05, STEPS, seed=0)(STEPS, gaussians)
    assert {0.0, 3.0, 6.0} <= set(left.means[:, 0].tolist()), "the ends are among those that are left"
    assert torch.isfinite(left.opacity_logits).all()
    assert float(left.opacities.max().detach()) <= MOST_OPAQUE + 1e-6
    left.opacities.sum().backward()
    gradient = gaussians.opacity_logits.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    kept = torch.isin(gaussians.means[:, 0], left.means[:, 0])
    assert (gradient[~kept] == 0).all()
    assert (gradient[kept][3:] > 0).all()


def test_the_same_seed_leaves_out_the_same_ones() -> None:
    gaussians = _gaussians(0.3)
    first, again, other = (RandomDrop(0.4, STEPS, seed)(STEPS, gaussians).means for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first[:100], other[:100])


def test_a_fit_leaves_them_out() -> None:
    random, capture = np.random.default_rng(0), quad_capture()
    points = PointCloud(random.uniform(-0.5, 0.5, (200, 3)).astype(np.float32), random.integers(0, 256, (200, 3), np.uint8))
    means = []
    for drop in (0.0, 0.0, 0.9):
        settings = FirstFrameSettings(steps=6, drop=drop, prune=0.0)
        *_, last = optimise_points(capture, 0, PortableRasterizer(), settings, points)
        assert isinstance(last, FitDone)
        means.append(last.gaussians.means)
    assert torch.equal(means[0], means[1])
    assert not torch.equal(means[0], means[2])
