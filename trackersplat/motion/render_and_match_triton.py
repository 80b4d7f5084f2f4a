"""What `render_and_match` does with every pixel before and after the match, for many views at once in one pass each.

Arithmetic as in the plain PyTorch of render_and_match.py and ops/images.py, but that displacements are not rounded to 1/32 of a pixel where
they are sampled.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 256  # pixels per program (layout)


def lost(certainty: Tensor, forward: Tensor, backward: Tensor, reliable: float) -> Tensor:
    """(B, H, W) bool: pixels of the renderings that show what no reliable track leads from. Displacements (B, H, W, 2)."""
    batch, height, width = certainty.shape
    found = torch.empty(batch, height, width, dtype=torch.bool, device=certainty.device)
    _lost[(triton.cdiv(height * width, _BLOCK), batch)](
        certainty.contiguous(), forward.contiguous(), backward.contiguous(), found, height, width, reliable, BLOCK=_BLOCK
    )
    return found


def reached(positions: Tensor, certainty: Tensor, reliable: float) -> Tensor:
    """(B, H, W) bool: pixels that the positions (B, H, W, 2), centres at +0.5, of reliable tracks fall into."""
    batch, height, width = certainty.shape
    found = torch.zeros(batch, height, width, dtype=torch.bool, device=certainty.device)
    _reached[(triton.cdiv(height * width, _BLOCK), batch)](
        positions.contiguous(), certainty.contiguous(), found, height, width, reliable, BLOCK=_BLOCK
    )
    return found


def replaced(
    tracks: tuple[Tensor, Tensor, Tensor],  # positions (B, H, W, 2), visibility and confidence (B, H, W)
    match: tuple[Tensor, Tensor, Tensor],  # the same from the renderings to the photographs
    forward: Tensor,  # (B, H, W, 2)
    backward: Tensor,  # (B, H, W, 2)
    *,
    reliable: float,
    moved_px: float,
    drifting: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The tracks, or what the match found where it counts, see `render_and_match.correct_tracks`."""
    batch, height, width = tracks[1].shape
    results = tuple(torch.empty_like(values, memory_format=torch.contiguous_format) for values in tracks)
    _replaced[(triton.cdiv(height * width, _BLOCK), batch)](
        *(values.contiguous() for values in (*tracks, *match, forward, backward)), *results, height, width, reliable, moved_px,
        DRIFTING=drifting, BLOCK=_BLOCK,
    )  # fmt: skip
    return results[0], results[1], results[2]


@triton.jit
def _corners(x, y, height, width):  # type: ignore[no-untyped-def]
    """Places of the four pixels around array indices, continued beyond the border, and the weights of the right and the lower ones."""
    x = tl.minimum(tl.maximum(x, -16777216.0), 16777216.0)
    y = tl.minimum(tl.maximum(y, -16777216.0), 16777216.0)
    left = tl.floor(x)
    above = tl.floor(y)
    across = x - left
    down = y - above
    column = left.to(tl.int32)
    row = above.to(tl.int32)
    first = tl.minimum(tl.maximum(column, 0), width - 1)
    second = tl.minimum(tl.maximum(column + 1, 0), width - 1)
    top = tl.minimum(tl.maximum(row, 0), height - 1) * width
    bottom = tl.minimum(tl.maximum(row + 1, 0), height - 1) * width
    return top + first, top + second, bottom + first, bottom + second, across, down


@triton.jit
def _sampled(values, a, b, c, d, across, down, there, STEP: tl.constexpr):  # type: ignore[no-untyped-def]
    first = tl.load(values + STEP * a, mask=there, other=0.0)
    second = tl.load(values + STEP * b, mask=there, other=0.0)
    third = tl.load(values + STEP * c, mask=there, other=0.0)
    fourth = tl.load(values + STEP * d, mask=there, other=0.0)
    top = first + across * (second - first)
    bottom = third + across * (fourth - third)
    return top + down * (bottom - top)


@triton.jit
def _lost(certainty, forward, backward, found, height, width, reliable, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = pixel < height * width
    view = tl.program_id(1).to(tl.int64) * height * width
    bx = tl.load(backward + 2 * (view + pixel), mask=there, other=0.0)
    by = tl.load(backward + 2 * (view + pixel) + 1, mask=there, other=0.0)
    a, b, c, d, across, down = _corners((pixel % width).to(tl.float32) + bx, (pixel // width).to(tl.float32) + by, height, width)
    seen = _sampled(certainty + view, a, b, c, d, across, down, there, 1)
    ex = bx + _sampled(forward + 2 * view, a, b, c, d, across, down, there, 2)
    ey = by + _sampled(forward + 2 * view + 1, a, b, c, d, across, down, there, 2)
    square = ex * ex + ey * ey
    tl.store(found + view + pixel, seen / (1.0 + square * square) < reliable, mask=there)


@triton.jit
def _reached(positions, certainty, found, height, width, reliable, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = pixel < height * width
    view = tl.program_id(1).to(tl.int64) * height * width
    x = tl.load(positions + 2 * (view + pixel), mask=there, other=-1.0)
    y = tl.load(positions + 2 * (view + pixel) + 1, mask=there, other=-1.0)
    chosen = there & (tl.load(certainty + view + pixel, mask=there, other=0.0) >= reliable)
    chosen = chosen & (x >= 0.0) & (x < width) & (y >= 0.0) & (y < height)
    column = tl.where(chosen, x, 0.0).to(tl.int32)
    row = tl.where(chosen, y, 0.0).to(tl.int32)
    tl.store(found + view + row * width + column, chosen, mask=chosen)


@triton.jit
def _replaced(  # type: ignore[no-untyped-def]
    positions, visibility, confidence, ends, seen, trust, forward, backward, new_positions, new_visibility, new_confidence,
    height, width, reliable, moved_px, DRIFTING: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = pixel < height * width
    view = tl.program_id(1).to(tl.int64) * height * width
    own = view + pixel
    x = (pixel % width).to(tl.float32)
    y = (pixel // width).to(tl.float32)
    fx = tl.load(forward + 2 * own, mask=there, other=0.0)
    fy = tl.load(forward + 2 * own + 1, mask=there, other=0.0)
    at_x = x + fx
    at_y = y + fy
    a, b, c, d, across, down = _corners(at_x, at_y, height, width)
    # Where a match ends is its pixel and a displacement. Those of the four pixels are taken, not their ends, which would go on with
    # the pixels beyond the border.
    u = 0.0 * fx
    v = 0.0 * fx
    for corner in tl.static_range(4):
        if corner == 0:
            place = a
            weight = (1.0 - down) * (1.0 - across)
        elif corner == 1:
            place = b
            weight = (1.0 - down) * across
        elif corner == 2:
            place = c
            weight = down * (1.0 - across)
        else:
            place = d
            weight = down * across
        u += weight * (tl.load(ends + 2 * (view + place), mask=there, other=0.0) - 0.5 - (place % width).to(tl.float32))
        v += weight * (tl.load(ends + 2 * (view + place) + 1, mask=there, other=0.0) - 0.5 - (place // width).to(tl.float32))
    inside = (at_x >= -0.5) & (at_x <= width - 0.5) & (at_y >= -0.5) & (at_y <= height - 0.5)
    ex = fx + _sampled(backward + 2 * view, a, b, c, d, across, down, there, 2)
    ey = fy + _sampled(backward + 2 * view + 1, a, b, c, d, across, down, there, 2)
    square = ex * ex + ey * ey
    found_visibility = tl.where(inside, _sampled(seen + view, a, b, c, d, across, down, there, 1) / (1.0 + square * square), 0.0)
    found_confidence = _sampled(trust + view, a, b, c, d, across, down, there, 1)
    certainty = found_visibility * found_confidence
    old_x = tl.load(positions + 2 * own, mask=there, other=0.0)
    old_y = tl.load(positions + 2 * own + 1, mask=there, other=0.0)
    old_visibility = tl.load(visibility + own, mask=there, other=0.0)
    old_confidence = tl.load(confidence + own, mask=there, other=0.0)
    better = certainty > old_visibility * old_confidence
    if DRIFTING:
        mx = old_x - 0.5 - x
        my = old_y - 0.5 - y
        better = better | ((certainty >= reliable) & (mx * mx + my * my >= moved_px * moved_px))
    tl.store(new_positions + 2 * own, tl.where(better, at_x + 0.5 + u, old_x), mask=there)
    tl.store(new_positions + 2 * own + 1, tl.where(better, at_y + 0.5 + v, old_y), mask=there)
    tl.store(new_visibility + own, tl.where(better, found_visibility, old_visibility), mask=there)
    tl.store(new_confidence + own, tl.where(better, found_confidence, old_confidence), mask=there)
