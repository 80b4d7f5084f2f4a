"""The strategies behind one interface: what MCMC divides, what the screen-space gradient is, what each does in a round."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import tyro
from quad_scene import quad_capture, swept_points, with_swept_points
from torch import Tensor

from trackersplat.captures.registry import open_capture
from trackersplat.commands.reconstruct import Reconstruct
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.quaternions import quaternion_to_matrix
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.training.first_frame.densify.gradient import samples, screen_gradient
from trackersplat.training.first_frame.densify.mcmc import divided, relocate, wander
from trackersplat.training.first_frame.densify.registry import DENSIFICATIONS, create_densification
from trackersplat.training.first_frame.densify.settings import DensifySettings, GradientSettings, McmcSettings
from trackersplat.training.first_frame.densify.strategy import Fit
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.first_frame.initialise import gaussians_from_points
from trackersplat.training.first_frame.optimise import held_out_psnr
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone, FitState
from trackersplat.training.optimiser import LearningRates, Optimiser, TrainingViews
from trackersplat.training.points.settings import PointSettings


def _gaussians(opacities: list[float], seed: int = 0) -> Gaussians:
    """With these opacities, each of another colour, place, shape and direction."""
    random = torch.Generator().manual_seed(seed)
    n = len(opacities)
    quats = torch.nn.functional.normalize(torch.randn(n, 4, generator=random), dim=1)
    means = torch.randn(n, 3, generator=random) * 0.3 + torch.tensor([0.0, 0.0, 3.0])
    log_scales = torch.rand(n, 3, generator=random) - 4.0
    return Gaussians(means, quats, log_scales, torch.logit(torch.tensor(opacities)), torch.randn(n, 1, 3, generator=random))


def _fit(gaussians: Gaussians, steps: int = 1000) -> Fit:
    views = TrainingViews(quad_capture(forbid_held_out=True), 0, torch.device("cpu"), 0)
    optimiser = Optimiser(gaussians, LearningRates(), 1.0, steps)
    return Fit(optimiser, views, PortableRasterizer(), 1.0, steps, torch.Generator().manual_seed(3))


def _result(events: list[Event]) -> Gaussians:
    assert isinstance(events[-1], FitDone)
    return events[-1].gaussians


@pytest.mark.parametrize(("opacity", "count"), [(0.3, 2), (0.9, 2), (0.6, 7), (0.99, 5), (0.8, 50), (0.5, 1)])
def test_copies_blend_to_the_integral_and_the_peak_of_the_one_they_replace(opacity: float, count: int) -> None:
    """Along a line through the centre, by a plain sum over a fine grid."""
    whole = _gaussians([opacity])
    part = divided(whole, torch.tensor([count]), McmcSettings())
    x = np.linspace(-12, 12, 200_001)
    old_scale, new_scale = 1.0, float(torch.exp(part.log_scales - whole.log_scales)[0, 0])
    new = float(part.opacities[0])
    blended = 1 - (1 - new * np.exp(-0.5 * (x / new_scale) ** 2)) ** count
    single = opacity * np.exp(-0.5 * (x / old_scale) ** 2)
    assert blended.max() == pytest.approx(opacity, rel=1e-5)
    assert blended.sum() == pytest.approx(single.sum(), rel=1e-4)
    assert torch.allclose(part.log_scales - whole.log_scales, (part.log_scales - whole.log_scales)[0, 0].expand(1, 3))


def test_a_round_of_mcmc_moves_the_faint_onto_others_and_keeps_the_number() -> None:
    gaussians = _gaussians([0.9, 0.001, 0.5, 0.002, 0.7])
    fit = _fit(gaussians)
    relocate(fit, DensifySettings(strategy="mcmc", min_opacity=0.005, share=0.0, cap=5), rounds=1)
    after = fit.optimiser.snapshot()
    assert len(after) == 5
    places = [next(i for i in range(5) if torch.equal(gaussians.means[i], mean)) for mean in after.means]
    assert set(places) == {0, 2, 4}
    for place in (0, 2, 4):
        count = places.count(place)
        together = 1 - (1 - after.opacities[[i for i, p in enumerate(places) if p == place]]).prod()
        assert float(together) == pytest.approx(float(gaussians.opacities[place]), abs=1e-5)
        if count == 1:
            assert torch.equal(after.log_scales[places.index(place)], gaussians.log_scales[place])


def test_mcmc_grows_by_its_share_and_never_past_the_cap() -> None:
    for cap, rounds, expected in ((100, 1000, 22), (21, 1, 21), (40, 2, 30), (10, 1, 20 - 10)):
        fit = _fit(_gaussians([0.5] * 20))
        relocate(fit, DensifySettings(strategy="mcmc", share=0.1, cap=cap), rounds)
        assert len(fit.optimiser) == expected


def test_only_faint_gaussians_wander_and_along_their_own_covariance() -> None:
    gaussians = _gaussians([0.0001] * 4000)
    one = gaussians[torch.zeros(4000, dtype=torch.long)]
    shift = wander(one, McmcSettings(noise=20.0), 0.1, torch.Generator().manual_seed(0))
    axes = quaternion_to_matrix(one.quats[:1])[0]
    covariance = axes @ torch.diag(one.scales[0] ** 2) @ axes.T
    strength = 2.0 / (1 + math.exp(100 * (0.0001 - 0.005)))
    # shifts are strength * covariance * noise, so their own covariance is strength^2 covariance^2
    assert torch.allclose(
        shift.T @ shift / 4000,
        strength**2 * covariance @ covariance,
        rtol=0.15,
        atol=0.15 * float(strength**2 * (covariance @ covariance).max()),
    )
    opaque = replace(one, opacity_logits=torch.full((4000,), 2.0))
    assert wander(opaque, McmcSettings(noise=20.0), 0.1, torch.Generator().manual_seed(0)).abs().max() < 1e-12


def test_the_screen_gradient_is_that_of_the_projected_position() -> None:
    camera = quad_capture().cameras[5]
    means = _gaussians([0.5] * 30).means.requires_grad_()
    local = means @ torch.tensor(camera.rotation.copy()).float().T + torch.tensor(camera.translation.copy()).float()
    uv = torch.stack((camera.fx * local[:, 0] / local[:, 2] + camera.cx, camera.fy * local[:, 1] / local[:, 2] + camera.cy), dim=1)
    uv.retain_grad()
    (uv * torch.randn(30, 2, generator=torch.Generator().manual_seed(1))).sum().backward()
    assert means.grad is not None
    assert uv.grad is not None
    expected = uv.grad * torch.tensor([camera.width / 2, camera.height / 2])
    assert torch.allclose(screen_gradient(means.detach(), means.grad, camera), expected, rtol=1e-4, atol=1e-4)


def _pull(fit: Fit, view: int, index: int, amount: float) -> None:
    """A step whose loss pulls one Gaussian across the image of a view, by a gradient of ``amount`` in half image widths."""
    camera = fit.views.cameras[view]
    fit.views.drawn = view
    mean = fit.optimiser.gaussians().means[index]
    depth = float(mean.detach() @ torch.tensor(camera.rotation[2].copy()).float() + camera.translation[2])
    across: Tensor = mean @ torch.tensor(camera.rotation[0].copy()).float()
    fit.optimiser.step(across * amount * 2 * camera.fx / (camera.width * depth))


def test_default_doubles_the_small_splits_the_large_and_removes_the_faint() -> None:
    gaussians = _gaussians([0.5, 0.5, 0.5, 0.001])
    log_scales = gaussians.log_scales.clone()
    log_scales[0], log_scales[1] = math.log(0.001), math.log(0.5)
    settings = DensifySettings(strategy="default", every=2, gradient=GradientSettings(threshold=1e-3), min_opacity=0.005, cap=100)
    for pulled, expected in ((0, 4), (1, 4), (2, 3)):
        fit = _fit(replace(gaussians, log_scales=log_scales))
        densify = create_densification(settings)
        amount = 0.9e-3 if pulled == 2 else 1.1e-3
        for step in (1, 2):
            _pull(fit, 1, pulled, amount)
            densify.after_step(fit, step, None)
        after = fit.optimiser.snapshot()
        assert len(after) == expected
        if pulled == 0:
            assert torch.equal(after.log_scales[0], after.log_scales[3])
            assert torch.equal(after.means[0], after.means[3])
        if pulled == 1:
            assert after.log_scales[2:].max().item() == pytest.approx(math.log(0.5 / GradientSettings().shrink), abs=1e-4)


def test_default_keeps_to_the_cap_with_those_pulled_hardest_and_resets_opacities_when_due() -> None:
    fit = _fit(_gaussians([0.5, 0.6, 0.7]))
    densify = create_densification(DensifySettings(strategy="default", every=1000, gradient=GradientSettings(reset_every=2), cap=3))
    for step in (1, 2):
        before = fit.optimiser.snapshot().opacities
        _pull(fit, 0, 0, 1.0)
        densify.after_step(fit, step, None)
        assert torch.equal(fit.optimiser.snapshot().opacities, before) == (step == 1)
    assert fit.optimiser.snapshot().opacities.max().item() == pytest.approx(GradientSettings().reset_opacity)


def test_default_takes_the_mean_over_the_views_that_pull_and_forgets_it_after_a_round() -> None:
    settings = DensifySettings(strategy="default", every=2, gradient=GradientSettings(threshold=1e-3), cap=100)
    fit, densify = _fit(_gaussians([0.5, 0.5, 0.5])), create_densification(settings)
    # Round by round the pulls of two steps: the second Gaussian is above the threshold where it is seen, and only then.
    for step, (index, amount) in enumerate([(0, 0.4e-3), (2, 0.4e-3), (1, 1.2e-3), (0, 0.9e-3)], start=1):
        _pull(fit, 1, index, amount)
        densify.after_step(fit, step, None)
        assert len(fit.optimiser) == (4 if step == 4 else 3)
    for step, amount in enumerate((0.2e-3, 0.2e-3, 1.1e-3, 1.3e-3), start=5):
        _pull(fit, 1, 0, amount)
        densify.after_step(fit, step, None)
        assert len(fit.optimiser) == (5 if step == 8 else 4)


def test_default_removes_the_faint_however_hard_they_are_pulled_and_resets_no_opacity_at_the_end() -> None:
    fit = _fit(_gaussians([0.5, 0.001, 0.6]), steps=6)
    gradient = GradientSettings(threshold=1e-3, reset_every=5)
    densify = create_densification(DensifySettings(strategy="default", every=2, gradient=gradient, min_opacity=0.005, until=0.7))
    for step in range(1, 7):
        _pull(fit, 1, 1 if step <= 2 else 0, 1.0 if step <= 2 else 1e-6)
        before = fit.optimiser.snapshot()
        densify.after_step(fit, step, None)
        assert len(fit.optimiser) == (3 if step < 2 else 2)
        if step == 5:
            assert torch.equal(fit.optimiser.snapshot().opacities, before.opacities)


def test_large_is_a_part_of_the_scene_extent() -> None:
    """The same Gaussian is split in a small scene and doubled in a large one."""
    for extent, split in ((1.0, True), (1e3, False)):
        fit = replace(_fit(_gaussians([0.5, 0.5])), extent=extent)
        before = fit.optimiser.snapshot()
        densify = create_densification(DensifySettings(strategy="default", every=1, gradient=GradientSettings(threshold=1e-3), cap=9))
        _pull(fit, 1, 0, 1.0)
        densify.after_step(fit, 1, None)
        after = fit.optimiser.snapshot().log_scales
        assert len(after) == 3
        assert torch.allclose(after[-1], before.log_scales[0] - (math.log(GradientSettings().shrink) if split else 0.0), atol=1e-6)


def test_the_screen_gradient_is_that_of_the_view_that_was_drawn_and_none_behind_it() -> None:
    fit = _fit(_gaussians([0.5, 0.5]))
    densify = create_densification(DensifySettings(strategy="default", every=1, gradient=GradientSettings(threshold=1e-3), cap=9))
    # A pull across view 2 that is just strong enough there; seen by the first view it would be another.
    _pull(fit, 2, 0, 0.99e-3)
    densify.after_step(fit, 1, None)
    assert len(fit.optimiser) == 2
    _pull(fit, 2, 0, 1.01e-3)
    densify.after_step(fit, 2, None)
    assert len(fit.optimiser) == 3
    camera = fit.views.cameras[0]
    behind = torch.tensor(camera.center - 2.0 * camera.rotation[2]).float()[None]
    assert (screen_gradient(behind, torch.ones(1, 3), camera) == 0).all()


def test_copies_of_mcmc_follow_the_opacity_and_are_bounded() -> None:
    opacities = [0.8] * 40 + [0.2] * 40 + [0.001] * 400
    gaussians = _gaussians(opacities)
    fit = _fit(gaussians)
    relocate(fit, DensifySettings(strategy="mcmc", min_opacity=0.005, share=0.0, cap=480), rounds=1)
    after = fit.optimiser.snapshot()
    strong = (after.means[:, None] == gaussians.means[None, :40]).all(-1).any(1).sum().item()
    assert len(after) == 480
    assert strong == pytest.approx(40 + 320, abs=4 * math.sqrt(400 * 0.8 * 0.2))
    fit = _fit(_gaussians([0.8] + [0.001] * 200))
    relocate(fit, DensifySettings(strategy="mcmc", min_opacity=0.005, share=0.0, cap=201), rounds=1)
    assert len(fit.optimiser) == McmcSettings().most_copies


def test_where_mcmc_must_give_up_some_the_most_opaque_stay_in_their_order() -> None:
    gaussians = _gaussians([0.3, 0.9, 0.001, 0.5, 0.7])
    fit = _fit(gaussians)
    relocate(fit, DensifySettings(strategy="mcmc", min_opacity=0.005, share=0.0, cap=2), rounds=1)
    assert torch.equal(fit.optimiser.snapshot().means, gaussians.means[[1, 4]])


def test_mcmc_shakes_with_the_rate_of_the_means_and_anew_in_every_step() -> None:
    """The noise is proportional to its strength and the learning rate, which falls; and no two steps have the same."""
    gaussians = _gaussians([0.001] * 50)
    shifts = []
    for strength in (1e4, 2e4, 0.0):
        fit, densify = (
            _fit(gaussians),
            create_densification(DensifySettings(strategy="mcmc", every=1000, mcmc=McmcSettings(noise=strength))),
        )
        own = []
        for step in (1, 2):
            before = fit.optimiser.snapshot().means
            densify.after_step(fit, step, None)
            own.append(fit.optimiser.snapshot().means - before)
        shifts.append(own)
    rate = fit.optimiser.means_rate
    expected = wander(gaussians, McmcSettings(noise=1e4), rate, torch.Generator().manual_seed(3))
    assert torch.allclose(shifts[0][0], expected, atol=1e-6)
    assert torch.allclose(shifts[1][0], 2 * shifts[0][0], atol=2e-6)
    assert shifts[0][0].abs().max() > 1e-4
    assert not torch.allclose(shifts[0][0], shifts[0][1], atol=1e-5)
    assert (shifts[2][0] == 0).all()


def test_samples_of_a_gaussian_are_distributed_as_it_is() -> None:
    one = _gaussians([0.5])[torch.zeros(4000, dtype=torch.long)]
    parts = samples(one, 1.6, torch.Generator().manual_seed(0))
    axes = quaternion_to_matrix(one.quats[:1])[0]
    local = (parts.means - one.means[0]) @ axes
    assert torch.allclose(local.std(dim=0), one.scales[0], rtol=0.03)
    assert torch.allclose(parts.scales[0] * 1.6, one.scales[0])


@pytest.mark.parametrize("name", DENSIFICATIONS.names())
def test_every_strategy_improves_a_view_never_looked_at_within_its_cap_and_repeats_itself(name: str) -> None:
    settings = FirstFrameSettings(
        steps=60,
        densify=DensifySettings(strategy=name, every=20, cap=1200, gradient=GradientSettings(threshold=1e-5)),
    )
    capture, points = with_swept_points(quad_capture(forbid_held_out=True), PointSettings(count=800))
    settings = replace(settings, points=points)
    first, second = (list(fit_first_frame(capture, 0, PortableRasterizer(), settings)) for _ in range(2))
    start = gaussians_from_points(swept_points(800), 1, settings.initialise)
    scores = [held_out_psnr(quad_capture(), 0, PortableRasterizer(), g) or 0.0 for g in (start, _result(first))]
    assert scores[1] > scores[0] + 2
    assert max(len(event.gaussians) for event in first if isinstance(event, FitState)) == 1200
    for a, b in zip(_result(first).tensors().values(), _result(second).tensors().values(), strict=True):
        assert torch.equal(a, b)


def test_an_unknown_strategy_is_named() -> None:
    with pytest.raises(InputError, match="no densification named 'best'; choose one of error, mcmc, default"):
        create_densification(DensifySettings(strategy="best"))


def test_the_command_line_chooses_the_strategy_with_what_belongs_to_it() -> None:
    def first(*options: str) -> FirstFrameSettings:
        return tyro.cli(Reconstruct, args=("demo", *options))._settings(open_capture("demo"), PortableRasterizer()).first

    assert first() == first("--densify", "error")
    assert first().densify.strategy == "error"
    chain = first("--densify", "mcmc")
    assert (chain.densify.strategy, chain.densify.min_opacity) == ("mcmc", 0.005)
    assert (chain.regularisation.opacity, chain.regularisation.scale) == (0.01, 1.0)
    assert first("--densify", "default").densify.strategy == "default"
