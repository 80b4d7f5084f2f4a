"""The photometric loss of 3DGS: 0.8 L1 + 0.2 (1 - SSIM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.geometry.devices import has_triton
from trackersplat.metrics.image import C1, C2, SIGMA, WINDOW, blur, ssim_map


@dataclass(frozen=True)
class LossSettings:
    """What the photometric loss is made of."""

    ssim_weight: float = 0.2  # of 1 - SSIM; the mean absolute difference has the rest


def photometric_loss(images: Tensor, references: Tensor, settings: LossSettings) -> Tensor:
    """``(1 - w) mean|x - y| + w (1 - mean SSIM(x, y))``, a scalar, differentiable with respect to ``images``.

    Both (C, H, W, 3) float32 on one device; values are not clamped, so that a too bright pixel keeps its gradient. Where Triton runs,
    the references may be uint8. The gradient is computed with the value, by the closed form of the SSIM derivative: autograd through
    convolutions would cost many times the render.

    Raises ShapeError if the shapes differ.
    """
    if images.shape != references.shape or images.ndim != 4:
        raise ShapeError(f"The loss compares two (C, H, W, 3) tensors, got {tuple(images.shape)} and {tuple(references.shape)}.")
    ssim_weight = settings.ssim_weight
    if images.device.type == "cpu":
        loss: Tensor = _PhotometricLoss.apply(images, references, ssim_weight)
        return loss
    if has_triton(images):
        fused: Tensor = _FusedLoss.apply(images, references, ssim_weight)
        return fused
    l1 = (images - references).abs().mean()
    similarity = ssim_map(images.permute(0, 3, 1, 2), references.permute(0, 3, 1, 2)).mean()
    return (1 - ssim_weight) * l1 + ssim_weight * (1 - similarity)


def loss_and_gradient(images: Tensor, references: Tensor, settings: LossSettings) -> tuple[Tensor, Tensor]:
    """`photometric_loss` and its derivative with respect to the images, without autograd."""
    if has_triton(images):
        from trackersplat.metrics import ssim_triton

        found = ssim_triton.loss_and_gradient(
            images.detach().contiguous(), references.contiguous(), settings.ssim_weight, window=WINDOW, sigma=SIGMA, c1=C1, c2=C2
        )
        return found.loss, found.gradient
    with torch.enable_grad():
        leaf = images.detach().requires_grad_()
        loss = photometric_loss(leaf, references, settings)
        return loss.detach(), torch.autograd.grad(loss, leaf)[0]


class _FusedLoss(torch.autograd.Function):
    """Value and gradient in one go on a GPU."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, references: Tensor, ssim_weight: float) -> Tensor:
        loss, gradient = loss_and_gradient(images, references, LossSettings(ssim_weight))
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_outputs[0], None, None


class _PhotometricLoss(torch.autograd.Function):
    """Value and gradient in one pass, image by image, with OpenCV's vectorised Gaussian filter."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, references: Tensor, ssim_weight: float) -> Tensor:
        x, y = np.ascontiguousarray(images.detach().numpy()), np.ascontiguousarray(references.detach().numpy())
        gradient = np.empty_like(x)
        loss = 0.0
        for i in range(len(x)):
            loss += _value_and_gradient(x[i], y[i], ssim_weight, gradient[i])
        ctx.save_for_backward(torch.from_numpy(gradient))
        ctx.count = len(x)
        return images.new_tensor(loss / len(x))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * (grad_outputs[0] / ctx.count), None, None


def _value_and_gradient(x: np.ndarray, y: np.ndarray, weight: float, gradient: np.ndarray) -> float:
    """The loss of one (H, W, 3) image; its derivative with respect to x is written into ``gradient``."""
    squares, product = x * x, x * y
    moments = (blur(x), blur(y), blur(squares), blur(y * y), blur(product))
    # derivatives of the summed SSIM with respect to the blurred x, x^2 and x y; the blur is its own adjoint
    by_mean, by_square, by_product = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    constants = np.float32(C1), np.float32(C2)
    similarity = _ssim_derivatives(*(m.ravel() for m in moments), *constants, *(d.ravel() for d in (by_mean, by_square, by_product)))
    blurred = [blur(d).ravel() for d in (by_mean, by_square, by_product)]
    l1 = _gradient(x.ravel(), y.ravel(), *blurred, np.float32(weight / x.size), np.float32((1 - weight) / x.size), gradient.reshape(-1))
    return float((1 - weight) * l1 / x.size + weight * (1 - similarity / x.size))


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _ssim_derivatives(
    mx: np.ndarray,
    my: np.ndarray,
    xx: np.ndarray,
    yy: np.ndarray,
    xy: np.ndarray,
    c1: float,
    c2: float,
    d_mx: np.ndarray,
    d_xx: np.ndarray,
    d_xy: np.ndarray,
) -> float:
    one, two = np.float32(1), np.float32(2)
    total = 0.0
    for i in range(mx.size):
        a, b = mx[i], my[i]
        mean_top, mean_bottom = two * a * b + c1, a * a + b * b + c1
        top, bottom = two * (xy[i] - a * b) + c2, xx[i] + yy[i] - a * a - b * b + c2
        inverse = one / (mean_bottom * bottom)
        s = mean_top * top * inverse
        # xx and xy are the raw second moments, so the mean acts through both factors of top and bottom
        d_mx[i] = two * (b * (top - mean_top) * inverse - a * s * (bottom - mean_bottom) * inverse)
        d_xx[i] = -s / bottom
        d_xy[i] = two * mean_top * inverse
        total += s
    return total


@numba.njit(cache=True, fastmath=True)
def _gradient(
    x: np.ndarray,
    y: np.ndarray,
    by_mean: np.ndarray,
    by_square: np.ndarray,
    by_product: np.ndarray,
    ssim_scale: float,
    l1_scale: float,
    out: np.ndarray,
) -> float:
    total = 0.0
    for i in range(x.size):
        difference = x[i] - y[i]
        sign = l1_scale if difference > 0 else (-l1_scale if difference < 0 else np.float32(0))
        out[i] = sign - ssim_scale * (by_mean[i] + np.float32(2) * x[i] * by_square[i] + y[i] * by_product[i])
        total += abs(difference)
    return total
