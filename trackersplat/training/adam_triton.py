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
    pace: Tensor,  # (N,) times the rates; 0 changes nothing, moments included
    *,
    rates: Tensor,  # (6,) float32: of each attribute, and of the columns of the last one after the ``leading`` ones
    leading: int,
    corrections: Tensor,  # (2,) float32: of both moments
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """See `parameter_block.adam_step`."""
    count = len(pace)
    widths = [gradient.shape[1] for gradient in gradients]
    blocks = [triton.cdiv(count * width, _BLOCK) for width in widths]
    _adam[(sum(blocks),)](
        values, *(gradient.contiguous() for gradient in gradients), first, second, pace, count, rates, leading,
        corrections, epsilon,
        W0=widths[0], W1=widths[1], W2=widths[2], W3=widths[3], W4=widths[4], BETA1=betas[0], BETA2=betas[1], BLOCK=_BLOCK,
    )  # fmt: skip


@triton.jit
def _adam(  # type: ignore[no-untyped-def]
    values, g0, g1, g2, g3, g4, first, second, pace, count, rates, leading, corrections, epsilon,
    W0: tl.constexpr, W1: tl.constexpr, W2: tl.constexpr, W3: tl.constexpr, W4: tl.constexpr,
    BETA1: tl.constexpr, BETA2: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    block = tl.program_id(0)
    r0, r1, r2 = tl.load(rates), tl.load(rates + 1), tl.load(rates + 2)
    r3, r4, rest = tl.load(rates + 3), tl.load(rates + 4), tl.load(rates + 5)
    c1, c2 = tl.load(corrections), tl.load(corrections + 1)
    n0, n1, n2, n3 = tl.cdiv(count * W0, BLOCK), tl.cdiv(count * W1, BLOCK), tl.cdiv(count * W2, BLOCK), tl.cdiv(count * W3, BLOCK)
    if block < n0:
        _part(values, g0, first, second, pace, count, 0, block, r0, r0, leading, c1, c2, epsilon, W0, BETA1, BETA2, BLOCK)
    elif block < n0 + n1:
        _part(values, g1, first, second, pace, count, W0, block - n0, r1, r1, leading, c1, c2, epsilon, W1, BETA1, BETA2, BLOCK)
    elif block < n0 + n1 + n2:
        _part(
            values, g2, first, second, pace, count, W0 + W1, block - n0 - n1, r2, r2, leading, c1, c2, epsilon,
            W2, BETA1, BETA2, BLOCK,
        )  # fmt: skip
    elif block < n0 + n1 + n2 + n3:
        _part(
            values, g3, first, second, pace, count, W0 + W1 + W2, block - n0 - n1 - n2, r3, r3, leading, c1, c2, epsilon,
            W3, BETA1, BETA2, BLOCK,
        )  # fmt: skip
    else:
        _part(
            values, g4, first, second, pace, count, W0 + W1 + W2 + W3, block - n0 - n1 - n2 - n3, r4, rest, leading, c1, c2, epsilon,
            W4, BETA1, BETA2, BLOCK,
        )  # fmt: skip


@triton.jit
def _part(  # type: ignore[no-untyped-def]
    values, gradient, first, second, pace, count, begin, block, rate, rest, leading, c1, c2, epsilon,
    WIDTH: tl.constexpr, BETA1: tl.constexpr, BETA2: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    local = block * BLOCK + tl.arange(0, BLOCK)
    speed = tl.load(pace + local // WIDTH, mask=local < count * WIDTH, other=0.0)
    there = speed != 0.0
    at = tl.cast(count, tl.int64) * begin + local
    g = tl.load(gradient + local, mask=there, other=0.0)
    m = tl.load(first + at, mask=there, other=0.0)
    v = tl.load(second + at, mask=there, other=0.0)
    m += (1 - BETA1) * (g - m)
    v = BETA2 * v + (1 - BETA2) * g * g
    speed *= tl.where(local % WIDTH < leading, rate, rest) / c1
    p = tl.load(values + at, mask=there, other=0.0) - speed * m / (tl.sqrt(v / c2) + epsilon)
    tl.store(values + at, p, mask=there)
    tl.store(first + at, m, mask=there)
    tl.store(second + at, v, mask=there)
