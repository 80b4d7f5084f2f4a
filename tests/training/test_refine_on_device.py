"""The refinement with one block of parameters: as the plain one, but for rounding. It runs on a CPU too."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from quad_scene import quad_capture

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone
from trackersplat.training.parameter_block import ParameterBlock
from trackersplat.training.optimiser import TrainingViews
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.refine.adam import refine
from trackersplat.training.refine.changes import LEAST_WEIGHT, changing_parts
from trackersplat.training.refine.on_device import refine_on_device
from trackersplat.training.refine.settings import RefineSettings
from trackersplat.training.refine.stiffness import Stiffness
from trackersplat.training.refine.strain import Strain
from trackersplat.training.refine.task import RefineTask


@pytest.fixture(scope="module")
def first() -> Gaussians:
    settings = FirstFrameSettings(steps=60, points=PointSettings(count=600), densify=DensifySettings(every=1000))
    *_, last = fit_first_frame(quad_capture(forbid_held_out=True), 0, PortableRasterizer(), settings)
    assert isinstance(last, FitDone)
    return last.gaussians


def _task(first: Gaussians, settings: RefineSettings) -> RefineTask:
    return RefineTask(first, first.means[:, 0] > 0.1, quad_capture(forbid_held_out=True), 2, PortableRasterizer(), None, settings)


def _done(events: list[object]) -> FitDone:
    assert isinstance(events[-1], FitDone)
    return events[-1]


@pytest.mark.parametrize("steps", [1, 12])
def test_the_result_is_that_of_the_plain_refinement(first: Gaussians, steps: int) -> None:
    settings = RefineSettings(steps=steps, report_every=5, whole_every=1)
    plain, block = list(refine(_task(first, settings))), list(refine_on_device(_task(first, settings)))
    assert [type(event) for event in block] == [type(event) for event in plain]
    assert torch.equal(_done(block).replaced, _done(plain).replaced)
    for name, tensor in _done(block).gaussians.tensors().items():
        torch.testing.assert_close(tensor, _done(plain).gaussians.tensors()[name], rtol=1e-3, atol=2e-3, msg=lambda m, n=name: f"{n}: {m}")
    assert not torch.equal(_done(block).gaussians.means, first.means)


def test_static_gaussians_stay_bit_identical_at_pace_zero(first: Gaussians) -> None:
    found = _done(list(refine_on_device(_task(first, RefineSettings(steps=4, static_pace=0.0)))))
    static = first.means[:, 0] > 0.1
    static[found.replaced] = False
    assert static.any()
    for name, tensor in found.gaussians.tensors().items():
        assert torch.equal(tensor[static], first.tensors()[name][static]), name


def test_the_strain_has_the_gradient_of_the_stiffness(first: Gaussians) -> None:
    settings = RefineSettings().stiffness
    moving = first.means[:, 0] <= 0.1
    strain, stiffness = Strain(first, moving, settings), Stiffness(first, torch.nonzero(moving)[:, 0], settings)
    means = first.means + 0.05 * torch.randn(len(first), 3, generator=torch.Generator().manual_seed(0))
    leaf = means[moving].requires_grad_()
    loss = stiffness(0, Gaussians(leaf, *(first[moving].tensors()[n] for n in ("quats", "log_scales", "opacity_logits", "sh"))), None)  # type: ignore[arg-type]
    (expected,) = torch.autograd.grad(loss, leaf)
    gradient = torch.zeros_like(means)
    strain.add_gradient(gradient, means)
    torch.testing.assert_close(gradient[moving], expected, rtol=1e-4, atol=1e-7)
    assert not gradient[~moving].any()


def test_what_is_replaced_starts_anew_and_moves(first: Gaussians) -> None:
    still = torch.ones(len(first), dtype=torch.bool)
    block = ParameterBlock(first, still, RefineSettings().rates, 1.0, 10)
    others = replace(first, means=first.means + 1)[:2]
    block.replace(torch.tensor([3, 5]), others)
    state = block.snapshot()
    assert torch.equal(state.means[[3, 5]], others.means)
    assert torch.equal(state.means[4], first.means[4])
    assert (~block.is_static).nonzero()[:, 0].tolist() == [3, 5]
    assert still.all()


def test_between_whole_steps_static_gaussians_stay(first: Gaussians) -> None:
    task = _task(first, RefineSettings(steps=3, whole_every=10))
    found = _done(list(refine_on_device(task)))
    stays = task.is_static.clone()
    stays[found.replaced] = False
    assert torch.equal(found.gaussians.means[stays], first.means[stays])
    assert torch.equal(found.gaussians.sh[stays], first.sh[stays])
    assert not torch.equal(found.gaussians.sh[~task.is_static], first.sh[~task.is_static])


def test_the_changing_part_of_a_view_is_around_what_moves(first: Gaussians) -> None:
    views = TrainingViews(quad_capture(forbid_held_out=True), 2, torch.device("cpu"), 0)
    rasterizer = PortableRasterizer()
    nothing, *_ = changing_parts(first, torch.ones(len(first), dtype=torch.bool), views, rasterizer)
    assert nothing is not None
    assert not nothing.region.pixels.any()
    one = torch.ones(len(first), dtype=torch.bool)
    image = rasterizer.render(first, [views.cameras[0]], channels=torch.eye(len(first))[:, :200])
    assert image.channels is not None
    heaviest = int(image.channels.amax(dim=(0, 1, 2)).argmax())
    one[heaviest] = False
    part, *_ = changing_parts(first, one, views, rasterizer)
    assert part is not None
    assert part.region.pixels[image.channels[0, ..., heaviest] > LEAST_WEIGHT].all()
    assert part.region.pixels.float().mean() < 1
    filled = part.filled(torch.full_like(part.whole, 7.0))
    assert (filled[0, part.region.pixels] == 7).all()
    assert torch.equal(filled[0, ~part.region.pixels], part.whole[0, ~part.region.pixels])
