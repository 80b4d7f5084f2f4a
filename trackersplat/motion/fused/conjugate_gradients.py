"""The steps of the conjugate gradients of ``motion.graph_system``, in three passes over the nodes each, without a word to the host."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 256  # nodes per program
_SUMMED = 1024  # partial sums taken together


class Steps:
    """Solves ``(diagonal - coupling) x = right`` a step at a time; ``x`` and ``energy`` are those after the last."""

    def __init__(
        self,
        diagonal: Tensor,  # (6, N) float64 symmetric blocks
        inverted: Tensor,  # (6, N) their inverses, the preconditioner
        coupling: Tensor,  # (N, N) sparse CSR
        right: Tensor,  # (N, 3)
        x: Tensor,  # (N, 3) a guess, which is kept
    ) -> None:
        self._diagonal, self._inverted = diagonal.contiguous(), inverted.contiguous()
        self._starts = coupling.crow_indices().to(torch.int32)
        self._columns, self._values = coupling.col_indices().to(torch.int32), coupling.values().contiguous()
        self._programs = triton.cdiv(len(x), _BLOCK)
        # Each program leaves its part of a scalar product; who needs the sum adds them up.
        self._curvature, self._energy, self._before = (x.new_zeros(self._programs) for _ in range(3))
        self._image, self._preconditioned = torch.empty_like(x), torch.empty_like(x)
        # From nothing to the guess is a step of length 1 along it.
        self.x, self._residual, self._direction = torch.zeros_like(x), right.clone(), x.clone(memory_format=torch.contiguous_format)
        self._multiply()
        one = torch.zeros_like(self._energy)
        one[0] = 1.0
        self._advance(one, one, self._energy)
        self._direction.zero_()
        self._warm = False  # kernels are compiled
        self._recorded: tuple[int, torch.cuda.CUDAGraph] | None = None

    @property
    def energy(self) -> Tensor:
        return self._energy.sum()

    def go(self, steps: int) -> None:
        """Takes an even number of steps. From the second time on as one recorded graph, because launching takes longer than running."""
        if self._warm and self._recorded is None and self.x.is_cuda:
            self._recorded = (steps, self._record(steps))
        if self._recorded is not None and self._recorded[0] == steps:
            self._recorded[1].replay()
        else:
            for _ in range(steps):
                self._step()
        self._warm = True

    def _record(self, steps: int) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            graph.capture_begin(capture_error_mode="thread_local")  # other threads may use the GPU meanwhile
            for _ in range(steps):
                self._step()
            graph.capture_end()
        torch.cuda.current_stream().wait_stream(stream)
        return graph

    def _step(self) -> None:
        _turn[(triton.cdiv(3 * len(self.x), 4 * _BLOCK),)](
            self._direction, self._preconditioned, self._energy, self._before, self._programs, 3 * len(self.x),
            BLOCK=4 * _BLOCK, SUMMED=_SUMMED, num_warps=4,
        )  # fmt: skip
        self._multiply()
        self._energy, self._before = self._before, self._energy
        self._advance(self._before, self._curvature, self._energy)

    def _multiply(self) -> None:
        _multiply[(self._programs,)](
            self._starts, self._columns, self._values, self._diagonal, self._direction, self._image, self._curvature,
            len(self.x), BLOCK=_BLOCK, num_warps=4,
        )  # fmt: skip

    def _advance(self, energy: Tensor, curvature: Tensor, new_energy: Tensor) -> None:
        _advance[(self._programs,)](
            self._inverted, self._direction, self._image, self.x, self._residual, self._preconditioned,
            energy, curvature, new_energy, self._programs, len(self.x), BLOCK=_BLOCK, SUMMED=_SUMMED, num_warps=4,
        )  # fmt: skip


@triton.jit
def _total(partial, count, SUMMED: tl.constexpr):  # type: ignore[no-untyped-def]
    sums = tl.zeros((SUMMED,), tl.float64)
    for start in range(0, count, SUMMED):
        at = start + tl.arange(0, SUMMED)
        sums += tl.load(partial + at, mask=at < count, other=0.0)
    return tl.sum(sums)


@triton.jit
def _turn(  # type: ignore[no-untyped-def]
    direction, preconditioned, energy, before, programs, numbers, BLOCK: tl.constexpr, SUMMED: tl.constexpr
):
    """The new direction, conjugate to the last."""
    last = _total(before, programs, SUMMED)
    kept = tl.where(last > 0.0, _total(energy, programs, SUMMED) / last, 0.0)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = at < numbers
    turned = tl.load(preconditioned + at, mask=there, other=0.0) + kept * tl.load(direction + at, mask=there, other=0.0)
    tl.store(direction + at, turned, mask=there)


@triton.jit
def _multiply(starts, columns, values, diagonal, direction, image, partial, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """The image of the direction, and the parts of their product."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    at = tl.load(starts + n, mask=there, other=0)
    degree = tl.load(starts + n + 1, mask=there, other=0) - at
    x = tl.load(direction + 3 * n, mask=there, other=0.0)
    y = tl.load(direction + 3 * n + 1, mask=there, other=0.0)
    z = tl.load(direction + 3 * n + 2, mask=there, other=0.0)
    a = tl.load(diagonal + n, mask=there, other=0.0)
    b = tl.load(diagonal + count + n, mask=there, other=0.0)
    c = tl.load(diagonal + 2 * count + n, mask=there, other=0.0)
    d = tl.load(diagonal + 3 * count + n, mask=there, other=0.0)
    e = tl.load(diagonal + 4 * count + n, mask=there, other=0.0)
    f = tl.load(diagonal + 5 * count + n, mask=there, other=0.0)
    u = a * x + b * y + c * z
    v = b * x + d * y + e * z
    w = c * x + e * y + f * z
    for k in range(tl.max(degree)):
        more = k < degree
        column = tl.load(columns + at + k, mask=more, other=0)
        value = tl.load(values + at + k, mask=more, other=0.0)
        u -= value * tl.load(direction + 3 * column, mask=more, other=0.0)
        v -= value * tl.load(direction + 3 * column + 1, mask=more, other=0.0)
        w -= value * tl.load(direction + 3 * column + 2, mask=more, other=0.0)
    tl.store(image + 3 * n, u, mask=there)
    tl.store(image + 3 * n + 1, v, mask=there)
    tl.store(image + 3 * n + 2, w, mask=there)
    tl.store(partial + tl.program_id(0), tl.sum(x * u + y * v + z * w))


@triton.jit
def _advance(  # type: ignore[no-untyped-def]
    inverted, direction, image, position, residual, preconditioned, energy, curvature, new_energy, programs, count,
    BLOCK: tl.constexpr, SUMMED: tl.constexpr,
):  # fmt: skip
    """Goes along the direction by energy / curvature, and leaves the parts of the energy there."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    bent = _total(curvature, programs, SUMMED)
    length = tl.where(bent > 0.0, _total(energy, programs, SUMMED) / bent, 0.0)
    for axis in tl.static_range(3):
        at = 3 * n + axis
        x = tl.load(position + at, mask=there, other=0.0) + length * tl.load(direction + at, mask=there, other=0.0)
        tl.store(position + at, x, mask=there)
    x = tl.load(residual + 3 * n, mask=there, other=0.0) - length * tl.load(image + 3 * n, mask=there, other=0.0)
    y = tl.load(residual + 3 * n + 1, mask=there, other=0.0) - length * tl.load(image + 3 * n + 1, mask=there, other=0.0)
    z = tl.load(residual + 3 * n + 2, mask=there, other=0.0) - length * tl.load(image + 3 * n + 2, mask=there, other=0.0)
    tl.store(residual + 3 * n, x, mask=there)
    tl.store(residual + 3 * n + 1, y, mask=there)
    tl.store(residual + 3 * n + 2, z, mask=there)
    a = tl.load(inverted + n, mask=there, other=0.0)
    b = tl.load(inverted + count + n, mask=there, other=0.0)
    c = tl.load(inverted + 2 * count + n, mask=there, other=0.0)
    d = tl.load(inverted + 3 * count + n, mask=there, other=0.0)
    e = tl.load(inverted + 4 * count + n, mask=there, other=0.0)
    f = tl.load(inverted + 5 * count + n, mask=there, other=0.0)
    u = a * x + b * y + c * z
    v = b * x + d * y + e * z
    w = c * x + e * y + f * z
    tl.store(preconditioned + 3 * n, u, mask=there)
    tl.store(preconditioned + 3 * n + 1, v, mask=there)
    tl.store(preconditioned + 3 * n + 2, w, mask=there)
    tl.store(new_energy + tl.program_id(0), tl.sum(x * u + y * v + z * w))
