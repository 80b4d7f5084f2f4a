"""Adding Gaussians where the picture is wrong and removing those that show nowhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from quad_scene import quad_capture

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.training.first_frame.densify.error import blended_error, densify, halves
from trackersplat.training.first_frame.densify.settings import DensifySettings, ErrorSettings
from trackersplat.training.first_frame.densify.strategy import Fit, is_round, rounds_left
from trackersplat.training.first_frame.initialise import InitialiseSettings, gaussians_from_points
from trackersplat.training.optimiser import LearningRates, Optimiser, TrainingViews
from trackersplat.training.points.find import first_points
from trackersplat.training.points.settings import PointSettings


@pytest.fixture(scope="module")
def scene() -> tuple[Gaussians, TrainingViews, PortableRasterizer]:
    capture = quad_capture(forbid_held_out=True)
    points = first_points(capture, capture.training_cameras, 0, PointSettings(count=500))
    return gaussians_from_points(points, 0, InitialiseSettings()), TrainingViews(capture, 0, torch.device("cpu"), 0), PortableRasterizer()


def _round(scene: tuple[Gaussians, TrainingViews, PortableRasterizer], gaussians: Gaussians, settings: DensifySettings) -> Gaussians:
    optimiser = Optimiser(gaussians, LearningRates(), 1.0, 10)
    densify(Fit(optimiser, scene[1], scene[2], 1.0, 10, torch.Generator().manual_seed(0)), settings, 100)
    return optimiser.snapshot()


def test_the_share_is_split_and_the_cap_is_never_passed(scene: tuple[Gaussians, TrainingViews, PortableRasterizer]) -> None:
    seen = int((blended_error(scene[0], scene[1], scene[2])[1] > 0).sum())
    assert len(_round(scene, scene[0], DensifySettings(share=0.1, cap=5000))) == seen + int(0.1 * seen)
    assert len(_round(scene, scene[0], DensifySettings(share=0.1, cap=seen + 7))) == seen + 7
    assert len(_round(scene, scene[0], DensifySettings(share=0.1, cap=100))) == seen


def test_the_worst_are_split_and_the_others_keep_their_bits(scene: tuple[Gaussians, TrainingViews, PortableRasterizer]) -> None:
    error, seen = blended_error(*scene)
    after = _round(scene, scene[0], DensifySettings(share=0.1, cap=5000))
    count = int(0.1 * int((seen > 0).sum()))
    worst = torch.topk(error, count).indices
    others = torch.ones(len(error), dtype=torch.bool)
    others[worst] = False
    others &= seen > 0
    assert torch.equal(after.means[: int(others.sum())], scene[0].means[others])
    assert len(after) == int(others.sum()) + 2 * count


def test_faint_and_unseen_gaussians_are_removed(scene: tuple[Gaussians, TrainingViews, PortableRasterizer]) -> None:
    gaussians = scene[0]
    logits, means = gaussians.opacity_logits.clone(), gaussians.means.clone()
    logits[3] = -8.0
    means[4] = torch.tensor([0.0, 0.0, -50.0])
    after = _round(scene, replace(gaussians, opacity_logits=logits, means=means), DensifySettings(cap=100))
    assert not (after.means == means[4]).all(dim=1).any()
    assert not (after.opacity_logits == -8.0).any()


def test_the_two_halves_lie_around_the_mean_of_the_whole_along_its_longest_axis() -> None:
    quats = torch.nn.functional.normalize(torch.tensor([[0.9, 0.2, -0.3, 0.1]]).repeat(400, 1), dim=1)
    whole = Gaussians(
        torch.zeros(400, 3), quats, torch.log(torch.tensor([[0.1, 0.5, 0.2]])).repeat(400, 1), torch.zeros(400), torch.zeros(400, 1, 3)
    )
    parts = halves(whole, ErrorSettings(), torch.Generator().manual_seed(0))
    assert len(parts) == 800
    assert parts.means.mean(dim=0).abs().max() < 0.01
    w, x, y, z = quats[0].double().tolist()
    longest = torch.tensor([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)])  # second column of the rotation
    along = parts.means @ longest
    assert along.std().item() ** 2 + parts.scales[0, 1].item() ** 2 == pytest.approx(0.75 * 0.25, rel=0.02)
    assert (parts.means - along[:, None] * longest).norm(dim=1).mean() < 0.06
    assert torch.equal(parts.log_scales[:, [0, 2]], whole.log_scales.repeat(2, 1)[:, [0, 2]])


def test_colours_are_corrected_before_the_error_is_taken(scene: tuple[Gaussians, TrainingViews, PortableRasterizer]) -> None:
    gaussians, views, rasterizer = scene
    plain = blended_error(gaussians, views, rasterizer)
    perfect = blended_error(gaussians, views, rasterizer, lambda view, color: views.image(view)[0])
    assert plain[0].max() > 0.01
    assert (perfect[0] == 0).all()
    assert torch.equal(perfect[1], plain[1])


def test_what_is_removed_is_not_split(scene: tuple[Gaussians, TrainingViews, PortableRasterizer]) -> None:
    gaussians = scene[0]
    logits = gaussians.opacity_logits.clone()
    error = blended_error(*scene)[0]
    logits[torch.topk(error, 20).indices] = -0.5  # opacity 0.38; theirs are the largest errors still
    faint = replace(gaussians, opacity_logits=logits)
    after = _round(scene, faint, DensifySettings(share=0.1, cap=5000, min_opacity=0.4))
    assert not (after.opacity_logits == -0.5).any()


@pytest.mark.parametrize(("every", "until", "steps"), [(100, 0.7, 1000), (30, 0.5, 100), (7, 1.0, 50), (40, 0.7, 30)])
def test_rounds_come_at_equal_distances_until_their_end_and_each_knows_how_many_are_left(every: int, until: float, steps: int) -> None:
    settings = DensifySettings(every=every, until=until)
    rounds = [step for step in range(1, steps + 1) if is_round(settings, step, steps)]
    assert rounds == list(range(every, int(until * steps) + 1, every))
    assert [rounds_left(settings, step, steps) for step in rounds] == list(range(len(rounds), 0, -1))
