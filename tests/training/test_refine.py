"""Refining a moved frame."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from quad_scene import quad_capture

from trackersplat.captures.capture import Capture
from trackersplat.errors import ShapeError
from trackersplat.events import Event, StepDone
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.graph import GraphSettings
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.first_frame.optimise import held_out_psnr
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone, FitState
from trackersplat.training.losses import photometric_loss
from trackersplat.training.optimiser import LearningRates, TrainingViews, warm_up_share
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.refine.adam import refine
from trackersplat.training.refine.settings import RefineSettings, ReplaceFaintSettings, StiffnessSettings
from trackersplat.training.refine.stiffness import Stiffness
from trackersplat.training.refine.task import RefineTask

NOTHING, FREE = ReplaceFaintSettings(share=0.0), StiffnessSettings(weight=0.0)


def _events(
    moved: Gaussians, static: torch.Tensor, settings: RefineSettings, frame: int = 2, capture: Capture | None = None
) -> list[Event]:
    capture = capture or quad_capture(forbid_held_out=True)
    return list(refine(RefineTask(moved, static, capture, frame, PortableRasterizer(), None, settings)))


def _result(events: list[Event]) -> Gaussians:
    assert isinstance(events[-1], FitDone)
    return events[-1].gaussians


@pytest.fixture(scope="module")
def first() -> Gaussians:
    settings = FirstFrameSettings(steps=150, points=PointSettings(count=1500), densify=DensifySettings(every=1000))
    *_, last = fit_first_frame(quad_capture(forbid_held_out=True), 0, PortableRasterizer(), settings)
    assert isinstance(last, FitDone)
    return last.gaussians


def _refine(moved: Gaussians, static: torch.Tensor, steps: int = 60, seed: int = 0) -> Gaussians:
    settings = RefineSettings(steps=steps, seed=seed).unmoved()
    events = _events(moved, static, settings)
    assert [(event.step, event.steps) for event in events if isinstance(event, StepDone)][-1:] == [(steps, steps)] * (steps > 0)
    return _result(events)


def test_gaussians_stay_in_their_places_and_static_ones_take_a_share_of_every_step(first: Gaussians) -> None:
    static = first.means[:, 0] > 0.1
    settings = RefineSettings(steps=1, static_pace=0.02, stiffness=FREE)
    refined = _result(_events(first, static, settings))
    assert len(refined) == len(first)
    change = (refined.sh - first.sh)[:, 0].abs()  # the first step of Adam is the rate, whatever the gradient
    for chosen, rate in ((static, 0.02 * settings.rates.sh_dc), (~static, settings.rates.sh_dc)):
        changed = change[chosen][change[chosen] > 0]
        assert len(changed) > 100
        assert torch.allclose(changed, torch.full_like(changed, rate), rtol=0.01)
    refined = _refine(first, static)
    # the order is kept: a Gaussian is still the nearest to where it was for almost all
    assert (refined.means[~static] - first.means[~static]).norm(dim=1).median() < 0.05
    assert (refined.means[static] - first.means[static]).norm(dim=1).max() < 0.05


def test_static_gaussians_without_a_pace_keep_their_bits(first: Gaussians) -> None:
    static = first.means[:, 0] > 0.1
    settings = RefineSettings(steps=20, static_pace=0.0, replace_faint=NOTHING)
    for name, tensor in _result(_events(first, static, settings)).tensors().items():
        assert torch.equal(tensor[static], first.tensors()[name][static])
        assert not torch.equal(tensor[~static], first.tensors()[name][~static])


def test_the_result_is_the_mean_over_the_last_steps(first: Gaussians) -> None:
    static = first.means[:, 0] > 0.1
    settings = RefineSettings(steps=10, report_every=1, average=0.0)
    every = [event.gaussians for event in _events(first, static, settings) if isinstance(event, (FitState, FitDone))]
    assert len(every) == 10
    for name, tensor in _result(_events(first, static, replace(settings, average=0.3))).tensors().items():
        mean = torch.stack([state.tensors()[name] for state in every[-3:]]).mean(0)
        assert torch.allclose(tensor, mean, atol=1e-5), name
        assert not torch.equal(tensor, every[-1].tensors()[name])


def test_stiffness_keeps_neighbours_together_and_the_images_matched(first: Gaussians) -> None:
    capture, rasterizer = quad_capture(), PortableRasterizer()
    moving = torch.arange(len(first))
    measure = Stiffness(first, moving, StiffnessSettings(weight=1.0))
    strains, scores = [], []
    for weight in (0.0, 0.1):
        settings = RefineSettings(steps=60, stiffness=StiffnessSettings(weight=weight), replace_faint=NOTHING)
        refined = _result(_events(first, torch.zeros(len(first), dtype=torch.bool), settings, 0, capture))
        rendering = rasterizer.render(first, [capture.cameras[0]])
        strains.append(float(measure(0, refined, rendering)))
        scores.append(held_out_psnr(capture, 0, rasterizer, refined) or 0.0)
    assert strains[1] < 0.5 * strains[0]
    assert scores[1] > scores[0] - 0.3


def test_what_is_static_is_part_of_the_picture_that_is_compared(first: Gaussians) -> None:
    """The loss of the first step is that of all Gaussians together."""
    capture, rasterizer = quad_capture(forbid_held_out=True), PortableRasterizer()
    settings = replace(RefineSettings(steps=1), seed=5)
    static = first.means[:, 0] > 0.1
    step, _ = _events(first, static, settings, 0, capture)
    assert isinstance(step, StepDone)
    views = TrainingViews(capture, 0, torch.device("cpu"), 5)
    view = views.draw()
    expected = photometric_loss(rasterizer.render(first, [views.cameras[view]]).color, views.image(view), settings.loss)
    assert step.loss == pytest.approx(float(expected), rel=1e-5)


def test_a_neighbour_that_is_static_holds_what_is_refined_beside_it(first: Gaussians) -> None:
    """One Gaussian alone is refined, in a frame in which all have moved: stiffness keeps it with those that stay."""
    chosen = int((first.means - first.means.new_tensor((0.0, 0.0, 2.6))).norm(dim=1).argmin())
    static = torch.ones(len(first), dtype=torch.bool)
    static[chosen] = False
    strays = []
    for weight in (0.0, 1e3):
        refined = _result(_events(first, static, RefineSettings(steps=40, stiffness=StiffnessSettings(weight=weight))))
        strays.append(float((refined.means - first.means)[chosen].norm()))
    assert strays[1] < 0.3 * strays[0]


def test_what_was_not_moved_is_not_held_back() -> None:
    rates, stiffness = LearningRates(means=1e-2, quats=1e-9), StiffnessSettings(weight=0.5, graph=GraphSettings(neighbours=5))
    settings = RefineSettings(steps=7, rates=rates, stiffness=stiffness, replace_faint=ReplaceFaintSettings(views=2))
    expected = RefineSettings(steps=7, rates=LearningRates(means=1e-2), stiffness=replace(stiffness, weight=0.0), average=0.0)
    assert settings.unmoved() == replace(expected, replace_faint=ReplaceFaintSettings(views=2, share=0.0))


def test_rates_rise_over_the_first_steps_and_are_full_at_once_where_nothing_was_moved() -> None:
    settings = RefineSettings.for_device("cuda")
    assert [warm_up_share(done, warm_up=4) for done in (0, 1, 3, 8)] == [0.25, 0.5, 1.0, 1.0]
    assert warm_up_share(0, RefineSettings().warm_up) == 1.0
    unmoved = settings.unmoved()
    assert (unmoved.pace, unmoved.warm_up, unmoved.momentum) == (1.0, 0, 0.9)
    assert unmoved.steps == settings.steps
    assert RefineSettings.for_device("cuda", moved=False).steps > settings.steps


def test_refinement_without_motion_raises_psnr_on_a_view_never_looked_at(first: Gaussians) -> None:
    capture, rasterizer = quad_capture(), PortableRasterizer()
    before = held_out_psnr(capture, 2, rasterizer, first) or 0.0
    after = held_out_psnr(capture, 2, rasterizer, _refine(first, torch.zeros(len(first), dtype=torch.bool))) or 0.0
    assert after > before + 1


def test_the_same_seed_gives_the_same_bits(first: Gaussians) -> None:
    static = torch.arange(len(first)) % 3 == 0
    once, twice, other = _refine(first, static, 20), _refine(first, static, 20), _refine(first, static, 20, seed=1)
    assert torch.equal(once.means, twice.means)
    assert torch.equal(once.sh, twice.sh)
    assert not torch.equal(once.means, other.means)


def test_the_input_is_left_as_it_was(first: Gaussians) -> None:
    before = {name: tensor.clone() for name, tensor in first.tensors().items()}
    _refine(first, torch.zeros(len(first), dtype=torch.bool), 5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in first.tensors().items())


def test_no_steps_give_back_what_came_in(first: Gaussians) -> None:
    assert torch.equal(_refine(first, torch.zeros(len(first), dtype=torch.bool), steps=0).means, first.means)


def test_where_nothing_moves_what_is_static_is_refined_alone(first: Gaussians) -> None:
    static = torch.ones(len(first), dtype=torch.bool)
    refined = _result(_events(first, static, RefineSettings(steps=10, replace_faint=NOTHING), 0))
    change = (refined.means - first.means).norm(dim=1)
    assert 0 < change.max() < 0.01


def test_a_mask_of_another_length_is_refused(first: Gaussians) -> None:
    with pytest.raises(ShapeError):
        _refine(first, torch.zeros(3, dtype=torch.bool))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_the_gpu_a_first_frame_is_fitted_and_refined_too() -> None:
    capture, rasterizer = quad_capture(), choose_rasterizer("cuda")
    settings = FirstFrameSettings(steps=100, points=PointSettings(count=1500), densify=DensifySettings(every=30, cap=2000))
    first = _result(list(fit_first_frame(capture, 0, rasterizer, settings)))
    assert first.device.type == "cuda"
    static = first.means[:, 0] > 0.1
    refining = RefineSettings(steps=60, static_pace=0.0, replace_faint=NOTHING)
    refined = _result(list(refine(RefineTask(first, static, capture, 2, rasterizer, None, refining))))
    assert torch.equal(refined.means[static], first.means[static])
    assert (held_out_psnr(capture, 2, rasterizer, refined) or 0.0) > (held_out_psnr(capture, 2, rasterizer, first) or 0.0)
