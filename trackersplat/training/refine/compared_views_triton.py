"""How wrong a rendering is, in one pass over its pixels; stands in for the reference in `compared_views`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 256  # pixels per program (layout)


def colour_errors(color: Tensor, images: Tensor) -> Tensor:
    """See `compared_views.colour_errors`."""
    errors = torch.empty(color.shape[:3], dtype=torch.float32, device=color.device)
    _errors[(triton.cdiv(errors.numel(), _BLOCK),)](
        color.contiguous(), images.contiguous(), errors, errors.numel(), color.shape[1], color.shape[2], BLOCK=_BLOCK
    )
    return errors


@triton.jit
def _errors(color, images, errors, pixels, height, width, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = pixel < pixels
    row, column = (pixel // width) % height, pixel % width
    total = tl.zeros([BLOCK], tl.float32)
    count = tl.zeros([BLOCK], tl.float32)
    for dy in tl.static_range(-1, 2):
        for dx in tl.static_range(-1, 2):
            inside = there & (row + dy >= 0) & (row + dy < height) & (column + dx >= 0) & (column + dx < width)
            at = 3 * (pixel + dy * width + dx)
            for channel in tl.static_range(3):
                shown = tl.load(images + at + channel, mask=inside, other=0).to(tl.float32) / 255.0
                total += tl.abs(tl.load(color + at + channel, mask=inside, other=0.0) - shown)
            count += tl.where(inside, 3.0, 0.0)
    tl.store(errors + pixel, total / tl.maximum(count, 1.0), mask=there)
