"""Planes, halves, doubles and packed pixels of images in one pass each; stand in for the elementwise ones of images.py."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 512  # pixels per program (layout)


def planes(frames: Tensor, luma: tuple[float, float, float]) -> tuple[Tensor, Tensor]:
    """The colours (B, 3, H, W) uint8 and the brightness (B, H, W) float32 of frames (B, H, W, 3) uint8."""
    batch, height, width = frames.shape[:3]
    rgb = frames.new_empty(batch, 3, height, width)
    gray = torch.empty(batch, height, width, device=frames.device)
    frames = frames if frames[0].is_contiguous() else frames.contiguous()  # those of a clip of each view are not side by side
    _planes[_grid(batch, height, width)](frames, rgb, gray, frames.stride(0), height * width, *luma, BLOCK=_BLOCK)
    return rgb, gray


def halved(rgb: Tensor, gray: Tensor) -> tuple[Tensor, Tensor]:
    """See `images.Images.half`: its colours and its brightness."""
    batch, height, width = gray.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    half, bright = rgb.new_empty(batch, 3, rows, columns), gray.new_empty(batch, rows, columns)
    _halve[_grid(batch, rows, columns)](rgb, gray, half, bright, height, width, rows, columns, BLOCK=_BLOCK)
    return half, bright


def packed(rgb: Tensor, gray: Tensor, lanes: int, zero: int) -> Tensor:
    """See `images.Images.packed`; a slope of nothing is ``zero``."""
    batch, height, width = gray.shape
    result = rgb.new_empty(batch, height, width, lanes)
    _pack[_grid(batch, height, width)](rgb, gray, result.view(torch.int64), height, width, zero, BLOCK=_BLOCK)
    return result


def doubled(values: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    """See `images.doubled`."""
    batch, channels, rows, columns = values.shape
    result = values.new_empty(batch, channels, *size)
    _double[_grid(batch * channels, *size)](values, result, rows, columns, *size, scale, BLOCK=_BLOCK)
    return result


def _grid(batch: int, height: int, width: int) -> tuple[int, int]:
    return triton.cdiv(height * width, _BLOCK), batch


@triton.jit
def _planes(frames, rgb, gray, stride, size, red, green, blue, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = p < size
    b = tl.program_id(1).to(tl.int64)
    frames += b * stride
    r = tl.load(frames + 3 * p, mask=there, other=0)
    g = tl.load(frames + 3 * p + 1, mask=there, other=0)
    k = tl.load(frames + 3 * p + 2, mask=there, other=0)
    rgb += b * 3 * size + p
    tl.store(rgb, r, mask=there)
    tl.store(rgb + size, g, mask=there)
    tl.store(rgb + 2 * size, k, mask=there)
    tl.store(gray + b * size + p, red * r.to(tl.float32) + green * g.to(tl.float32) + blue * k.to(tl.float32), mask=there)


@triton.jit
def _halve(rgb, gray, half, bright, height, width, rows, columns, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    size, part = height * width, rows * columns
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = p < part
    b = tl.program_id(1).to(tl.int64)
    x, y = 2 * (p % columns), 2 * (p // columns)
    upper, lower = y * width, tl.minimum(y + 1, height - 1) * width
    right = tl.minimum(x + 1, width - 1)
    for channel in tl.static_range(3):
        plane = rgb + (b * 3 + channel) * size
        total = tl.load(plane + upper + x, mask=there, other=0).to(tl.int32) + tl.load(plane + upper + right, mask=there, other=0)
        total += tl.load(plane + lower + x, mask=there, other=0).to(tl.int32) + tl.load(plane + lower + right, mask=there, other=0)
        whole, rest = total // 4, total % 4
        whole += ((rest == 3) | ((rest == 2) & (whole % 2 == 1))).to(tl.int32)  # a half to the even number
        tl.store(half + (b * 3 + channel) * part + p, whole.to(tl.uint8), mask=there)
    gray += b * size
    total = tl.load(gray + upper + x, mask=there, other=0.0) + tl.load(gray + upper + right, mask=there, other=0.0)
    total += tl.load(gray + lower + x, mask=there, other=0.0) + tl.load(gray + lower + right, mask=there, other=0.0)
    tl.store(bright + b * part + p, 0.25 * total, mask=there)


@triton.jit
def _byte(value):  # type: ignore[no-untyped-def]
    """Rounded, a half to the even number, as a word."""
    value = tl.minimum(tl.maximum(value, 0.0), 255.0)
    below = tl.floor(value)
    whole = below.to(tl.int32)
    rest = value - below
    return (whole + ((rest > 0.5) | ((rest == 0.5) & (whole % 2 == 1))).to(tl.int32)).to(tl.int64)


@triton.jit
def _pack(rgb, gray, result, height, width, zero, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    size = height * width
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = p < size
    b = tl.program_id(1).to(tl.int64)
    x, y = p % width, p // width
    gray += b * size
    across = tl.load(gray + y * width + tl.minimum(x + 1, width - 1), mask=there, other=0.0)
    across -= tl.load(gray + y * width + tl.maximum(x - 1, 0), mask=there, other=0.0)
    down = tl.load(gray + tl.minimum(y + 1, height - 1) * width + x, mask=there, other=0.0)
    down -= tl.load(gray + tl.maximum(y - 1, 0) * width + x, mask=there, other=0.0)
    word = (_byte(across + zero) << 24) | (_byte(down + zero) << 32)
    for channel in tl.static_range(3):
        word |= tl.load(rgb + (b * 3 + channel) * size + p, mask=there, other=0).to(tl.int64) << (8 * channel)
    tl.store(result + b * size + p, word, mask=there)


@triton.jit
def _double(values, result, rows, columns, height, width, scale, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = p < height * width
    plane = tl.program_id(1).to(tl.int64)
    values += plane * rows * columns
    x = tl.maximum((p % width).to(tl.float32) * 0.5 - 0.25, 0.0)
    y = tl.maximum((p // width).to(tl.float32) * 0.5 - 0.25, 0.0)
    left, top = x.to(tl.int32), y.to(tl.int32)
    right, below = tl.minimum(left + 1, columns - 1), tl.minimum(top + 1, rows - 1) * columns
    across, down = x - left.to(tl.float32), y - top.to(tl.float32)
    top *= columns
    a = tl.load(values + top + left, mask=there, other=0.0)
    b = tl.load(values + top + right, mask=there, other=0.0)
    c = tl.load(values + below + left, mask=there, other=0.0)
    d = tl.load(values + below + right, mask=there, other=0.0)
    upper = a + across * (b - a)
    value = upper + down * (c + across * (d - c) - upper)
    tl.store(result + plane * height * width + p, scale * value, mask=there)
