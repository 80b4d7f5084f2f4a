"""Sums of ten numbers over the threads of a warp, with an exchange per pair of numbers in place of one per number.

Half of the threads go on with the sum of one number, the other half with that of another, so each of the five exchanges leaves half as
many numbers: 12 exchanges in place of 50. On NVIDIA GPUs one takes four times as long as an addition, and Triton has no word for it.
"""

# mypy: disable-error-code="no-untyped-def"
# Triton infers the types of kernels.

from __future__ import annotations

import itertools

import torch
import triton
import triton.language as tl

WARP = 32  # threads


def has_exchange() -> bool:
    """Whether kernels can exchange numbers so: on NVIDIA GPUs, and not in Triton's interpreter."""
    return torch.version.cuda is not None and not triton.knobs.runtime.interpret


def _sums_of(count: int) -> tuple[str, str]:
    """PTX and its constraints: in every thread the sum of one of ``count`` numbers, at most 16, and which it is.

    That is the number whose binary digits are those of the thread in reverse; threads for which it is ``count`` or more are to be ignored.
    """
    lines = [".reg .pred high;", ".reg .b32 thread, digit;", ".reg .f32 sent;", "mov.u32 thread, %laneid;"]
    lines += ["brev.b32 $1, thread;", "shr.b32 $1, $1, 27;"]
    lines += [f".reg .f32 v{k}; mov.f32 v{k}, ${2 + k};" for k in range(count)]
    left = list(range(count))
    for distance in (16, 8, 4, 2, 1):
        lines += [f"and.b32 digit, thread, {distance};", "setp.ne.u32 high, digit, 0;"]
        for one, other in itertools.zip_longest(left[::2], left[1::2]):
            if other is None:
                lines += [f"mov.f32 sent, v{one};"]
            else:
                lines += [f"selp.f32 sent, v{one}, v{other}, high;", f"selp.f32 v{one}, v{other}, v{one}, high;"]
            lines += [f"shfl.sync.bfly.b32 sent, sent, {distance}, 31, 0xffffffff;", f"add.f32 v{one}, v{one}, sent;"]
        left = left[::2]
    return "\n".join(("{", *lines, f"mov.f32 $0, v{left[0]};", "}")), ",".join(("=f", "=r", *("f" for _ in range(count))))


_TEN, _TEN_PLACES = map(tl.constexpr, _sums_of(10))


@triton.jit
def _folded(values, WARP: tl.constexpr):
    """(WARP,) sums of what each thread holds of the values."""
    return tl.sum(tl.reshape(values, (values.shape[0] // WARP, WARP)), axis=0)


@triton.jit
def ten_sums(a, b, c, d, e, f, g, h, i, j, EXCHANGE: tl.constexpr, WARP: tl.constexpr):
    """Of tensors of as many numbers as some warps have threads, in a program of one warp: sums, and which of the ten each is.

    There are more than ten; those for which the latter is 10 or more are to be ignored. Number k must be in thread k % WARP, as it is
    unless Triton has a reason to lay neighbours into one thread: see `tile_parts_triton.pixels`.
    """
    if EXCHANGE:
        sums, which = tl.inline_asm_elementwise(
            _TEN, _TEN_PLACES,
            [
                _folded(a, WARP), _folded(b, WARP), _folded(c, WARP), _folded(d, WARP), _folded(e, WARP),
                _folded(f, WARP), _folded(g, WARP), _folded(h, WARP), _folded(i, WARP), _folded(j, WARP),
            ],
            dtype=(tl.float32, tl.int32), is_pure=False, pack=1,
        )  # fmt: skip
    else:
        which = tl.arange(0, 16)
        sums = tl.where(which == 0, tl.sum(a), 0.0)
        sums = tl.where(which == 1, tl.sum(b), sums)
        sums = tl.where(which == 2, tl.sum(c), sums)
        sums = tl.where(which == 3, tl.sum(d), sums)
        sums = tl.where(which == 4, tl.sum(e), sums)
        sums = tl.where(which == 5, tl.sum(f), sums)
        sums = tl.where(which == 6, tl.sum(g), sums)
        sums = tl.where(which == 7, tl.sum(h), sums)
        sums = tl.where(which == 8, tl.sum(i), sums)
        sums = tl.where(which == 9, tl.sum(j), sums)
    return sums, which
