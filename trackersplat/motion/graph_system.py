"""Sparse linear systems on the graph of neighbouring Gaussians."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

_COLOUR_FLOOR = 0.02  # texture is no border: a strong edge of colour alone only weakens
_STIFFEST = 300.0  # largest weight of a measurement over that of its edges: as good as fixed, and the system stays well conditioned
_TOLERANCE = 1e-7  # relative residual of the conjugate gradients
_MOST_STEPS = 1000
_CHECK_EVERY = 10  # steps; on a GPU looking at the residual means waiting for it


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
    """The symmetric graph of nearest neighbours (N, k); likeness of colours (N, 3) makes the affinity."""
    count, k = indices.shape
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
        self._columns, self._edge = columns[order], torch.cat((both, both))[order]
        counts = torch.bincount(rows, minlength=self._size)
        self._starts = torch.cat((counts.new_zeros(1), counts.cumsum(0)))

    def solve(
        self,
        data: Tensor,  # (N,) weights of the targets
        target: Tensor,  # (N, C)
        edges: Tensor,  # (E,) weights of the edges
        jump: Tensor | None = None,  # (E, C), none is 0
        *,
        fade: float = 0.0,
        start: Tensor | None = None,  # (N, C) a guess
    ) -> Tensor:  # (N, C)
        """Minimises ``sum data |x - target|^2 + sum edges |x_first - x_second - jump|^2 + fade |x|^2``."""
        result = torch.zeros_like(target)
        if self._size == 0:
            return result
        (i, j), (at_i, at_j) = self._ends, self._inside
        stiffness = target.new_zeros(self._size).index_add_(0, i[at_i], edges[at_i]).index_add_(0, j[at_j], edges[at_j])
        data = data[self._reached]
        weight = torch.where(stiffness > 0, torch.minimum(data, _STIFFEST * stiffness), data)
        right = weight[:, None] * target[self._reached]
        if jump is not None:
            pull = edges[:, None] * jump
            right.index_add_(0, i[at_i], pull[at_i]).index_add_(0, j[at_j], pull[at_j], alpha=-1.0)
        # The off-diagonal part of the matrix, negated; the diagonal is kept apart, since it is the preconditioner too.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            coupling = torch.sparse_csr_tensor(
                self._starts, self._columns, edges[self._edge], (self._size, self._size), check_invariants=False
            )
        guess = None if start is None else start[self._reached]
        result[self._reached] = _conjugate_gradients(weight + stiffness + fade, coupling, right, guess)
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


def _conjugate_gradients(diagonal: Tensor, coupling: Tensor, right: Tensor, start: Tensor | None) -> Tensor:
    """Solves ``(diagonal - coupling) x = right`` (N, C), every column for itself, with the diagonal as preconditioner."""
    inverse = 1.0 / diagonal[:, None]
    x = torch.zeros_like(right) if start is None else start
    residual = right.clone() if start is None else right - diagonal[:, None] * x + coupling @ x
    goal = _TOLERANCE * right.norm(dim=0)
    direction = inverse * residual
    energy = (residual * direction).sum(0)
    for step in range(_MOST_STEPS):
        if step % _CHECK_EVERY == 0 and bool((residual.norm(dim=0) <= goal).all()):
            break
        image = diagonal[:, None] * direction - coupling @ direction
        curvature = (direction * image).sum(0)
        length = torch.where(curvature > 0, energy / curvature, 0.0)
        x = x + length * direction
        residual = residual - length * image
        preconditioned = inverse * residual
        before, energy = energy, (residual * preconditioned).sum(0)
        direction = preconditioned + torch.where(before > 0, energy / before, 0.0) * direction
    return x
