"""The photometric loss: value, gradient, and the two implementations of it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.metrics.image import ssim, ssim_map
from trackersplat.training.losses import LossSettings, photometric_loss

LOSS = LossSettings()


def _images(count: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.rand((count, 19, 26, 3), generator=generator)
    return x, (x + 0.2 * torch.randn(x.shape, generator=generator)).clamp(0, 1)


def test_the_value_is_the_weighted_sum_of_l1_and_dissimilarity() -> None:
    x, y = _images()
    similarity = sum(ssim(a, b) for a, b in zip(x, y, strict=True)) / len(x)
    expected = 0.8 * (x - y).abs().mean().item() + 0.2 * (1 - similarity)
    assert photometric_loss(x, y, LOSS).item() == pytest.approx(expected, abs=1e-6)


def test_the_gradient_equals_that_of_autograd_in_double_precision() -> None:
    x, y = _images()
    fast = x.clone().requires_grad_()
    (3.0 * photometric_loss(fast, y, LOSS)).backward()
    slow = x.double().requires_grad_()
    planes = slow.permute(0, 3, 1, 2), y.double().permute(0, 3, 1, 2)
    (3.0 * (0.8 * (slow - y).abs().mean() + 0.2 * (1 - ssim_map(*planes).mean()))).backward()
    assert fast.grad is not None
    assert slow.grad is not None
    assert (fast.grad - slow.grad).abs().max() < 1e-5 * slow.grad.abs().max()


def test_the_gradient_agrees_with_finite_differences() -> None:
    x, y = _images(1)
    x = x.requires_grad_()
    photometric_loss(x, y, LOSS).backward()
    assert x.grad is not None
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)) * (x.detach() - y).abs()  # no sign of x - y changes
    step = 1e-2
    with torch.no_grad():
        difference = (photometric_loss(x + step * direction, y, LOSS) - photometric_loss(x - step * direction, y, LOSS)).item() / (2 * step)
    assert (x.grad * direction).sum().item() == pytest.approx(difference, rel=2e-3)


def test_equal_images_have_no_loss_and_no_gradient() -> None:
    x, _ = _images()
    leaf = x.clone().requires_grad_()
    loss = photometric_loss(leaf, x, LOSS)
    loss.backward()
    assert leaf.grad is not None
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert leaf.grad.abs().max() < 1e-7


def test_different_shapes_are_refused() -> None:
    x, y = _images()
    with pytest.raises(ShapeError):
        photometric_loss(x, y[:1], LOSS)
