"""Sparse linear systems on the graph of neighbouring Gaussians."""

from __future__ import annotations

import warnings
from typing import Protocol

import torch
from torch import Tensor

from trackersplat.geometry.devices import has_triton
from trackersplat.geometry.symmetric import DIAGONAL, inverse, isotropic, product
from trackersplat.motion.settings import SolverSettings

_ROUNDS = 4  # steps along the graph between two looks at what is reached


class System(Protocol):
    """Quadratic problems on some nodes of a graph."""

    def solve(
        self,
        data: Tensor,
        target: Tensor,
        edges: Tensor,
        jump: Tensor | None = None,
        *,
        fade: float = 0.0,
        start: Tensor | None = None,
        tolerance: float | None = None,
    ) -> Tensor: ...


def graph_system(free: Tensor, data: Tensor, first: Tensor, second: Tensor, settings: SolverSettings) -> System:
    """See `GraphSystem`. Nodes that take no part are to be given no data, no jumps and no guess: a GPU takes all free nodes."""
    if has_triton(free):
        from trackersplat.motion.ops import graph_system_triton as fused

        return fused.GraphSystem(free, first, second, settings)
    return GraphSystem(free, data, first, second, settings)


class GraphSystem:
    """Quadratic problems on the ``free`` nodes of a graph; nodes that are not free have the value 0.

    Only nodes that are connected, through free nodes, to ``data`` or to a node that is not free take part; the others get 0.
    """

    def __init__(self, free: Tensor, data: Tensor, first: Tensor, second: Tensor, settings: SolverSettings) -> None:
        """``free`` and ``data`` (N,) bool; ``first`` and ``second`` (E,) int64, the ends of the edges."""
        self._settings = settings
        self._reached = _reached(free, data, first, second)
        self._size = int(self._reached.sum())
        place = torch.full((len(free),), -1, device=free.device)
        place[self._reached] = torch.arange(self._size, device=free.device)
        self._ends = tuple(place[end] for end in (first, second))
        self._inside = tuple((end >= 0).nonzero()[:, 0] for end in self._ends)
        i, j = self._ends
        both = ((i >= 0) & (j >= 0)).nonzero()[:, 0]
        rows, columns = torch.cat((i[both], j[both])), torch.cat((j[both], i[both]))
        order = torch.argsort(rows * self._size + columns)
        self._edge = torch.cat((both, both))[order]
        counts = torch.bincount(rows, minlength=self._size)
        self._steps = _steps(torch.cat((counts.new_zeros(1), counts.cumsum(0))), columns[order]) if self._size else None

    def solve(
        self,
        data: Tensor,  # (6, N) weights of the targets: symmetric matrices
        target: Tensor,  # (N, 3)
        edges: Tensor,  # (E,) weights of the edges
        jump: Tensor | None = None,  # (E, 3), none is 0
        *,
        fade: float = 0.0,
        start: Tensor | None = None,  # (N, 3) a guess
        tolerance: float | None = None,  # relative residual; that of the settings, if absent
    ) -> Tensor:  # (N, 3)
        """Minimises ``sum (x - target)^T data (x - target) + sum edges |x_first - x_second - jump|^2 + fade |x|^2``."""
        result = torch.zeros_like(target)
        if self._steps is None:
            return result
        (i, j), (at_i, at_j) = self._ends, self._inside
        edges = edges.float().double()  # float32 says enough, and takes half as long to fetch
        stiffness = target.new_zeros(self._size).index_add_(0, i[at_i], edges[at_i]).index_add_(0, j[at_j], edges[at_j])
        weight = data[:, self._reached]
        mean = weight[DIAGONAL].mean(0)
        weight = weight * torch.where(stiffness > 0, (self._settings.stiffest * stiffness / mean.clamp_min(1e-300)).clamp_max(1.0), 1.0)
        right = product(weight, target[self._reached])
        if jump is not None:
            pull = edges[:, None] * jump
            right.index_add_(0, i[at_i], pull[at_i]).index_add_(0, j[at_j], pull[at_j], alpha=-1.0)
        guess = torch.zeros_like(right) if start is None else start[self._reached]
        # A node that nothing holds, on its own and told nothing of this, is to stay 0 and not 0 / 0.
        stiffness = torch.where((stiffness > 0) | (mean > 0), stiffness + fade, 1.0)
        diagonal = weight + isotropic(stiffness)
        tolerance = self._settings.tolerance if tolerance is None else tolerance
        result[self._reached] = _conjugate_gradients(
            self._steps, diagonal, edges[self._edge], right, guess, tolerance=tolerance, settings=self._settings
        )
        return result


def _reached(free: Tensor, data: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """(N,) bool: free and connected, through free nodes, to data or to a node that is not free."""
    count = len(free)
    flags = torch.cat((free & data, free[:0].new_zeros(1)))  # the last one is for ends that nothing reaches
    for end, other in ((first, second), (second, first)):
        flags[torch.where(free[end] & ~free[other], end, count)] = True
    inside = (free[first] & free[second]).nonzero()[:, 0]
    first, second = first[inside], second[inside]
    total = int(flags[:count].sum())
    while True:
        for end, other in _ROUNDS * ((first, second), (second, first)):
            flags[torch.where(flags[other], end, count)] = True
        before, total = total, int(flags[:count].sum())
        if total == before:
            return flags[:count]


def _conjugate_gradients(
    steps: _Steps, diagonal: Tensor, coupling: Tensor, right: Tensor, x: Tensor, *, tolerance: float, settings: SolverSettings
) -> Tensor:
    """Solves ``(diagonal - coupling) x = right`` (N, 3) from a guess; the diagonal of 3x3 blocks (6, N) is the preconditioner."""
    inverted = inverse(diagonal)
    # Weighed by the preconditioner, so that stiff nodes do not hide what soft ones still lack.
    goal = tolerance**2 * (right * product(inverted, right)).sum()
    steps.begin(diagonal, inverted, coupling, right, x)
    for _ in range(settings.most_steps // settings.check_every):
        if bool(steps.energy <= goal):
            break
        steps.go(settings.check_every)
    return steps.x


class _Steps(Protocol):
    """The state of the conjugate gradients after some steps, for systems whose coupling has one pattern."""

    @property
    def x(self) -> Tensor: ...

    @property
    def energy(self) -> Tensor: ...

    def begin(self, diagonal: Tensor, inverted: Tensor, values: Tensor, right: Tensor, x: Tensor) -> None: ...

    def go(self, steps: int) -> None: ...


def _steps(starts: Tensor, columns: Tensor) -> _Steps:
    """For the coupling's pattern in CSR."""
    if starts.device.type == "cpu":
        from trackersplat.motion.ops import conjugate_gradients_numba

        return conjugate_gradients_numba.Steps(starts, columns)
    return ElementwiseSteps(starts, columns)


class ElementwiseSteps:
    """With PyTorch's sparse matrices."""

    x: Tensor
    energy: Tensor

    def __init__(self, starts: Tensor, columns: Tensor) -> None:
        self._starts, self._columns = starts, columns

    def begin(self, diagonal: Tensor, inverted: Tensor, values: Tensor, right: Tensor, x: Tensor) -> None:
        self._diagonal, self._inverted = diagonal, inverted
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse (CSR tensor support is in beta|invariant checks are implicitly disabled)")
            self._coupling = torch.sparse_csr_tensor(self._starts, self._columns, values, (len(x), len(x)), check_invariants=False)
        self.x = x
        self._residual = right - self._image(x)
        self._direction = product(inverted, self._residual)
        self.energy = (self._residual * self._direction).sum()

    def go(self, steps: int) -> None:
        for _ in range(steps):
            self._step()

    def _step(self) -> None:
        image = self._image(self._direction)
        curvature = (self._direction * image).sum()
        length = torch.where(curvature > 0, self.energy / curvature, 0.0)
        self.x = self.x + length * self._direction
        self._residual = self._residual - length * image
        preconditioned = product(self._inverted, self._residual)
        before, self.energy = self.energy, (self._residual * preconditioned).sum()
        self._direction = preconditioned + torch.where(before > 0, self.energy / before, 0.0) * self._direction

    def _image(self, values: Tensor) -> Tensor:
        return product(self._diagonal, values) - self._coupling @ values
