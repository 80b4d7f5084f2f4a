"""The refinement with one block of parameters: as the plain one, but for rounding. It runs on a CPU too."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import pytest
import torch
from quad_scene import quad_capture
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.events import StepDone
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.geometry.graph import neighbour_graph
from trackersplat.geometry.neighbours import Neighbours, nearest_neighbours
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone, FitState
from trackersplat.training.parameter_block import ParameterBlock
from trackersplat.training.photometric import ColourAffines
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.refine import strain as strain_module
from trackersplat.training.refine.adam import refine
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


@pytest.mark.parametrize("asked", [{"steps": 1}, {"steps": 12}, {"steps": 12, "pace": 0.6, "warm_up": 5, "momentum": 0.7}])
def test_the_result_is_that_of_the_plain_refinement(first: Gaussians, asked: dict[str, float]) -> None:
    settings = replace(RefineSettings(report_every=5), **asked)  # type: ignore[arg-type]
    plain, block = list(refine(_task(first, settings))), list(refine_on_device(_task(first, settings)))
    assert [type(event) for event in block] == [type(event) for event in plain]
    for ours, theirs in zip(block, plain, strict=True):
        if isinstance(theirs, StepDone):
            assert isinstance(ours, StepDone)
            assert replace(ours, loss=0.0) == replace(theirs, loss=0.0)
            assert ours.loss == pytest.approx(theirs.loss, rel=1e-2)
        elif isinstance(theirs, FitState):
            assert isinstance(ours, FitState)
            assert (ours.frame, ours.step) == (theirs.frame, theirs.step)
    assert torch.equal(_done(block).replaced, _done(plain).replaced)
    for name, tensor in _done(block).gaussians.tensors().items():
        torch.testing.assert_close(tensor, _done(plain).gaussians.tensors()[name], rtol=1e-3, atol=2e-3, msg=lambda m, n=name: f"{n}: {m}")
    assert not torch.equal(_done(block).gaussians.means, first.means)


class Repeated:
    """Renders in steps that choose their camera by a tensor, as on a GPU, with nothing recorded."""

    def __init__(self, rasterizer: PortableRasterizer, cameras: Sequence[Camera], complete: bool) -> None:
        self._rasterizer, self._cameras, self._complete = rasterizer, cameras, complete
        self.rendered = 0

    def __call__(self, gaussians: Gaussians, camera: Tensor) -> Tensor:
        self.rendered += 1
        return self._rasterizer.render(gaussians, [self._cameras[int(camera)]]).color

    def repeatable(self, work: Callable[[], None], kernels: Hashable = None) -> Callable[[], None]:
        hash(kernels)
        return work

    def is_complete(self) -> bool:
        return self._complete


class RepeatingRasterizer(PortableRasterizer):
    def __init__(self, complete: bool) -> None:
        super().__init__()
        self.complete = complete
        self.made: list[Repeated] = []

    def repeated_color(self, gaussians: Gaussians, cameras: Sequence[Camera]) -> Repeated:  # type: ignore[override]
        self.made.append(Repeated(self, cameras, self.complete))
        return self.made[-1]


@pytest.mark.parametrize("complete", [True, False])
def test_a_step_that_is_repeated_gives_the_same_and_without_room_all_is_done_again(first: Gaussians, complete: bool) -> None:
    cameras = [quad_capture().cameras[i].name for i in quad_capture().training_cameras]
    gains = torch.eye(3, 4).repeat(len(cameras) - 1, 1, 1) * torch.linspace(0.8, 1.2, len(cameras) - 1)[:, None, None]
    colours = ColourAffines(tuple(cameras[1:]), gains)  # one camera has no map
    settings = RefineSettings(steps=12, report_every=5, average=0.4)
    task = replace(_task(first, settings), colours=colours)
    plain = list(refine_on_device(task))
    rasterizer = RepeatingRasterizer(complete)
    repeated = list(refine_on_device(replace(task, rasterizer=rasterizer)))
    assert [made.rendered for made in rasterizer.made] == [12]
    assert [type(event) for event in repeated] == [type(event) for event in (plain if complete else plain[:-1] + plain)]
    assert torch.equal(_done(repeated).replaced, _done(plain).replaced)
    for name, tensor in _done(repeated).gaussians.tensors().items():
        torch.testing.assert_close(tensor, _done(plain).gaussians.tensors()[name], rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


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


def test_what_is_replaced_starts_anew_at_full_pace(first: Gaussians) -> None:
    rates = RefineSettings().rates
    block = ParameterBlock(first, torch.zeros(len(first)), rates, 1.0, 10)
    others = replace(first, means=first.means + 1)
    block.replace(torch.tensor([3, 5, 1]), others[:3], torch.tensor([True, True, False]))
    assert torch.equal(block.snapshot().means[[3, 5]], others.means[:2])
    outcome = block.gaussians().means.sum()
    block.step(block.gradients(outcome, torch.ones_like(outcome)))
    change = block.snapshot().means - first.means
    assert torch.allclose(change[[3, 5]], first.means[:2] + 1 - rates.means - first.means[[3, 5]], atol=1e-6)
    assert not change[[0, 1, 2, 4]].any()


def test_what_is_replaced_begins_the_mean_anew(first: Gaussians) -> None:
    block = ParameterBlock(first, torch.ones(len(first)), RefineSettings().rates, 1.0, 10, average=1.0)

    def step() -> Tensor:
        outcome = block.gaussians().means.square().sum()
        block.step(block.gradients(outcome, torch.ones_like(outcome)))
        return block.snapshot().means

    before = [step() for _ in range(3)]
    torch.testing.assert_close(block.result().means, torch.stack(before).mean(dim=0))
    block.replace(torch.tensor([3]), first[:1], torch.tensor([False]))
    torch.testing.assert_close(block.result().means, torch.stack(before).mean(dim=0))
    block.replace(torch.tensor([3]), first[:1], torch.tensor([True]))
    assert torch.equal(block.result().means, block.snapshot().means)  # nothing is counted yet
    after = [step() for _ in range(2)]
    torch.testing.assert_close(block.result().means, torch.stack(after).mean(dim=0))


def test_strain_that_lets_some_go_is_that_of_the_others_alone(first: Gaussians) -> None:
    settings = RefineSettings().stiffness
    moving = first.means[:, 0] <= 0.1
    free = torch.nonzero(moving)[:40, 0]
    released, others = Strain(first, moving, settings), Strain(first, moving & ~torch.isin(torch.arange(len(first)), free), settings)
    released.release(torch.cat((free, torch.nonzero(moving)[40:50, 0])), torch.arange(50) < 40)
    means = first.means + 0.05 * torch.randn(len(first), 3, generator=torch.Generator().manual_seed(0))
    found, expected = torch.zeros_like(means), torch.zeros_like(means)
    released.add_gradient(found, means)
    others.add_gradient(expected, means)
    assert expected.any()
    assert torch.equal(found, expected)


def test_pairs_of_a_base_are_found_once_and_priced_where_they_are_now(first: Gaussians, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = RefineSettings().stiffness
    near = nearest_neighbours(first.means, settings.graph.neighbours)
    found: list[int] = []

    def counted(means: Tensor, count: int) -> Neighbours:
        found.append(count)
        return nearest_neighbours(means, count)

    monkeypatch.setattr(strain_module, "nearest_neighbours", counted)
    moving, random = torch.ones(len(first), dtype=torch.bool), torch.Generator().manual_seed(0)
    for _ in range(2):
        now = replace(first, means=first.means + 0.05 * torch.randn(len(first), 3, generator=random))
        means = now.means.double()
        distances, order = (means[near.indices] - means[:, None]).norm(dim=-1).sort(dim=1, stable=True)
        graph = neighbour_graph(near.indices.gather(1, order), distances, (0.5 + SH_C0 * now.sh[:, 0]).double(), settings.graph)
        strain = Strain(now, moving, settings, first.to("cpu"))
        assert torch.equal(strain._first, graph.first)
        assert torch.equal(strain._second, graph.second)
        assert torch.equal(strain._stiffness, (graph.affinity / graph.length.square()).float())
    assert found == [settings.graph.neighbours]
