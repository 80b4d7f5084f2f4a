"""Motion of the Gaussians that no track could measure, from those around them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trackersplat.geometry.quaternions import rotate, rotation_vector_to_quaternion
from trackersplat.geometry.symmetric import DIAGONAL, isotropic
from trackersplat.motion.ops.graph_system import Graph, GraphSystem

_FLOOR = 1e-3  # no edge is ever cut for good, so motion reaches the whole connected component
_KERNEL = 3.0  # standard deviations of disagreement at which trust has quartered
_COMPANY = 3  # measured neighbours from which a Gaussian can be told to be out of line
_ALONE = 0.2  # share of them, by affinity, that must move with it
_ROUGHLY = 1e-3  # relative residual of confidences, of which nobody needs more than two digits
_FADE = 0.02  # loss of confidence per edge between a measurement and a propagated motion


@dataclass(frozen=True)
class Field:
    """A rigid motion per Gaussian. Rotations are rotation vectors in radians about the Gaussian's own mean."""

    translation: Tensor  # (N, 3) float64 scene units
    rotation: Tensor  # (N, 3) float64
    confidence: Tensor  # (N,) float64 in [0, 1]


@dataclass(frozen=True)
class Expected:
    """What is to be expected of Gaussians that are not measured, for want of anything better."""

    translation: Tensor  # (N, 3) float64 scene units
    rotation: Tensor  # (N, 3) float64 radians
    precision: Tensor  # (N,) float64 1 / variance of the translation per axis; 0 where nothing is expected
    rotation_precision: Tensor  # (N,) float64 1 / rad^2
    trust: Tensor  # (N,) float64 in [0, 1], 0 where nothing is expected


def weakened(graph: Graph, one: Tensor, other: Tensor, factor: float) -> Graph:
    """The graph with the edges between the masked sets ``one`` and ``other`` (both (N,) bool) multiplied by ``factor``."""
    between = (one[graph.first] & other[graph.second]) | (other[graph.first] & one[graph.second])
    return replace(graph, affinity=torch.where(between, factor * graph.affinity, graph.affinity))


def propagate(
    points: Tensor,  # (N, 3) float64
    measured: Field,  # confidence 0 where nothing was measured
    information: Tensor,  # (6, N) inverse covariance of the translations, 0 where no view tells anything
    precision: Tensor,  # (N,) 1 / variance of the fully measured translations per axis, 0 for the others
    rotation_precision: Tensor,  # (N,) the same for rotations, 1 / rad^2
    static: Tensor,  # (N,) bool
    graph: Graph,
    *,
    strain: float,  # expected deviation of neighbours from rigid motion, over their distance
    bend: float,  # radians, expected difference of neighbours' rotations
    expected: Expected | None = None,
) -> Field:
    """The most likely field: measurements as soft data, static Gaussians as a boundary that does not move, neighbours as rigid as can be.

    Two graph Laplacian systems by conjugate gradients. First rotations: ``sum c_i |r_i - r^_i|^2 + sum a_ij |r_i - r_j|^2``;
    then translations, where a neighbour's motion is continued with the rotation of the edge between them,
    ``|t_i - t_j - (R_ij - 1)(x_i - x_j)|^2``, so that rigid motion propagates exactly and is not bent by being smoothed.
    Edges across which the measurements move apart count little. Every Gaussian connected to any data gets a motion; those
    that are not get none, with confidence 0.

    What is ``expected`` of Gaussians that are neither measured nor static is data as well, by its precision. Confidence in a
    motion that rests on nothing else is half the trust in what was expected.
    """
    free = ~static
    keep = free[graph.first] | free[graph.second]
    first, second = graph.first[keep], graph.second[keep]
    length = graph.length[keep].clamp_min(1e-9)
    affinity = graph.affinity[keep]
    offset = points[first] - points[second]

    agreement = _agreement(measured, precision, first, second, offset, strain * length)
    wrong = _out_of_line(precision > 0, first, second, affinity, agreement)
    precision, information = torch.where(wrong, 0.0, precision), torch.where(wrong, 0.0, information)
    known = static | (precision > 0)
    affinity = affinity * torch.where(known[first] & known[second], agreement, 1.0)
    rotation_precision = torch.where(precision > 0, rotation_precision, 0.0)

    support = (information[DIAGONAL].sum(0) > 0).double()
    if expected is not None:
        coasting = free & (precision == 0) & (expected.precision > 0)
        information = torch.where(coasting, isotropic(expected.precision), information)
        rotation_precision = torch.where(coasting, expected.rotation_precision, rotation_precision)
        support = torch.where(coasting, _FADE, support)
        measured = Field(
            torch.where(coasting[:, None], expected.translation, measured.translation),
            torch.where(coasting[:, None], expected.rotation, measured.rotation),
            torch.where(coasting, expected.trust, measured.confidence),
        )

    system = GraphSystem(free, information[DIAGONAL].sum(0) > 0, first, second)
    rotation = system.solve(isotropic(rotation_precision), measured.rotation, affinity / bend**2)
    edge_rotation = rotation_vector_to_quaternion(0.5 * (rotation[first] + rotation[second]))
    turned = rotate(edge_rotation, offset) - offset
    guess = torch.where((information[DIAGONAL].sum(0) > 0)[:, None], measured.translation, 0.0)
    translation = system.solve(information, measured.translation, affinity / (strain * length) ** 2, turned, start=guess)

    target = measured.confidence[:, None].expand(-1, 3)
    certainty = system.solve(isotropic(support), target, _FADE * 10 * affinity, fade=_FADE, tolerance=_ROUGHLY)[:, 0]
    return Field(translation, rotation, torch.where(static, measured.confidence, certainty).clamp(0.0, 1.0))


def _agreement(measured: Field, precision: Tensor, first: Tensor, second: Tensor, offset: Tensor, slack: Tensor) -> Tensor:
    """(E,) in [floor, 1]: do the two ends move like one rigid piece? Means something only where both are known."""
    half = rotation_vector_to_quaternion(0.5 * (measured.rotation[first] + measured.rotation[second]))
    gap = measured.translation[first] - measured.translation[second] - (rotate(half, offset) - offset)
    noise = torch.where(precision > 0, 1.0 / precision.clamp_min(1e-30), 0.0)
    variance = slack**2 + noise[first] + noise[second]
    return ((1.0 + gap.square().sum(-1) / (_KERNEL**2 * variance)) ** -2).clamp_min(_FLOOR)


def _out_of_line(measured: Tensor, first: Tensor, second: Tensor, affinity: Tensor, agreement: Tensor) -> Tensor:
    """(N,) bool: measured Gaussians that move with almost none of their measured neighbours: wrong tracks, not another surface."""
    both = (measured[first] & measured[second]).double()
    weight = both * affinity
    sums = torch.zeros(len(measured), 3, dtype=torch.float64, device=measured.device)
    values = torch.stack((both, weight, weight * agreement), dim=-1)
    sums.index_add_(0, first, values).index_add_(0, second, values)
    company, total, agreed = sums.unbind(-1)
    return measured & (company >= _COMPANY) & (agreed < _ALONE * total)
