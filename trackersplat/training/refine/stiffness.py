"""Neighbours on one surface are corrected alike: tracks know how a surface has moved along itself, images hardly do."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.geometry.graph import Graph, GraphSettings, neighbour_graph
from trackersplat.geometry.neighbours import nearest_neighbours
from trackersplat.rendering.rasterizer import Rendering
from trackersplat.training.refine.settings import StiffnessSettings


class Stiffness:
    """``weight / M sum_ij a_ij |u_i - u_j|^2 / l_ij^2``, with ``u`` how far the M moving means have come from where they started.

    The sum is over all pairs of neighbours with a moving one among them, at distance ``l_ij`` and of colours as alike as ``a_ij``; what is
    frozen has ``u = 0``. It is the strain of the correction, not of the motion before it, so a motion that bends a surface costs nothing.
    An `optimiser.Penalty`.
    """

    def __init__(self, gaussians: Gaussians, moving: Tensor, settings: StiffnessSettings) -> None:
        """``moving`` (M,) indices of those of the ``gaussians`` that are to be optimised, in the order in which they will come. Others that
        come after them are free."""
        self._start = gaussians.means[moving].detach().clone()
        self._weight = settings.weight / max(len(moving), 1)
        self._laplacian = _laplacian(surface_graph(gaussians, settings.graph), moving, len(gaussians))

    def __call__(self, view: int, gaussians: Gaussians, rendering: Rendering) -> Tensor:
        """A scalar, differentiable with respect to the means of the moving Gaussians."""
        strain: Tensor = _QuadraticForm.apply(gaussians.means[: len(self._start)] - self._start, self._laplacian)
        return self._weight * strain


def surface_graph(gaussians: Gaussians, settings: GraphSettings) -> Graph:
    """Pairs of nearest Gaussians, and how likely both belong to one surface by their colours."""
    near = nearest_neighbours(gaussians.means, settings.neighbours)
    return neighbour_graph(near.indices, near.distances, surface_colours(gaussians), settings)


def surface_colours(gaussians: Gaussians) -> Tensor:
    """(N, 3) float64 in about [0, 1], of no direction in particular."""
    return (0.5 + SH_C0 * gaussians.sh[:, 0]).detach().double()


def _laplacian(graph: Graph, moving: Tensor, count: int) -> Tensor:
    """(M, M) sparse: ``sum_ij a_ij |u_i - u_j|^2 / l_ij^2`` is ``u^T L u``."""
    place = torch.full((count,), -1, device=moving.device)
    place[moving] = torch.arange(len(moving), device=moving.device)
    i, j = place[graph.first], place[graph.second]
    weight = graph.affinity / graph.length.square()
    first, second = i >= 0, j >= 0
    both = first & second
    rows = torch.cat((i[first], j[second], i[both], j[both]))
    columns = torch.cat((i[first], j[second], j[both], i[both]))
    values = torch.cat((weight[first], weight[second], -weight[both], -weight[both]))
    size = (len(moving), len(moving))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse (CSR tensor support is in beta|invariant checks are implicitly disabled)")
        entries = torch.sparse_coo_tensor(torch.stack((rows, columns)), values, size, check_invariants=False)
        return entries.coalesce().float().to_sparse_csr()


class _QuadraticForm(torch.autograd.Function):
    """``sum_d x_d^T L x_d`` over the columns of x (M, 3), L symmetric: its gradient ``2 L x`` costs no second product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, laplacian: Tensor) -> Tensor:
        image = laplacian @ x
        ctx.save_for_backward(image)
        return (x * image).sum()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (image,) = ctx.saved_tensors
        return 2 * grad_outputs[0] * image, None
