"""The optimiser and the order in which views are drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from quad_scene import quad_capture

from trackersplat.captures.capture import PointCloud
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.training.first_frame.initialise import InitialiseSettings, gaussians_from_points
from trackersplat.training.optimiser import LearningRates, Optimiser, TrainingViews, scene_extent
from trackersplat.training.photometric import AffineFit, PhotometricSettings


def _gaussians(n: int = 8) -> Gaussians:
    random = np.random.default_rng(0)
    cloud = PointCloud(random.random((n, 3)).astype(np.float32), random.integers(0, 256, (n, 3)).astype(np.uint8))
    return gaussians_from_points(cloud, 1, InitialiseSettings())


def _loss(gaussians: Gaussians) -> torch.Tensor:
    """Pulls every raw parameter away from where it is."""
    return sum((tensor * torch.arange(1, tensor.numel() + 1).view(tensor.shape)).sum() for tensor in gaussians.tensors().values())  # type: ignore[return-value]


def test_the_first_step_of_adam_moves_every_parameter_by_its_rate() -> None:
    start, rates, extent = _gaussians(), LearningRates(), 3.0
    optimiser = Optimiser(start, rates, extent, steps=100)
    optimiser.step(_loss(optimiser.gaussians()))
    after = optimiser.snapshot()
    assert torch.allclose(start.means - after.means, torch.tensor(rates.means * extent), atol=1e-6)
    assert torch.allclose(start.log_scales - after.log_scales, torch.tensor(rates.log_scales), atol=1e-6)
    assert torch.allclose(start.quats - after.quats, torch.tensor(rates.quats), atol=1e-6)
    assert torch.allclose(start.opacity_logits - after.opacity_logits, torch.tensor(rates.opacity_logits), atol=1e-6)
    assert torch.allclose(start.sh[:, :1] - after.sh[:, :1], torch.tensor(rates.sh_dc), atol=1e-6)
    assert torch.allclose(start.sh[:, 1:] - after.sh[:, 1:], torch.tensor(rates.sh_rest), atol=1e-6)


def test_steps_do_without_the_classes_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """They import torch's compiler, which costs every process seconds."""
    monkeypatch.delattr(torch.optim.Optimizer, "__init__")
    optimiser = Optimiser(_gaussians(), LearningRates(), 1.0, steps=10)
    optimiser.step(_loss(optimiser.gaussians()))
    views = TrainingViews(quad_capture(), 0, torch.device("cpu"), seed=0)
    colours = AffineFit(views, PhotometricSettings(), steps=10)
    colours.apply(0, views.image(0)).mean().backward()
    colours.step()
    assert not torch.equal(colours.matrices(), torch.eye(3, 4).expand(len(views), 3, 4))


def test_over_the_warm_up_every_rate_rises_to_its_full_size() -> None:
    rates = LearningRates(means=1e-2, means_end=1e-2)
    optimiser = Optimiser(_gaussians(), rates, 1.0, steps=9, warm_up=3)
    moved = []
    for _ in range(4):
        before = optimiser.snapshot()
        optimiser.step(_loss(optimiser.gaussians()))  # a constant gradient: Adam moves by the rate
        after = optimiser.snapshot()
        moved.append([(first - second).mean().item() for first, second in ((before.means, after.means), (before.quats, after.quats))])
    for share, (means, quats) in zip((1 / 3, 2 / 3, 1.0, 1.0), moved, strict=True):
        assert (means, quats) == pytest.approx((share * rates.means, share * rates.quats), rel=1e-3)


def test_another_optimiser_takes_its_step_down_the_same_loss_at_its_own_pace() -> None:
    start, rates = _gaussians(), LearningRates()
    one, other = Optimiser(start, rates, 3.0, 100), Optimiser(start, rates.slower(0.1), 3.0, 100)
    for _ in range(2):
        one.step(_loss(one.gaussians()) + _loss(other.gaussians()), other)
    for name, tensor in one.snapshot().tensors().items():
        moved = start.tensors()[name] - other.snapshot().tensors()[name]
        assert torch.allclose(10 * moved, start.tensors()[name] - tensor, rtol=1e-2, atol=1e-5), name


def test_the_rate_of_the_means_falls_geometrically_to_its_end() -> None:
    rates = LearningRates(means=1e-2, means_end=1e-4)
    optimiser = Optimiser(_gaussians(), rates, 1.0, steps=2)
    moved = []
    for _ in range(3):
        before = optimiser.snapshot().means
        optimiser.step(_loss(optimiser.gaussians()))  # a constant gradient: Adam moves by the rate
        moved.append((before - optimiser.snapshot().means).mean().item())
    assert moved == pytest.approx([1e-2, 1e-3, 1e-4], rel=1e-2)


def test_a_snapshot_does_not_change_with_later_steps() -> None:
    optimiser = Optimiser(_gaussians(), LearningRates(), 1.0, 10)
    snapshot = optimiser.snapshot()
    before = snapshot.means.clone()
    optimiser.step(_loss(optimiser.gaussians()))
    assert torch.equal(snapshot.means, before)


def test_rebuilding_keeps_the_moments_of_those_that_stay() -> None:
    """A second step after a rebuild moves a kept Gaussian as it would have moved without, and an added one by a first step."""
    whole, rebuilt = (Optimiser(_gaussians(), LearningRates(), 1.0, 10) for _ in range(2))
    for optimiser in (whole, rebuilt):
        optimiser.step((optimiser.gaussians().means ** 2).sum())
    keep = torch.tensor([6, 2, 5])
    rebuilt.rebuild(keep, _gaussians(4)[:2])
    assert len(rebuilt) == 5
    for optimiser in (whole, rebuilt):
        optimiser.step((optimiser.gaussians().means ** 2).sum())
    assert torch.equal(rebuilt.snapshot().means[:3], whole.snapshot().means[keep])


def test_what_is_overwritten_has_no_momentum_and_the_rest_keeps_its_own() -> None:
    optimiser = Optimiser(_gaussians(), LearningRates(), 1.0, steps=100)
    optimiser.step(_loss(optimiser.gaussians()))
    optimiser.overwrite("opacity_logits", torch.full((8,), -4.0))
    before = optimiser.snapshot()
    assert (before.opacity_logits == -4.0).all()
    optimiser.step(sum((0.0 * tensor).sum() for tensor in optimiser.gaussians().tensors().values()))  # type: ignore[arg-type]
    assert torch.equal(optimiser.snapshot().opacity_logits, before.opacity_logits)
    assert not torch.equal(optimiser.snapshot().log_scales, before.log_scales)


def test_every_view_is_drawn_once_before_any_is_drawn_again_and_held_out_ones_never() -> None:
    capture = quad_capture(forbid_held_out=True)
    views = TrainingViews(capture, 0, torch.device("cpu"), seed=4)
    assert [camera.name for camera in views.cameras] == ["cam0", "cam1", "cam2", "cam4", "cam5", "cam6"]
    drawn = [views.draw() for _ in range(18)]
    for start in (0, 6, 12):
        assert sorted(drawn[start : start + 6]) == list(range(6))
    again = TrainingViews(capture, 0, torch.device("cpu"), seed=4)
    assert [again.draw() for _ in range(18)] == drawn
    assert np.array_equal((views.image(3)[0] * 255).round().numpy(), capture.image(4, 0))


def test_the_extent_of_a_rig_is_its_radius_with_a_tenth_to_spare() -> None:
    cameras = quad_capture().cameras
    centers = np.stack([camera.center for camera in cameras])
    assert scene_extent(cameras) == pytest.approx(1.1 * math.dist(centers[0], centers.mean(axis=0)))
