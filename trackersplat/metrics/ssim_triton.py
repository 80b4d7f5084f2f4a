"""SSIM, and the photometric loss with its gradient, in few passes; stands in for `image.ssim_map` and `training.losses`.

The window is separable: one pass along the rows, one along the columns. Its filter is its own adjoint, so the gradient takes two more.
Along the rows
a program works on a segment of a row, along the columns on a tile, whose rows are read once from outside the multiprocessor.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

_SEGMENT = 256  # numbers of a row per program (layout)
_ROWS, _COLUMNS = 16, 64  # numbers of a tile (layout)


class LossAndGradient(NamedTuple):
    """Of `loss_and_gradient`."""

    loss: Tensor  # () float32
    gradient: Tensor  # like the images


def similarity(images: Tensor, references: Tensor, *, window: int, sigma: float, c1: float, c2: float) -> Tensor:
    """Structural similarity (C, H, W, K) of two contiguous (C, H, W, K) tensors, floating in [0, 1] or uint8, at every number."""
    found = torch.empty(images.shape, dtype=torch.float32, device=images.device)
    blurred = _along_rows(images, references, window, sigma)
    _launch_tiles(
        _similarities, images, blurred, found, found, images.numel(), _taps(window, sigma, images.device), c1, c2,
        WINDOW=window, GRADIENT=False,
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
    size, device = images.numel(), images.device
    taps = _taps(window, sigma, device)
    blurred = _along_rows(images, references, window, sigma)
    derivatives, gradient = torch.empty((3, size), device=device), torch.empty_like(images)
    sums = torch.empty((2, _tiles(images)), device=device)
    _launch_tiles(_similarities, images, blurred, derivatives, sums[0], size, taps, c1, c2, WINDOW=window, GRADIENT=True)
    _launch(_derivatives_along_rows, images, derivatives, blurred, size, taps, STEP=images.shape[3], WINDOW=window)
    _launch_tiles(
        _gradient, images, images, references, blurred, gradient, sums[1], size, taps, ssim_weight / size, (1 - ssim_weight) / size,
        BYTES=references.dtype == torch.uint8, WINDOW=window,
    )  # fmt: skip
    similar, different = (sums.sum(dim=1) / size).unbind()
    return LossAndGradient(loss=(1 - ssim_weight) * different + ssim_weight * (1 - similar), gradient=gradient)


def _along_rows(images: Tensor, references: Tensor, window: int, sigma: float) -> Tensor:
    """(5, size): both images, their squares and their product, filtered along the rows."""
    blurred = torch.empty((5, images.numel()), device=images.device)
    _launch(
        _moments_along_rows, images, images, references, blurred, images.numel(), _taps(window, sigma, images.device),
        STEP=images.shape[3], BYTES_X=images.dtype == torch.uint8, BYTES_Y=references.dtype == torch.uint8, WINDOW=window,
    )  # fmt: skip
    return blurred


def _launch(kernel, images: Tensor, *arguments: object, **constants: object) -> None:  # type: ignore[no-untyped-def]
    line = images.shape[2] * images.shape[3]
    per_row = triton.cdiv(line, _SEGMENT)
    kernel[(images.shape[0] * images.shape[1] * per_row,)](
        line, images.shape[1], per_row, *arguments, **constants, BLOCK=_SEGMENT, num_warps=2
    )  # fmt: skip


def _launch_tiles(kernel, images: Tensor, *arguments: object, **constants: object) -> None:  # type: ignore[no-untyped-def]
    kernel[(_tiles(images),)](
        images.shape[2] * images.shape[3], images.shape[1], *arguments, **constants, ROWS=_ROWS, COLUMNS=_COLUMNS, num_warps=8
    )  # fmt: skip


def _tiles(images: Tensor) -> int:
    return int(images.shape[0] * triton.cdiv(images.shape[1], _ROWS) * triton.cdiv(images.shape[2] * images.shape[3], _COLUMNS))


@cache
def _taps(window: int, sigma: float, device: torch.device) -> Tensor:
    return torch.softmax(-0.5 * ((torch.arange(window, device=device) - window // 2) / sigma) ** 2, dim=0)


@triton.jit
def _place(line, height, per_row, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Row within its image, where the row begins, and the places within it."""
    segment = tl.program_id(0)
    row = segment // per_row
    place = (segment % per_row) * BLOCK + tl.arange(0, BLOCK)
    return row % height, row.to(tl.int64) * line, place


@triton.jit
def _tile(line, height, ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Rows (R, 1) within their image, where the image begins, and the places (1, C) within a row."""
    tile = tl.program_id(0)
    across, down = tl.cdiv(line, COLUMNS), tl.cdiv(height, ROWS)
    row = (tile // across % down) * ROWS + tl.arange(0, ROWS)[:, None]
    return row, (tile // across // down).to(tl.int64) * height * line, (tile % across) * COLUMNS + tl.arange(0, COLUMNS)[None, :]


@triton.jit
def _moments_along_rows(  # type: ignore[no-untyped-def]
    line, height, per_row, images, references, out, size, taps,
    STEP: tl.constexpr, BYTES_X: tl.constexpr, BYTES_Y: tl.constexpr, WINDOW: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    _row, begin, place = _place(line, height, per_row, BLOCK)
    a = tl.zeros((BLOCK,), tl.float32)
    b = tl.zeros((BLOCK,), tl.float32)
    aa = tl.zeros((BLOCK,), tl.float32)
    bb = tl.zeros((BLOCK,), tl.float32)
    ab = tl.zeros((BLOCK,), tl.float32)
    for tap in tl.static_range(WINDOW):
        other = place + (tap - WINDOW // 2) * STEP
        there = (other >= 0) & (other < line)
        weight = tl.load(taps + tap)
        x = tl.load(images + begin + other, mask=there, other=0).to(tl.float32)
        y = tl.load(references + begin + other, mask=there, other=0).to(tl.float32)
        if BYTES_X:
            x = x * (1.0 / 255.0)
        if BYTES_Y:
            y = y * (1.0 / 255.0)
        a += weight * x
        b += weight * y
        aa += weight * x * x
        bb += weight * y * y
        ab += weight * x * y
    out += begin
    there = place < line
    tl.store(out + place, a, mask=there)
    out += size
    tl.store(out + place, b, mask=there)
    out += size
    tl.store(out + place, aa, mask=there)
    out += size
    tl.store(out + place, bb, mask=there)
    out += size
    tl.store(out + place, ab, mask=there)


@triton.jit
def _similarities(  # type: ignore[no-untyped-def]
    line, height, blurred, out, sums, size, taps, c1, c2,
    WINDOW: tl.constexpr, GRADIENT: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row, begin, place = _tile(line, height, ROWS, COLUMNS)
    within = (row < height) & (place < line)
    inside = row * line + place  # of the image
    at = begin + inside
    wide = size.to(tl.int64)
    a = tl.zeros((ROWS, COLUMNS), tl.float32)
    b = tl.zeros((ROWS, COLUMNS), tl.float32)
    aa = tl.zeros((ROWS, COLUMNS), tl.float32)
    bb = tl.zeros((ROWS, COLUMNS), tl.float32)
    ab = tl.zeros((ROWS, COLUMNS), tl.float32)
    for tap in range(WINDOW):  # not unrolled, which would take all registers
        other = row + tap - WINDOW // 2
        there = within & (other >= 0) & (other < height)
        source = blurred + begin + (tap - WINDOW // 2) * line
        weight = tl.load(taps + tap)
        a += weight * tl.load(source + inside, mask=there, other=0.0)
        b += weight * tl.load(source + wide + inside, mask=there, other=0.0)
        aa += weight * tl.load(source + 2 * wide + inside, mask=there, other=0.0)
        bb += weight * tl.load(source + 3 * wide + inside, mask=there, other=0.0)
        ab += weight * tl.load(source + 4 * wide + inside, mask=there, other=0.0)
    mean_top = 2 * a * b + c1
    mean_bottom = a * a + b * b + c1
    top = 2 * (ab - a * b) + c2
    bottom = aa + bb - a * a - b * b + c2
    inverse = 1.0 / (mean_bottom * bottom)
    s = mean_top * top * inverse
    if GRADIENT:
        # by the blurred x, x^2 and x y: the mean acts through both factors of top and bottom
        by_mean = 2 * (b * (top - mean_top) * inverse - a * s * (bottom - mean_bottom) * inverse)
        tl.store(out + at, by_mean, mask=within)
        tl.store(out + wide + at, -s / bottom, mask=within)
        tl.store(out + 2 * wide + at, 2 * mean_top * inverse, mask=within)
        tl.store(sums + tl.program_id(0), tl.sum(tl.where(within, s, 0.0)))
    else:
        tl.store(out + at, s, mask=within)


@triton.jit
def _derivatives_along_rows(  # type: ignore[no-untyped-def]
    line, height, per_row, derivatives, out, size, taps,
    STEP: tl.constexpr, WINDOW: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    _row, begin, place = _place(line, height, per_row, BLOCK)
    wide = size.to(tl.int64)
    for plane in tl.static_range(3):
        total = tl.zeros((BLOCK,), tl.float32)
        for tap in tl.static_range(WINDOW):
            other = place + (tap - WINDOW // 2) * STEP
            there = (other >= 0) & (other < line)
            total += tl.load(taps + tap) * tl.load(derivatives + plane * wide + begin + other, mask=there, other=0.0)
        tl.store(out + plane * wide + begin + place, total, mask=place < line)


@triton.jit
def _gradient(  # type: ignore[no-untyped-def]
    line, height, images, references, blurred, out, sums, size, taps, ssim_scale, l1_scale,
    BYTES: tl.constexpr, WINDOW: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row, begin, place = _tile(line, height, ROWS, COLUMNS)
    within = (row < height) & (place < line)
    inside = row * line + place  # of the image
    at = begin + inside
    wide = size.to(tl.int64)
    by_mean = tl.zeros((ROWS, COLUMNS), tl.float32)
    by_square = tl.zeros((ROWS, COLUMNS), tl.float32)
    by_product = tl.zeros((ROWS, COLUMNS), tl.float32)
    for tap in range(WINDOW):  # not unrolled, which would take all registers
        other = row + tap - WINDOW // 2
        there = within & (other >= 0) & (other < height)
        source = blurred + begin + (tap - WINDOW // 2) * line
        weight = tl.load(taps + tap)
        by_mean += weight * tl.load(source + inside, mask=there, other=0.0)
        by_square += weight * tl.load(source + wide + inside, mask=there, other=0.0)
        by_product += weight * tl.load(source + 2 * wide + inside, mask=there, other=0.0)
    x = tl.load(images + at, mask=within, other=0.0)
    y = tl.load(references + at, mask=within, other=0).to(tl.float32)
    if BYTES:
        y = y * (1.0 / 255.0)
    difference = x - y
    sign = tl.where(difference > 0, l1_scale, tl.where(difference < 0, -l1_scale, 0.0))
    tl.store(out + at, sign - ssim_scale * (by_mean + 2 * x * by_square + y * by_product), mask=within)
    tl.store(sums + tl.program_id(0), tl.sum(tl.where(within, tl.abs(difference), 0.0)))
