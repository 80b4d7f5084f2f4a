"""One step of Adam for an attribute of all Gaussians in one pass; stands in for the reference in `parameter_block`."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 1024  # numbers per program (layout)


def step(
    values: Tensor,  # (N, W) float32, contiguous, changed in place
    gradient: Tensor,  # (N, W)
    first: Tensor,  # (N, W) first moment, changed in place
    second: Tensor,  # (N, W) second moment, changed in place
    pace: Tensor,  # (N,) times the rates
    *,
    rate: float,  # of the first ``leading`` columns, bias correction of the first moment included
    rate_rest: float,  # of the others
    leading: int,
    root: float,  # of the bias correction of the second moment
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """See `parameter_block.adam_step`."""
    size = values.numel()
    _adam[(triton.cdiv(size, _BLOCK),)](
        values, gradient.contiguous(), first, second, pace, size, values.shape[1], leading, rate, rate_rest, root, epsilon,
        BETA1=betas[0], BETA2=betas[1], BLOCK=_BLOCK,
    )  # fmt: skip


@triton.jit
def _adam(  # type: ignore[no-untyped-def]
    values, gradient, first, second, pace, size, width, leading, rate, rate_rest, root, epsilon,
    BETA1: tl.constexpr, BETA2: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = at < size
    speed = tl.load(pace + at // width, mask=there, other=0.0) * tl.where(at % width < leading, rate, rate_rest)
    g = tl.load(gradient + at, mask=there, other=0.0)
    m = tl.load(first + at, mask=there, other=0.0)
    v = tl.load(second + at, mask=there, other=0.0)
    m += (1 - BETA1) * (g - m)
    v = BETA2 * v + (1 - BETA2) * g * g
    p = tl.load(values + at, mask=there, other=0.0) - speed * m / (tl.sqrt(v) / root + epsilon)
    tl.store(values + at, p, mask=there)
    tl.store(first + at, m, mask=there)
    tl.store(second + at, v, mask=there)
