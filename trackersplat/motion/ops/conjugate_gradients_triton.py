"""The steps of the conjugate gradients of graph_system.py, in three passes over the nodes each, without synchronising with the host."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.geometry.quaternions_triton import symmetric_product

# Layout:
_ROWS = 256  # nodes that a program multiplies
_BLOCK = 512  # nodes that a program of the other passes takes
_WARPS = 8
_SUMMED = 1024  # partial sums taken together
_TOGETHER = 4  # steps that are launched together, an even number


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where a coupling has entries: in slices of rows, as wide as their longest, by columns, so that neighbouring threads read side by
    side."""

    degrees: Tensor  # (N,) int32 entries of each row
    begins: Tensor  # (S,) int64 slot of the first entry of each slice
    columns: Tensor  # (I,) int32 of each slot; unused ones are 0


class Slices(NamedTuple):
    """The slots of N rows of a sparse matrix."""

    rows: int  # of a slice
    degrees: Tensor  # (N,) int32
    begins: Tensor  # (S,) int64
    ends: Tensor  # (S,) int64


def rows_of_slices(starts: Tensor) -> Slices:
    """Of a matrix whose rows begin at ``starts`` (N + 1,) int64 (CSR). The entry of this rank in the row r is in the slot
    ``begins[r // rows] + rank * rows + r % rows``."""
    degrees = starts.diff()
    slices = triton.cdiv(len(degrees), _ROWS)
    widths = torch.nn.functional.pad(degrees, (0, slices * _ROWS - len(degrees))).reshape(slices, _ROWS).amax(1)
    ends = (_ROWS * widths).cumsum(0)
    return Slices(rows=_ROWS, degrees=degrees.to(torch.int32), begins=ends - _ROWS * widths, ends=ends)


class Steps:
    """Solves ``(diagonal - coupling) x = right`` a step at a time; ``x`` and ``energy`` are those after the last.

    Solution and residual are float64, one component after the other. Directions and the preconditioner need no more than float32:
    whichever way a step goes, the residual stays the true one. Their vectors have a fourth component, so that fetching one is one access.
    A system of the pattern is written into the tensors without underscore, and then begun.
    """

    def __init__(self, pattern: Pattern) -> None:
        device = pattern.degrees.device
        self._pattern, self._count = pattern, len(pattern.degrees)
        self._programs, self._multiplied = triton.cdiv(self._count, _BLOCK), triton.cdiv(self._count, _ROWS)
        # Each program leaves its part of a scalar product; who needs the sum adds them up.
        # Tensors of their own begin at whole lines of memory, whatever the count: one compiled kernel serves all.
        self._energy, self._before = (torch.zeros(self._programs, dtype=torch.float64, device=device) for _ in range(2))
        self._curvature = torch.zeros(self._multiplied, dtype=torch.float64, device=device)
        self._one = torch.ones(1, dtype=torch.float64, device=device)
        self.values = torch.zeros(len(pattern.columns), device=device)  # (I,) of the coupling
        self.diagonal = torch.empty(6, self._count, dtype=torch.float64, device=device)  # symmetric blocks
        self.inverted = torch.empty(6, self._count, device=device)  # their inverses, the preconditioner
        self.residual = torch.empty(3, self._count, dtype=torch.float64, device=device)  # at the beginning the right side
        self.direction = torch.zeros(self._count, 4, device=device)  # at the beginning a guess
        self._preconditioned = torch.zeros(self._count, 4, device=device)
        self._solution, self._image = (torch.empty(3, self._count, dtype=torch.float64, device=device) for _ in range(2))
        self._recorded: torch.cuda.CUDAGraph | None = None

    def begin(self) -> None:
        """Begins the system that was written. From nothing to the guess, as far as float32 holds it, is a step of length 1 along it."""
        self._solution.zero_()
        self._multiply()
        self._advance(self._one, 1, self._one, 1, self._energy)
        self._before.zero_()

    @property
    def x(self) -> Tensor:
        """(3, N) float64."""
        return self._solution

    @property
    def energy(self) -> Tensor:
        return self._energy.sum()

    def go(self, steps: int) -> None:
        """Takes an even number of steps. Some at a time are one recorded graph, because launching takes longer than running."""
        if self._solution.is_cuda:
            if self._recorded is None:
                self._recorded = self._record()
            for _ in range(steps // _TOGETHER):
                self._recorded.replay()
            steps %= _TOGETHER
        for _ in range(steps):
            self._step()

    def _record(self) -> torch.cuda.CUDAGraph:
        _compile(self._solution.device)
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            graph.capture_begin(capture_error_mode="thread_local")  # other threads may use the GPU meanwhile
            for _ in range(_TOGETHER):
                self._step()
            graph.capture_end()
        torch.cuda.current_stream().wait_stream(stream)
        return graph

    def _step(self) -> None:
        _turn[(self._programs,)](
            self.direction, self._preconditioned, self._energy, self._before, self._programs, 4 * self._count,
            BLOCK=4 * _BLOCK, SUMMED=_SUMMED, num_warps=_WARPS,
        )  # fmt: skip
        self._multiply()
        self._energy, self._before = self._before, self._energy
        self._advance(self._before, self._programs, self._curvature, self._multiplied, self._energy)

    def _multiply(self) -> None:
        _multiply[(self._multiplied,)](
            self._pattern.degrees, self._pattern.begins, self._pattern.columns, self.values, self.diagonal, self.direction, self._image,
            self._curvature, self._count, BLOCK=_ROWS, num_warps=_WARPS,
        )  # fmt: skip

    def _advance(self, energy: Tensor, energies: int, curvature: Tensor, curvatures: int, new_energy: Tensor) -> None:
        _advance[(self._programs,)](
            self.inverted, self.direction, self._image, self._solution, self.residual, self._preconditioned,
            energy, curvature, new_energy, energies, curvatures, self._count, BLOCK=_BLOCK, SUMMED=_SUMMED, num_warps=_WARPS,
        )  # fmt: skip


@cache
def _compile(device: torch.device) -> None:
    """Takes two steps of a system of one node, because nothing can be compiled while it is recorded."""
    nothing = torch.zeros(1, dtype=torch.int32, device=device)
    tiny = Steps(Pattern(degrees=nothing, begins=nothing.long(), columns=nothing))
    tiny.begin()
    for _ in range(2):
        tiny._step()


@triton.jit
def _total(partial, count, SUMMED: tl.constexpr):  # type: ignore[no-untyped-def]
    sums = tl.zeros((SUMMED,), tl.float64)
    for start in range(0, count, SUMMED):
        at = start + tl.arange(0, SUMMED)
        sums += tl.load(partial + at, mask=at < count, other=0.0)
    return tl.sum(sums)


@triton.jit(do_not_specialize=["programs", "numbers"])
def _turn(  # type: ignore[no-untyped-def]
    direction, preconditioned, energy, before, programs, numbers, BLOCK: tl.constexpr, SUMMED: tl.constexpr
):
    """The new direction, conjugate to the last."""
    last = _total(before, programs, SUMMED)
    kept = tl.where(last > 0.0, _total(energy, programs, SUMMED) / last, 0.0)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = at < numbers
    turned = tl.load(preconditioned + at, mask=there, other=0.0) + kept * tl.load(direction + at, mask=there, other=0.0)
    tl.store(direction + at, turned.to(tl.float32), mask=there)


@triton.jit(do_not_specialize=["count"])
def _multiply(  # type: ignore[no-untyped-def]
    degrees, starts, columns, values, diagonal, direction, image, partial, count, BLOCK: tl.constexpr
):
    """The image of the direction, and the parts of their product."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    degree = tl.load(degrees + n, mask=there, other=0)
    x = tl.load(direction + 4 * n, mask=there, other=0.0).to(tl.float64)
    y = tl.load(direction + 4 * n + 1, mask=there, other=0.0).to(tl.float64)
    z = tl.load(direction + 4 * n + 2, mask=there, other=0.0).to(tl.float64)
    u, v, w = symmetric_product(diagonal, n, count, there, x, y, z)
    at = tl.load(starts + tl.program_id(0)) + tl.arange(0, BLOCK)
    for k in range(tl.max(degree)):
        more = k < degree
        column = tl.load(columns + at, mask=more, other=0)
        value = tl.load(values + at, mask=more, other=0.0).to(tl.float64)
        u -= value * tl.load(direction + 4 * column, mask=more, other=0.0)
        v -= value * tl.load(direction + 4 * column + 1, mask=more, other=0.0)
        w -= value * tl.load(direction + 4 * column + 2, mask=more, other=0.0)
        at += BLOCK
    tl.store(image + n, u, mask=there)
    tl.store(image + count + n, v, mask=there)
    tl.store(image + 2 * count + n, w, mask=there)
    tl.store(partial + tl.program_id(0), tl.sum(x * u + y * v + z * w))


@triton.jit(do_not_specialize=["programs", "multiplied", "count"])
def _advance(  # type: ignore[no-untyped-def]
    inverted, direction, image, position, residual, preconditioned, energy, curvature, new_energy, programs, multiplied, count,
    BLOCK: tl.constexpr, SUMMED: tl.constexpr,
):  # fmt: skip
    """Goes along the direction by energy / curvature, and leaves the parts of the energy there."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    bent = _total(curvature, multiplied, SUMMED)
    length = tl.where(bent > 0.0, _total(energy, programs, SUMMED) / bent, 0.0)
    for axis in tl.static_range(3):
        at = axis * count + n
        x = tl.load(position + at, mask=there, other=0.0) + length * tl.load(direction + 4 * n + axis, mask=there, other=0.0)
        tl.store(position + at, x, mask=there)
    first, second, third = n, count + n, 2 * count + n
    x = tl.load(residual + first, mask=there, other=0.0) - length * tl.load(image + first, mask=there, other=0.0)
    y = tl.load(residual + second, mask=there, other=0.0) - length * tl.load(image + second, mask=there, other=0.0)
    z = tl.load(residual + third, mask=there, other=0.0) - length * tl.load(image + third, mask=there, other=0.0)
    tl.store(residual + first, x, mask=there)
    tl.store(residual + second, y, mask=there)
    tl.store(residual + third, z, mask=there)
    u, v, w = symmetric_product(inverted, n, count, there, x, y, z)
    u = u.to(tl.float32)
    v = v.to(tl.float32)
    w = w.to(tl.float32)
    tl.store(preconditioned + 4 * n, u, mask=there)
    tl.store(preconditioned + 4 * n + 1, v, mask=there)
    tl.store(preconditioned + 4 * n + 2, w, mask=there)
    tl.store(new_energy + tl.program_id(0), tl.sum(x * u + y * v + z * w))
