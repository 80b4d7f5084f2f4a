"""What is left out at the end: Gaussians that hardly show, and bands that hardly change their colours."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from quad_scene import quad_capture

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.training.first_frame.optimise import cleared
from trackersplat.training.first_frame.prune import Seen, giants, seen_by, weighty, without_faint_bands
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.optimiser import TrainingViews

RASTERIZER = PortableRasterizer()
VIEWS = TrainingViews(quad_capture(forbid_held_out=True), 0, torch.device("cpu"), 0)


def _gaussians(n: int, degree: int) -> Gaussians:
    """Large ones before all cameras, which hide parts of each other; colours within [0, 1] from everywhere."""
    random = torch.Generator().manual_seed(degree)
    means = torch.rand(n, 3, generator=random) * torch.tensor([1.0, 0.8, 1.5]) + torch.tensor([-0.5, -0.4, 2.5])
    sh = 0.05 * torch.randn(n, (degree + 1) ** 2, 3, generator=random)
    quats = torch.nn.functional.normalize(torch.randn(n, 4, generator=random), dim=1)
    return Gaussians(means, quats, torch.rand(n, 3, generator=random) - 2.5, torch.randn(n, generator=random), sh)


def _colour(gaussians: Gaussians, camera: Camera) -> torch.Tensor:
    """(3,) of one Gaussian, as the rasteriser shows it where it shows most."""
    rendering = RASTERIZER.render(gaussians, [camera])
    pixel = rendering.alpha.flatten().argmax()
    return (rendering.color.reshape(-1, 3)[pixel] / rendering.alpha.flatten()[pixel]).double()


def _without_bands(gaussians: Gaussians) -> Gaussians:
    return replace(gaussians, sh=torch.cat((gaussians.sh[:, :1], torch.zeros_like(gaussians.sh[:, 1:])), dim=1))


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_mean_and_spread_of_what_the_bands_add_are_those_over_the_rendered_views(degree: int) -> None:
    gaussians = _gaussians(7, degree)
    one_each = torch.eye(7)[None].contiguous()
    weights = torch.zeros(len(VIEWS), 7, dtype=torch.float64)
    added = torch.zeros(len(VIEWS), 7, 3, dtype=torch.float64)
    for view, camera in enumerate(VIEWS.cameras):
        blended = RASTERIZER.render(gaussians, [camera], channels=one_each).channels
        assert blended is not None
        weights[view] = blended.double().sum((0, 1, 2))
    for i in range(7):
        alone = gaussians[i : i + 1]
        for view, camera in enumerate(VIEWS.cameras):
            added[view, i] = _colour(alone, camera) - _colour(_without_bands(alone), camera)
    share = (weights / weights.sum(0))[..., None]
    mean = (share * added).sum(0)
    spread = (share * (added - mean).square()).sum((0, 2)).sqrt()
    seen = seen_by(gaussians, VIEWS, RASTERIZER)
    assert torch.allclose(seen.weights, weights.sum(0), rtol=1e-4)
    assert torch.allclose(seen.shift, mean, atol=2e-6)
    assert torch.allclose(seen.spread, spread, atol=5e-6)
    assert spread.min() > 1e-3


def test_giants_are_longer_than_they_are_away_from_the_nearest_camera_and_go_at_the_end_whatever_else_stays() -> None:
    gaussians = _gaussians(8, 0)
    centers = torch.tensor([camera.center.tolist() for camera in VIEWS.cameras])
    away = (gaussians.means[:, None] - centers).norm(dim=-1).amin(1)
    factors = torch.tensor([0.3, 0.99, 1.01, 50.0, 0.5, 0.99, 1.01, 0.1])
    longest = torch.full((8, 3), 0.01)
    longest[torch.arange(8), torch.arange(8) % 3] = factors * away
    gaussians = replace(gaussians, log_scales=longest.log())
    assert giants(gaussians, VIEWS.cameras).tolist() == (factors > 1).tolist()
    kept = cleared(gaussians, VIEWS, RASTERIZER, FirstFrameSettings(prune=0.0, cull_sh=0.0))
    assert torch.equal(kept.means, gaussians.means[factors < 1])


def test_blending_weights_sum_to_the_alpha_of_all_training_views() -> None:
    gaussians = _gaussians(30, 1)
    alpha = sum(float(RASTERIZER.render(gaussians, [camera]).alpha.sum()) for camera in VIEWS.cameras)
    assert float(seen_by(gaussians, VIEWS, RASTERIZER).weights.sum()) == pytest.approx(alpha, rel=1e-4)


def test_pruning_keeps_all_but_the_least_weighty_up_to_their_share() -> None:
    weights = torch.tensor([5.0, 0.5, 90.0, 0.0, 4.0, 0.5])  # 100 in all
    for share, kept in ((0.0, [0, 1, 2, 4, 5]), (0.005, [0, 2, 4, 5]), (0.01, [0, 2, 4]), (0.05, [0, 2]), (0.0999, [0, 2]), (0.1, [2])):
        assert torch.nonzero(weighty(weights, share))[:, 0].tolist() == kept


def test_colours_that_vary_less_than_the_threshold_become_their_mean_and_the_others_keep_their_bits() -> None:
    gaussians = _gaussians(5, 2)
    shift = torch.rand(5, 3, dtype=torch.float64)
    seen = Seen(torch.ones(5, dtype=torch.float64), shift, torch.tensor([0.01, 0.02, 0.0, 0.0199, 0.3], dtype=torch.float64))
    culled = without_faint_bands(gaussians, seen, 0.02)
    for i in (1, 4):
        assert torch.equal(culled.sh[i], gaussians.sh[i])
    for i in (0, 2, 3):
        assert not culled.sh[i, 1:].any()
        assert torch.allclose(SH_C0 * (culled.sh[i, 0] - gaussians.sh[i, 0]).double(), shift[i], atol=1e-6)
    for name in ("means", "quats", "log_scales", "opacity_logits"):
        assert torch.equal(culled.tensors()[name], gaussians.tensors()[name])
    assert gaussians.sh[0, 1:].all()  # not written to


def test_a_threshold_of_zero_changes_no_bit_and_degree_0_has_nothing_to_lose() -> None:
    gaussians = _gaussians(5, 1)
    nothing = torch.zeros(5, dtype=torch.float64)
    assert torch.equal(without_faint_bands(gaussians, Seen(nothing, torch.ones(5, 3), nothing), 0.0).sh, gaussians.sh)
    flat = _gaussians(5, 0)
    seen = seen_by(flat, VIEWS, RASTERIZER)
    assert not seen.shift.any()
    assert torch.equal(without_faint_bands(flat, seen, 1.0).sh, flat.sh)


def test_what_no_training_view_shows_has_no_weight_and_loses_its_bands_only() -> None:
    gaussians = _gaussians(4, 1)
    behind = replace(gaussians, means=gaussians.means * torch.tensor([1.0, 1.0, -1.0]))
    seen = seen_by(behind, VIEWS, RASTERIZER)
    assert not seen.weights.any()
    assert torch.equal(without_faint_bands(behind, seen, 1e-9).sh, _without_bands(behind).sh)


@pytest.mark.parametrize(("degree", "threshold"), [(1, 0.005), (2, 0.02), (3, 0.03)])
def test_training_pictures_change_by_less_than_the_threshold(degree: int, threshold: float) -> None:
    gaussians = _gaussians(300, degree)
    culled = without_faint_bands(gaussians, seen_by(gaussians, VIEWS, RASTERIZER), threshold)
    assert 0.2 < (culled.sh[:, 1:] == 0).all(dim=2).all(dim=1).float().mean() < 0.8
    changed = shown = 0.0
    for camera in VIEWS.cameras:
        before, after = (RASTERIZER.render(g, [camera]) for g in (gaussians, culled))
        changed += float((after.color - before.color).double().square().sum())
        shown += float(before.alpha.double().sum())
    assert 0 < changed < threshold**2 * shown


def test_the_mean_in_band_0_is_what_changes_the_training_pictures_least() -> None:
    """Of one almost opaque Gaussian that fills every view; any other constant colour is further away."""
    gaussians = replace(_gaussians(1, 1), log_scales=torch.full((1, 3), 2.0), opacity_logits=torch.full((1,), 8.0))
    seen = seen_by(gaussians, VIEWS, RASTERIZER)

    def change(shift: torch.Tensor) -> float:
        culled = without_faint_bands(gaussians, Seen(seen.weights, shift, seen.spread), 1.0)
        pictures = [[RASTERIZER.render(g, [camera]).color for g in (gaussians, culled)] for camera in VIEWS.cameras]
        return sum(float((after - before).double().square().sum()) for before, after in pictures)

    least = change(seen.shift)
    assert least == pytest.approx(float(seen.weights[0] * seen.spread[0] ** 2), rel=0.02)
    for factor in (0.0, 0.9, 1.1):
        assert change(factor * seen.shift) > least
