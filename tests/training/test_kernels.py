"""The CUDA kernels of training and of SSIM against the plain code that they stand in for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trackersplat.metrics.image import C1, C2, SIGMA, WINDOW, ssim_map
from trackersplat.training import parameter_block
from trackersplat.training.losses import LossSettings, photometric_loss

pytestmark = pytest.mark.cuda
SSIM = {"window": WINDOW, "sigma": SIGMA, "c1": C1, "c2": C2}


def _images(device: torch.device) -> tuple[Tensor, Tensor]:
    """Two pictures of 19 x 23 pixels and 8-bit references."""
    random = torch.Generator().manual_seed(1)
    images = torch.rand(2, 19, 23, 3, generator=random)
    references = (torch.rand(2, 19, 23, 3, generator=random) * 255).byte()
    return images.to(device), references.to(device)


@pytest.mark.parametrize("to_reference", [lambda y: y, lambda y: y.float() / 255], ids=["bytes", "floats"])
def test_ssim_is_that_of_the_convolutions(device: torch.device, to_reference: Callable[[Tensor], Tensor]) -> None:
    from trackersplat.metrics import ssim_triton

    images, references = _images(device)
    expected = ssim_map(images.cpu().permute(0, 3, 1, 2).double(), references.cpu().permute(0, 3, 1, 2).double() / 255)
    found = ssim_triton.similarity(images, to_reference(references), **SSIM)
    torch.testing.assert_close(found.cpu().double(), expected.permute(0, 2, 3, 1), rtol=1e-4, atol=1e-5)


def test_the_loss_and_its_gradient_are_those_of_the_closed_form(device: torch.device) -> None:
    from trackersplat.metrics import ssim_triton

    images, references = _images(device)
    settings = LossSettings(ssim_weight=0.3)
    leaf = images.cpu().requires_grad_()
    loss = photometric_loss(leaf, references.cpu().float() / 255, settings)
    (gradient,) = torch.autograd.grad(loss, leaf)
    found = ssim_triton.loss_and_gradient(images, references, settings.ssim_weight, **SSIM)
    assert float(found.loss) == pytest.approx(loss.item(), rel=1e-5)
    torch.testing.assert_close(found.gradient.cpu(), gradient, rtol=1e-3, atol=2e-7)


@pytest.mark.parametrize(("done", "counted_after"), [(0, 4), (6, 6), (6, 4), (6, 1), (30, 9)])
def test_a_step_of_adam_is_that_of_torch_times_the_pace(device: torch.device, done: int, counted_after: int) -> None:
    from trackersplat.training.adam_triton import step

    random = torch.Generator().manual_seed(2)
    count, widths = 700, (3, 4, 3, 1, 12)
    size = count * sum(widths)
    values, first, mean = (torch.randn(size, generator=random) for _ in range(3))
    second = torch.rand(size, generator=random)
    gradients = [torch.randn(count, width, generator=random) for width in widths]
    schedule = 0.01 + 0.05 * torch.rand(9, 8, generator=random)
    schedule[:, 6:] += 0.4
    state = parameter_block.AdamState(
        values=values,
        first=first,
        second=second,
        mean=mean,
        pace=torch.tensor([0.0, 0.2, 1.0])[torch.arange(count) % 3],
        schedule=schedule,
        done=torch.tensor([done]),
        counted_after=torch.tensor([counted_after]),
    )
    moved = [tensor.clone().to(device) for tensor in (values, first, second, mean)]
    step(
        moved[0], [gradient.to(device) for gradient in gradients], *moved[1:], state.pace.to(device), schedule=schedule.to(device),
        done=state.done.to(device), counted_after=state.counted_after.to(device), leading=3, betas=(0.9, 0.999), epsilon=1e-15,
    )  # fmt: skip
    before, earlier = values.clone(), mean.clone()
    parameter_block.adam_step(state, gradients, leading=3)
    for got, expected in zip(moved, (values, first, second, mean), strict=True):
        torch.testing.assert_close(got.cpu(), expected, rtol=2e-5, atol=1e-6)
    unchanged = (values == before).view(-1)[: 3 * count].view(count, 3).all(dim=1)
    assert torch.equal(unchanged, state.pace == 0)
    assert torch.equal(mean, earlier) == (done < counted_after)
    if done == counted_after:
        assert torch.equal(moved[3], moved[0])


def test_the_gradient_of_the_strain_is_that_of_the_plain_sum(device: torch.device) -> None:
    from trackersplat.benchmarks.rendering import surface_scene
    from trackersplat.training.refine.settings import StiffnessSettings
    from trackersplat.training.refine.strain import Strain
    from trackersplat.training.refine.strain_triton import add_gradient

    scene = surface_scene(400)
    moving = torch.arange(400) % 4 > 0
    strain = Strain(scene, moving, StiffnessSettings(weight=0.5))
    strain.release(torch.tensor([1, 2, 5]), torch.tensor([True, True, False]))
    means = scene.means + 0.1 * torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.ones(400, 3)
    strain.add_gradient(expected, means)
    found = torch.ones(400, 3, device=device)
    parts = (strain._start, strain._first, strain._second, strain._stiffness, strain._moving)
    add_gradient(found, means.to(device), *(part.to(device) for part in parts), strain._scale.to(device))
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-4, atol=1e-5)
    assert not torch.equal(expected, torch.ones(400, 3))
    assert torch.equal(found[~strain._moving.to(device)].cpu(), torch.ones(int((~strain._moving).sum()), 3))
