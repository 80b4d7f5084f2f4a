"""The strain that `stiffness.Stiffness` prices, edge by edge: no matrix is built anew when Gaussians are replaced."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import has_triton
from trackersplat.geometry.graph import Edges, Graph, GraphSettings, graph_of_edges
from trackersplat.geometry.neighbours import nearest_neighbours
from trackersplat.training.refine.settings import StiffnessSettings
from trackersplat.training.refine.stiffness import surface_colours, surface_graph


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The neighbours (N, k) int64 of every Gaussian, and the edges that they are."""

    neighbours: Tensor
    edges: Edges


_known: WeakKeyDictionary[Gaussians, _Pairs] = WeakKeyDictionary()  # in the base of a batch


class Strain:
    """``weight / M sum_ij a_ij |u_i - u_j|^2 / l_ij^2`` with ``u`` how far the M moving means have come; 0 for all others."""

    def __init__(self, gaussians: Gaussians, moving: Tensor, settings: StiffnessSettings, base: Gaussians | None = None) -> None:
        """``moving`` (N,) bool. With ``base``, the same Gaussians elsewhere, those are neighbours that are neighbours there."""
        graph = surface_graph(gaussians, settings.graph) if base is None else _graph_of_pairs_in(base, gaussians, settings.graph)
        self._start = gaussians.means.detach().clone()
        self._first, self._second = graph.first, graph.second
        self._stiffness = (graph.affinity / graph.length.square()).float()
        self._weight = settings.weight
        self._moving = moving.clone()
        self._scale = 2 * self._weight / self._moving.sum().clamp_min(1).float()

    def release(self, indices: Tensor, valid: Tensor) -> None:
        """These (K,), where ``valid`` (K,) bool, no longer move with their neighbours: they are other Gaussians now. Tensors stay where
        they are, for recorded steps, and nothing depends on the host."""
        self._moving[indices] = self._moving[indices] & ~valid
        self._scale.copy_(2 * self._weight / self._moving.sum().clamp_min(1).float())

    @torch.no_grad()
    def add_gradient(self, gradient: Tensor, means: Tensor) -> None:
        """Adds the derivative by the means (N, 3) to ``gradient`` (N, 3)."""
        if has_triton(means):
            from trackersplat.training.refine.strain_triton import add_gradient

            add_gradient(gradient, means, self._start, self._first, self._second, self._stiffness, self._moving, self._scale)
            return
        u = torch.where(self._moving[:, None], means - self._start, 0.0)
        force = self._scale * self._stiffness[:, None] * (u[self._first] - u[self._second])
        total = torch.zeros_like(gradient).index_add_(0, self._first, force).index_add_(0, self._second, -force)
        gradient += torch.where(self._moving[:, None], total, 0.0)


def _graph_of_pairs_in(base: Gaussians, gaussians: Gaussians, settings: GraphSettings) -> Graph:
    """As `surface_graph`, of those that are neighbours in the ``base``: found once for all frames of a batch."""
    known = _known.get(base)
    if known is None or known.neighbours.shape[1] != min(settings.neighbours, len(base) - 1):
        neighbours = nearest_neighbours(base.means, settings.neighbours).indices
        known = _known[base] = _Pairs(neighbours, Edges.between(neighbours))
    means = gaussians.means.detach().double()
    distances = (means[known.neighbours] - means[:, None]).norm(dim=-1)
    middle = distances.median(dim=1, keepdim=True).values if distances.numel() else distances
    return graph_of_edges(known.edges, distances, middle, surface_colours(gaussians), settings)
