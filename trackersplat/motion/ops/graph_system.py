"""Sparse linear systems on the graph of neighbouring Gaussians."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from trackersplat.geometry.devices import available
from trackersplat.geometry.symmetric import DIAGONAL, inverse, isotropic, product

_COLOUR_FLOOR = 0.02  # texture is no border: a strong edge of colour alone only weakens
_CLOSEST = 0.5  # shortest edge over the median of its end's: pairs that nearly coincide make the systems stiff, and nothing else
_SHORTEST = 1e-2  # shortest edge over the median of all: where more coincide than there are neighbours, all medians of ends are 0
_STIFFEST = 300.0  # largest weight of a measurement over that of its edges: as good as fixed, and the system stays well conditioned
TOLERANCE = 1e-6  # relative residual of the conjugate gradients
_MOST_STEPS = 500
_CHECK_EVERY = 20  # steps, an even number; on a GPU looking at the residual means waiting for it


@dataclass(frozen=True)
class Graph:
    """Undirected edges between neighbouring Gaussians; every pair once."""

    first: Tensor  # (E,) int64
    second: Tensor  # (E,) int64
    length: Tensor  # (E,) float64 scene units
    affinity: Tensor  # (E,) float64 in (0, 1]: how likely both belong to one surface

    def repeated(self, count: int, times: int) -> Graph:
        """``times`` copies of a graph of ``count`` nodes side by side: node i of copy c is ``c * count + i``."""
        shift = count * torch.arange(times, device=self.first.device)[:, None]
        first, second = ((shift + end).reshape(-1) for end in (self.first, self.second))
        return Graph(first, second, self.length.repeat(times), self.affinity.repeat(times))


def neighbour_graph(indices: Tensor, distances: Tensor, colours: Tensor, colour_scale: float) -> Graph:
    """The symmetric graph of nearest neighbours (N, k); likeness of colours (N, 3) makes the affinity.

    Its lengths are at least half the median distance of the neighbours, and a hundredth of that of all that are apart; 1 where none are.
    """
    count, k = indices.shape
    if k:
        apart = distances[distances > 0]
        shortest = _SHORTEST * float(apart.median()) if len(apart) else 1.0
        distances = distances.maximum(_CLOSEST * distances.median(dim=1, keepdim=True).values).clamp_min(shortest)
    first = torch.arange(count, device=indices.device).repeat_interleave(k)
    second = indices.reshape(-1)
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    # Sorted, a pair found from both ends stands twice in a row.
    order = torch.argsort(low * count + high, stable=True)
    low, high = low[order], high[order]
    new = torch.ones_like(low, dtype=torch.bool)
    new[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    low, high = low[new], high[new]
    difference = (colours[low] - colours[high]).square().sum(-1)
    affinity = torch.exp(-0.5 * difference / colour_scale**2).clamp_min(_COLOUR_FLOOR)
    return Graph(low, high, distances.reshape(-1)[order][new], affinity)


class GraphSystem:
    """Quadratic problems on the ``free`` nodes of a graph; nodes that are not free have the value 0.

    Only nodes that are connected, through free nodes, to ``data`` or to a node that is not free take part; the others get 0.
    """

    def __init__(self, free: Tensor, data: Tensor, first: Tensor, second: Tensor) -> None:
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
        tolerance: float = TOLERANCE,
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
        weight = weight * torch.where(stiffness > 0, (_STIFFEST * stiffness / mean.clamp_min(1e-300)).clamp_max(1.0), 1.0)
        right = product(weight, target[self._reached])
        if jump is not None:
            pull = edges[:, None] * jump
            right.index_add_(0, i[at_i], pull[at_i]).index_add_(0, j[at_j], pull[at_j], alpha=-1.0)
        guess = torch.zeros_like(right) if start is None else start[self._reached]
        # A node that nothing holds, on its own and told nothing of this, is to stay 0 and not 0 / 0.
        stiffness = torch.where((stiffness > 0) | (mean > 0), stiffness + fade, 1.0)
        diagonal = weight + isotropic(stiffness)
        result[self._reached] = _conjugate_gradients(self._steps, diagonal, edges[self._edge], right, guess, tolerance)
        return result


def _reached(free: Tensor, data: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """(N,) bool: free and connected, through free nodes, to data or to a node that is not free."""
    reached = free & data
    inside = free[first] & free[second]
    for end, other in ((first, second), (second, first)):
        reached[end[free[end] & ~free[other]]] = True
    first, second = first[inside], second[inside]
    total = int(reached.sum())
    while True:
        for end, other in ((first, second), (second, first)):
            reached[end[reached[other]]] = True
        before, total = total, int(reached.sum())
        if total == before:
            return reached


def _conjugate_gradients(steps: _Steps, diagonal: Tensor, coupling: Tensor, right: Tensor, x: Tensor, tolerance: float) -> Tensor:
    """Solves ``(diagonal - coupling) x = right`` (N, 3) from a guess; the diagonal of 3x3 blocks (6, N) is the preconditioner."""
    inverted = inverse(diagonal)
    # Weighed by the preconditioner, so that stiff nodes do not hide what soft ones still lack.
    goal = tolerance**2 * (right * product(inverted, right)).sum()
    steps.begin(diagonal, inverted, coupling, right, x)
    for _ in range(_MOST_STEPS // _CHECK_EVERY):
        if bool(steps.energy <= goal):
            break
        steps.go(_CHECK_EVERY)
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
    if available(starts):
        from trackersplat.motion.ops.conjugate_gradients_triton import Steps

        return Steps(starts, columns)
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
