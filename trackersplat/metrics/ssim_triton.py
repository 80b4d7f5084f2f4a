"""SSIM, and the photometric loss with its gradient, in few passes; stands in for `image.ssim_map` and `training.losses`.

The window is separable: one pass along the rows, one along the columns. Its filter is its own adjoint, so the gradient takes two more.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 1024  # numbers per program (layout)


class LossAndGradient(NamedTuple):
    """Of `loss_and_gradient`."""

    loss: Tensor  # () float32
    gradient: Tensor  # like the images


def similarity(images: Tensor, references: Tensor, *, window: int, sigma: float, c1: float, c2: float) -> Tensor:
    """Structural similarity (C, H, W, K) of two contiguous (C, H, W, K) tensors, floating in [0, 1] or uint8, at every number."""
    blurred = _along_rows(images, references, window, sigma)
    found = torch.empty(images.shape, dtype=torch.float32, device=images.device)
    _similarities[(_programs(images),)](
        blurred, found, found, images.numel(), images[0, 0].numel(), images.shape[1], _taps(window, sigma, images.device), c1, c2,
        WINDOW=window, GRADIENT=False, BLOCK=_BLOCK,
    )  # fmt: skip
    return found


def loss_and_gradient(
    images: Tensor,  # (C, H, W, K) float32, contiguous
    references: Tensor,  # the same shape, floating or uint8
    ssim_weight: float,
    *,
    window: int,
    sigma: float,
    c1: float,
    c2: float,
) -> LossAndGradient:
    """``(1 - w) mean|x - y| + w (1 - mean SSIM(x, y))`` and its derivative with respect to x (see `training.losses`)."""
    size, line, height, device = images.numel(), images[0, 0].numel(), images.shape[1], images.device
    taps, programs = _taps(window, sigma, device), _programs(images)
    blurred = _along_rows(images, references, window, sigma)
    derivatives = torch.empty((3, size), device=device)
    sums = torch.empty((2, programs), device=device)
    _similarities[(programs,)](
        blurred, derivatives, sums[0], size, line, height, taps, c1, c2, WINDOW=window, GRADIENT=True, BLOCK=_BLOCK
    )  # fmt: skip
    _derivatives_along_rows[(programs,)](derivatives, blurred, size, line, taps, WINDOW=window, BLOCK=_BLOCK)
    gradient = torch.empty_like(images)
    _gradient[(programs,)](
        images, references, blurred, gradient, sums[1], size, line, height, taps, ssim_weight / size, (1 - ssim_weight) / size,
        BYTES=references.dtype == torch.uint8, WINDOW=window, BLOCK=_BLOCK,
    )  # fmt: skip
    similar, different = (sums.sum(1) / size).unbind()
    return LossAndGradient(loss=(1 - ssim_weight) * different + ssim_weight * (1 - similar), gradient=gradient)


def _along_rows(images: Tensor, references: Tensor, window: int, sigma: float) -> Tensor:
    """(5, size): both images, their squares and their product, filtered along the rows."""
    blurred = torch.empty((5, images.numel()), device=images.device)
    _moments_along_rows[(_programs(images),)](
        images, references, blurred, images.numel(), images[0, 0].numel(), _taps(window, sigma, images.device),
        STEP=images.shape[3], BYTES_X=images.dtype == torch.uint8, BYTES_Y=references.dtype == torch.uint8, WINDOW=window, BLOCK=_BLOCK,
    )  # fmt: skip
    return blurred


def _programs(images: Tensor) -> int:
    return int(triton.cdiv(images.numel(), _BLOCK))


@cache
def _taps(window: int, sigma: float, device: torch.device) -> Tensor:
    return torch.softmax(-0.5 * ((torch.arange(window, device=device) - window // 2) / sigma) ** 2, dim=0)


@triton.jit
def _moments_along_rows(  # type: ignore[no-untyped-def]
    images, references, out, size, line, taps,
    STEP: tl.constexpr, BYTES_X: tl.constexpr, BYTES_Y: tl.constexpr, WINDOW: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    place = at % line
    a = tl.zeros((BLOCK,), tl.float32)
    b = tl.zeros((BLOCK,), tl.float32)
    aa = tl.zeros((BLOCK,), tl.float32)
    bb = tl.zeros((BLOCK,), tl.float32)
    ab = tl.zeros((BLOCK,), tl.float32)
    for tap in tl.static_range(WINDOW):
        shift = (tap - WINDOW // 2) * STEP
        there = (at < size) & (place + shift >= 0) & (place + shift < line)
        weight = tl.load(taps + tap)
        x = tl.load(images + at + shift, mask=there, other=0).to(tl.float32)
        y = tl.load(references + at + shift, mask=there, other=0).to(tl.float32)
        if BYTES_X:
            x = x / 255.0
        if BYTES_Y:
            y = y / 255.0
        a += weight * x
        b += weight * y
        aa += weight * x * x
        bb += weight * y * y
        ab += weight * x * y
    tl.store(out + at, a, mask=at < size)
    tl.store(out + size + at, b, mask=at < size)
    tl.store(out + 2 * size + at, aa, mask=at < size)
    tl.store(out + 3 * size + at, bb, mask=at < size)
    tl.store(out + 4 * size + at, ab, mask=at < size)


@triton.jit
def _similarities(  # type: ignore[no-untyped-def]
    blurred, out, sums, size, line, height, taps, c1, c2, WINDOW: tl.constexpr, GRADIENT: tl.constexpr, BLOCK: tl.constexpr
):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row = (at // line) % height
    size64 = size.to(tl.int64)
    a = tl.zeros((BLOCK,), tl.float32)
    b = tl.zeros((BLOCK,), tl.float32)
    aa = tl.zeros((BLOCK,), tl.float32)
    bb = tl.zeros((BLOCK,), tl.float32)
    ab = tl.zeros((BLOCK,), tl.float32)
    for tap in tl.static_range(WINDOW):
        shift = tap - WINDOW // 2
        there = (at < size) & (row + shift >= 0) & (row + shift < height)
        source = blurred + at + shift * line
        weight = tl.load(taps + tap)
        a += weight * tl.load(source, mask=there, other=0.0)
        b += weight * tl.load(source + size64, mask=there, other=0.0)
        aa += weight * tl.load(source + 2 * size64, mask=there, other=0.0)
        bb += weight * tl.load(source + 3 * size64, mask=there, other=0.0)
        ab += weight * tl.load(source + 4 * size64, mask=there, other=0.0)
    mean_top = 2 * a * b + c1
    mean_bottom = a * a + b * b + c1
    top = 2 * (ab - a * b) + c2
    bottom = aa + bb - a * a - b * b + c2
    inverse = 1.0 / (mean_bottom * bottom)
    s = mean_top * top * inverse
    if GRADIENT:
        # by the blurred x, x^2 and x y: the mean acts through both factors of top and bottom
        by_mean = 2 * (b * (top - mean_top) * inverse - a * s * (bottom - mean_bottom) * inverse)
        tl.store(out + at, by_mean, mask=at < size)
        tl.store(out + size64 + at, -s / bottom, mask=at < size)
        tl.store(out + 2 * size64 + at, 2 * mean_top * inverse, mask=at < size)
        tl.store(sums + tl.program_id(0), tl.sum(tl.where(at < size, s, 0.0)))
    else:
        tl.store(out + at, s, mask=at < size)


@triton.jit
def _derivatives_along_rows(derivatives, out, size, line, taps, WINDOW: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    place = at % line
    size64 = size.to(tl.int64)
    for plane in tl.static_range(3):
        total = tl.zeros((BLOCK,), tl.float32)
        for tap in tl.static_range(WINDOW):
            shift = (tap - WINDOW // 2) * 3
            there = (at < size) & (place + shift >= 0) & (place + shift < line)
            total += tl.load(taps + tap) * tl.load(derivatives + plane * size64 + at + shift, mask=there, other=0.0)
        tl.store(out + plane * size64 + at, total, mask=at < size)


@triton.jit
def _gradient(  # type: ignore[no-untyped-def]
    images, references, blurred, out, sums, size, line, height, taps, ssim_scale, l1_scale,
    BYTES: tl.constexpr, WINDOW: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row = (at // line) % height
    size64 = size.to(tl.int64)
    by_mean = tl.zeros((BLOCK,), tl.float32)
    by_square = tl.zeros((BLOCK,), tl.float32)
    by_product = tl.zeros((BLOCK,), tl.float32)
    for tap in tl.static_range(WINDOW):
        shift = tap - WINDOW // 2
        there = (at < size) & (row + shift >= 0) & (row + shift < height)
        source = blurred + at + shift * line
        weight = tl.load(taps + tap)
        by_mean += weight * tl.load(source, mask=there, other=0.0)
        by_square += weight * tl.load(source + size64, mask=there, other=0.0)
        by_product += weight * tl.load(source + 2 * size64, mask=there, other=0.0)
    x = tl.load(images + at, mask=at < size, other=0.0)
    y = tl.load(references + at, mask=at < size, other=0).to(tl.float32)
    if BYTES:
        y = y / 255.0
    difference = x - y
    sign = tl.where(difference > 0, l1_scale, tl.where(difference < 0, -l1_scale, 0.0))
    tl.store(out + at, sign - ssim_scale * (by_mean + 2 * x * by_square + y * by_product), mask=at < size)
    tl.store(sums + tl.program_id(0), tl.sum(tl.where(at < size, tl.abs(difference), 0.0)))
