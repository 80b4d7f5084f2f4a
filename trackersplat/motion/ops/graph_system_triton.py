"""The systems of graph_system.py on a GPU, put together in a few kernels and with one wait for the device, for their size."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.motion.ops.conjugate_gradients_triton import Pattern, Steps, rows_of_slices
from trackersplat.motion.settings import SolverSettings

_BLOCK = 256  # edges, nodes or entries per program (layout)


class GraphSystem:
    """See `graph_system.GraphSystem`. Here all free nodes take part.

    Those that are connected neither to data nor to a node that is not free must be given no data, no jumps and no guess: then nothing
    pulls them, and they keep the value 0 through all steps.
    """

    def __init__(self, free: Tensor, first: Tensor, second: Tensor, settings: SolverSettings) -> None:
        """``free`` (N,) bool; ``first`` and ``second`` (E,) int64, the ends of the edges."""
        self._settings, self._free = settings, free
        device, count, edges = free.device, len(free), len(first)
        number = free.cumsum(0)
        self._place = torch.where(free, number - 1, -1)  # (N,) among the free ones
        self._i, self._j = self._place[first], self._place[second]
        # The entries of the coupling row by row, and after them those that are none.
        inside = (self._i >= 0) & (self._j >= 0)
        rows = torch.where(inside, torch.stack((self._i, self._j)), count)
        keys, order = (rows * (count + 1) + torch.stack((self._j, self._i)).clamp_min(0)).flatten().sort()
        starts = torch.searchsorted(keys, (count + 1) * torch.arange(count + 1, device=device))
        slices = rows_of_slices(starts)
        sizes: list[int] = torch.stack((number[-1], slices.ends[-1])).tolist() if count else [0, 0]
        self._size, slots = sizes
        self._steps: Steps | None = None
        if not self._size:
            return
        self._nodes = torch.empty(count + 1, dtype=torch.int64, device=device)
        self._nodes[torch.where(free, self._place, count)] = torch.arange(count, device=device)
        columns = torch.zeros(slots, dtype=torch.int32, device=device)
        self._edge = torch.full((slots,), -1, dtype=torch.int32, device=device)  # of every slot of the sliced coupling
        if edges:
            _place[(triton.cdiv(2 * edges, _BLOCK),)](
                keys, order, starts, slices.begins, columns, self._edge, 2 * edges, edges, count, ROWS=slices.rows, BLOCK=_BLOCK
            )
        programs = triton.cdiv(self._size, slices.rows)
        self._steps = Steps(Pattern(slices.degrees[: self._size], slices.begins[:programs], columns))

    def solve(
        self,
        data: Tensor,  # (6, N) float64 weights of the targets: symmetric matrices
        target: Tensor,  # (N, 3) float64
        edges: Tensor,  # (E,) float64 weights of the edges
        jump: Tensor | None = None,  # (E, 3), none is 0
        *,
        fade: float = 0.0,
        start: Tensor | None = None,  # (N, 3) a guess
        tolerance: float | None = None,
    ) -> Tensor:  # (N, 3)
        """See `graph_system.GraphSystem.solve`."""
        if self._steps is None:
            return torch.zeros_like(target)
        settings, steps, size = self._settings, self._steps, self._size
        tolerance = settings.tolerance if tolerance is None else tolerance
        edges = edges.contiguous()
        sums = torch.zeros(4, size, dtype=torch.float64, device=target.device)  # stiffness, and the pull of the jumps
        if len(edges):
            jumps = edges if jump is None else jump.contiguous()
            _pull[(triton.cdiv(len(edges), _BLOCK),)](
                self._i, self._j, edges, jumps, sums, len(edges), size, JUMP=jump is not None, BLOCK=_BLOCK
            )
        if len(self._edge):
            _couple[(triton.cdiv(len(self._edge), _BLOCK),)](self._edge, edges, steps.values, len(self._edge), BLOCK=_BLOCK)
        programs = triton.cdiv(size, _BLOCK)
        squares = torch.empty(programs, dtype=torch.float64, device=target.device)
        target = target.contiguous()
        _weigh[(programs,)](
            self._nodes, data.contiguous(), target, target if start is None else start.contiguous(), sums,
            steps.diagonal, steps.inverted, steps.residual, steps.direction, squares, size, len(target), fade,
            STIFFEST=settings.stiffest, START=start is not None, BLOCK=_BLOCK,
        )  # fmt: skip
        # Weighed by the preconditioner, so that stiff nodes do not hide what soft ones still lack.
        goal = tolerance**2 * squares.sum()
        steps.begin()
        for _ in range(settings.most_steps // settings.check_every):
            if bool(steps.energy <= goal):
                break
            steps.go(settings.check_every)
        result = torch.empty_like(target)
        _spread[(triton.cdiv(len(target), _BLOCK),)](self._place, steps.x, result, len(target), size, BLOCK=_BLOCK)
        return result


@triton.jit(do_not_specialize=["entries", "edges", "count"])
def _place(  # type: ignore[no-untyped-def]
    keys, order, starts, begins, columns, edge, entries, edges, count, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    """Puts every entry of the coupling into its slot: its column and the edge that it comes from."""
    e = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    key = tl.load(keys + e, mask=e < entries, other=0)
    row = key // (count + 1)
    there = (e < entries) & (row < count)
    rank = e - tl.load(starts + row, mask=there, other=0)
    slot = tl.load(begins + row // ROWS, mask=there, other=0) + rank * ROWS + row % ROWS
    tl.store(columns + slot, (key - row * (count + 1)).to(tl.int32), mask=there)
    tl.store(edge + slot, (tl.load(order + e, mask=there, other=0) % edges).to(tl.int32), mask=there)


@triton.jit(do_not_specialize=["edges", "size"])
def _pull(i, j, weights, jumps, sums, edges, size, JUMP: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    e = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = e < edges
    # float32 says enough, and takes half as long to fetch in every step.
    weight = tl.load(weights + e, mask=there, other=0.0).to(tl.float32).to(tl.float64)
    one = tl.load(i + e, mask=there, other=-1)
    other = tl.load(j + e, mask=there, other=-1)
    tl.atomic_add(sums + one, weight, mask=one >= 0)
    tl.atomic_add(sums + other, weight, mask=other >= 0)
    if JUMP:
        for axis in tl.static_range(3):
            pull = weight * tl.load(jumps + 3 * e + axis, mask=there, other=0.0)
            tl.atomic_add(sums + (axis + 1) * size + one, pull, mask=one >= 0)
            tl.atomic_add(sums + (axis + 1) * size + other, -pull, mask=other >= 0)


@triton.jit(do_not_specialize=["slots"])
def _couple(edge, weights, values, slots, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    slot = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    e = tl.load(edge + slot, mask=slot < slots, other=-1)
    tl.store(values + slot, tl.load(weights + e, mask=e >= 0, other=0.0).to(tl.float32), mask=slot < slots)


@triton.jit(do_not_specialize=["size", "count", "fade"])
def _weigh(  # type: ignore[no-untyped-def]
    nodes, data, target, start, sums, diagonal, inverted, residual, direction, squares, size, count, fade,
    STIFFEST: tl.constexpr, START: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The diagonal blocks, their inverses, the right side and the guess of the free nodes."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = n < size
    node = tl.load(nodes + n, mask=there, other=0)
    stiffness = tl.load(sums + n, mask=there, other=0.0)
    a = tl.load(data + node, mask=there, other=0.0)
    d = tl.load(data + 3 * count + node, mask=there, other=0.0)
    f = tl.load(data + 5 * count + node, mask=there, other=0.0)
    mean = (a + d + f) / 3.0
    share = tl.where(stiffness > 0.0, tl.minimum(STIFFEST * stiffness / tl.maximum(mean, 1e-300), 1.0), 1.0)
    b = tl.load(data + count + node, mask=there, other=0.0) * share
    c = tl.load(data + 2 * count + node, mask=there, other=0.0) * share
    e = tl.load(data + 4 * count + node, mask=there, other=0.0) * share
    a, d, f = a * share, d * share, f * share
    x = tl.load(target + 3 * node, mask=there, other=0.0)
    y = tl.load(target + 3 * node + 1, mask=there, other=0.0)
    z = tl.load(target + 3 * node + 2, mask=there, other=0.0)
    u = a * x + b * y + c * z + tl.load(sums + size + n, mask=there, other=0.0)
    v = b * x + d * y + e * z + tl.load(sums + 2 * size + n, mask=there, other=0.0)
    w = c * x + e * y + f * z + tl.load(sums + 3 * size + n, mask=there, other=0.0)
    # A node that nothing holds, on its own and told nothing of this, is to stay 0 and not 0 / 0.
    stiffness = tl.where((stiffness > 0.0) | (mean > 0.0), stiffness + fade, 1.0)
    a, d, f = a + stiffness, d + stiffness, f + stiffness
    tl.store(diagonal + n, a, mask=there)
    tl.store(diagonal + size + n, b, mask=there)
    tl.store(diagonal + 2 * size + n, c, mask=there)
    tl.store(diagonal + 3 * size + n, d, mask=there)
    tl.store(diagonal + 4 * size + n, e, mask=there)
    tl.store(diagonal + 5 * size + n, f, mask=there)
    p = d * f - e * e
    q = c * e - b * f
    r = b * e - c * d
    scale = 1.0 / tl.where(there, a * p + b * q + c * r, 1.0)
    p, q, r = p * scale, q * scale, r * scale
    s, t, m = (a * f - c * c) * scale, (b * c - a * e) * scale, (a * d - b * b) * scale
    tl.store(inverted + n, p.to(tl.float32), mask=there)
    tl.store(inverted + size + n, q.to(tl.float32), mask=there)
    tl.store(inverted + 2 * size + n, r.to(tl.float32), mask=there)
    tl.store(inverted + 3 * size + n, s.to(tl.float32), mask=there)
    tl.store(inverted + 4 * size + n, t.to(tl.float32), mask=there)
    tl.store(inverted + 5 * size + n, m.to(tl.float32), mask=there)
    tl.store(residual + n, u, mask=there)
    tl.store(residual + size + n, v, mask=there)
    tl.store(residual + 2 * size + n, w, mask=there)
    for axis in tl.static_range(3):
        guess = tl.zeros((BLOCK,), tl.float64)
        if START:
            guess = tl.load(start + 3 * node + axis, mask=there, other=0.0)
        tl.store(direction + 4 * n + axis, guess.to(tl.float32), mask=there)
    square = u * (p * u + q * v + r * w) + v * (q * u + s * v + t * w) + w * (r * u + t * v + m * w)
    tl.store(squares + tl.program_id(0), tl.sum(square))


@triton.jit(do_not_specialize=["count", "size"])
def _spread(place, solution, result, count, size, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """The solution of the free nodes at their places among all."""
    node = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    n = tl.load(place + node, mask=node < count, other=-1)
    for axis in tl.static_range(3):
        tl.store(result + 3 * node + axis, tl.load(solution + axis * size + n, mask=n >= 0, other=0.0), mask=node < count)
