"""One step of Adam for all attributes of all Gaussians in one launch; stands in for `parameter_block.adam_step`."""

from __future__ import annotations

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 1024  # numbers per program (layout)


def step(
    values: Tensor,  # float32, one attribute after the other, changed in place
    gradients: Sequence[Tensor],  # of each attribute, (N, W)
    first: Tensor,  # like the values: first moment, changed in place
    second: Tensor,  # second moment, changed in place
    mean: Tensor,  # of the values after each step that counts, changed in place
    pace: Tensor,  # (N,) times the rates; 0 changes nothing, moments included
    *,
    schedule: Tensor,  # (S, 8) float32: six rates and the corrections of both moments in every step
    done: Tensor,  # (1,) int64
    counted_after: Tensor,  # (1,) int64
    leading: int,
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """See `parameter_block.adam_step`."""
    count = len(pace)
    widths = [gradient.shape[1] for gradient in gradients]
    blocks = [triton.cdiv(count * width, _BLOCK) for width in widths]
    _adam[(sum(blocks),)](
        values, *(gradient.contiguous() for gradient in gradients), first, second, mean, pace, count, schedule, len(schedule), done,
        counted_after, leading, epsilon,
        W0=widths[0], W1=widths[1], W2=widths[2], W3=widths[3], W4=widths[4], BETA1=betas[0], BETA2=betas[1], BLOCK=_BLOCK,
    )  # fmt: skip


@triton.jit
def _adam(  # type: ignore[no-untyped-def]
    values, g0, g1, g2, g3, g4, first, second, mean, pace, count, schedule, steps, done, counted_after, leading, epsilon,
    W0: tl.constexpr, W1: tl.constexpr, W2: tl.constexpr, W3: tl.constexpr, W4: tl.constexpr,
    BETA1: tl.constexpr, BETA2: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    block = tl.program_id(0)
    made = tl.load(done)
    now = schedule + 8 * tl.minimum(made, steps - 1)
    counted = made + 1 - tl.load(counted_after)
    n0, n1, n2, n3 = tl.cdiv(count * W0, BLOCK), tl.cdiv(count * W1, BLOCK), tl.cdiv(count * W2, BLOCK), tl.cdiv(count * W3, BLOCK)
    if block < n0:
        _part(values, g0, first, second, mean, pace, count, 0, block, now, 0, 0, leading, counted, epsilon, W0, BETA1, BETA2, BLOCK)
    elif block < n0 + n1:
        _part(values, g1, first, second, mean, pace, count, W0, block - n0, now, 1, 1, leading, counted, epsilon, W1, BETA1, BETA2, BLOCK)
    elif block < n0 + n1 + n2:
        _part(
            values, g2, first, second, mean, pace, count, W0 + W1, block - n0 - n1, now, 2, 2, leading, counted, epsilon,
            W2, BETA1, BETA2, BLOCK,
        )  # fmt: skip
    elif block < n0 + n1 + n2 + n3:
        _part(
            values, g3, first, second, mean, pace, count, W0 + W1 + W2, block - n0 - n1 - n2, now, 3, 3, leading, counted, epsilon,
            W3, BETA1, BETA2, BLOCK,
        )  # fmt: skip
    else:
        _part(
            values, g4, first, second, mean, pace, count, W0 + W1 + W2 + W3, block - n0 - n1 - n2 - n3, now, 4, 5, leading, counted,
            epsilon, W4, BETA1, BETA2, BLOCK,
        )  # fmt: skip


@triton.jit
def _part(  # type: ignore[no-untyped-def]
    values, gradient, first, second, mean, pace, count, begin, block, now, rate, rest, leading, counted, epsilon,
    WIDTH: tl.constexpr, BETA1: tl.constexpr, BETA2: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    local = block * BLOCK + tl.arange(0, BLOCK)
    inside = local < count * WIDTH
    speed = tl.load(pace + local // WIDTH, mask=inside, other=0.0)
    there = speed != 0.0
    at = tl.cast(count, tl.int64) * begin + local
    g = tl.load(gradient + local, mask=there, other=0.0)
    m = tl.load(first + at, mask=there, other=0.0)
    v = tl.load(second + at, mask=there, other=0.0)
    m += (1 - BETA1) * (g - m)
    v = BETA2 * v + (1 - BETA2) * g * g
    speed *= tl.where(local % WIDTH < leading, tl.load(now + rate), tl.load(now + rest)) / tl.load(now + 6)
    counts = inside & (counted > 0)
    share = 1.0 / tl.maximum(counted, 1).to(tl.float32)
    p = tl.load(values + at, mask=there | counts, other=0.0)
    p -= tl.where(there, speed * m / (tl.sqrt(v / tl.load(now + 7)) + epsilon), 0.0)
    tl.store(values + at, p, mask=there)
    tl.store(first + at, m, mask=there)
    tl.store(second + at, v, mask=there)
    # As torch's lerp: the first value that counts is the mean to the bit.
    old = tl.load(mean + at, mask=counts, other=0.0)
    tl.store(mean + at, tl.where(share < 0.5, old + share * (p - old), p - (p - old) * (1.0 - share)), mask=counts)
