"""What kernels on CUDA share that take one tile of an image: its pixels, its list of Gaussians, and their weights in the blend."""

# mypy: disable-error-code="no-untyped-def"
# Triton infers the types of kernels.

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def pixels(tile, rows, columns, width, height, TILE: tl.constexpr, APART: tl.constexpr = False):
    """Centres, places in the images, and which lie inside.

    With ``APART``, two that follow one another are in different rows. Otherwise Triton may give a thread two neighbours, to read them at
    once, where it knows that they are side by side in memory.
    """
    pixel = tl.arange(0, TILE * TILE)
    column, row = pixel % TILE, pixel // TILE
    if APART:
        column, row = pixel // 2 % TILE, pixel % 2 * (TILE // 2) + pixel // (2 * TILE)
    x = (tile % columns) * TILE + column
    y = (tile // columns % rows) * TILE + row
    place = (tile // (rows * columns)).to(tl.int64) * height * width + y * width + x
    return x.to(tl.float32) + 0.5, y.to(tl.float32) + 0.5, place, (x < width) & (y < height)


@triton.jit
def bounds(offsets, tile, tiles, entries):
    """Where the list of a tile begins and ends, of so many tiles with so many ``entries`` together."""
    return tl.load(offsets + tile), tl.load(offsets + tile + 1, mask=tile + 1 < tiles, other=entries)


@triton.jit
def group(
    means2d, conics, opacities, ids, entry, end, count, px, py, light,
    GROUP: tl.constexpr, ALPHA_MIN: tl.constexpr, ALPHA_MAX: tl.constexpr, TRANSMITTANCE_MIN: tl.constexpr,
):  # fmt: skip
    """The G Gaussians of a list from ``entry`` on, front to back: indices and which are there (G,).

    And of pixels (P,) and these, each (P, G): offsets in x and y, alpha (uncapped), the weight in the blend behind so much ``light``, and
    the logarithm of what is let through.
    """
    at = entry + tl.arange(0, GROUP)
    there = at < end
    index = tl.load(ids + at, mask=there, other=0).to(tl.int64)
    # Pixels along the first axis: the running product then stays within a few threads.
    dx = px[:, None] - tl.load(means2d + 2 * index)[None, :]
    dy = py[:, None] - tl.load(means2d + 2 * index + 1)[None, :]
    xx = tl.load(conics + 3 * index)[None, :]
    xy = tl.load(conics + 3 * index + 1)[None, :]
    yy = tl.load(conics + 3 * index + 2)[None, :]
    power = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
    opacity = tl.load(opacities + index % count)[None, :] * tl.exp(-power)
    alpha = tl.minimum(opacity, ALPHA_MAX)
    alpha = tl.where(there[None, :] & (power >= 0.0) & (alpha >= ALPHA_MIN), alpha, 0.0)
    kept = tl.log(1.0 - alpha)
    through = tl.cumsum(kept, axis=1)
    after = light[:, None] * tl.exp(through)
    weight = tl.where(after > TRANSMITTANCE_MIN, alpha * light[:, None] * tl.exp(through - kept), 0.0)
    return index, there, dx, dy, opacity, weight, kept
