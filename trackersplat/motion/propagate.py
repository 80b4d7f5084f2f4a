"""Motion of the Gaussians that no track could measure, from those around them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trackersplat.geometry.graph import Graph
from trackersplat.geometry.quaternions import rotate, rotation_vector_to_quaternion
from trackersplat.geometry.symmetric import isotropic, trace
from trackersplat.motion.ops.graph_system import graph_system
from trackersplat.motion.settings import PropagateSettings


@dataclass(frozen=True, eq=False)
class Field:
    """A rigid motion per Gaussian. Rotations are rotation vectors in radians about the Gaussian's own mean."""

    translation: Tensor  # (N, 3) float64 scene units
    rotation: Tensor  # (N, 3) float64
    confidence: Tensor  # (N,) float64 in [0, 1]


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of N Gaussians, with its certainty."""

    field: Field  # confidence 0 where nothing was measured
    information: Tensor  # (6, N) float64 inverse covariance of the translations, 0 where no view determines anything
    precision: Tensor  # (N,) float64 1 / variance of the fully measured translations per axis, 0 for the others
    rotation_precision: Tensor  # (N,) float64 the same for rotations, 1 / rad^2
    undisputed: Tensor | None = None  # (N,) bool: not doubted where they move with none of their neighbours; None: all may be


@dataclass(frozen=True, eq=False)
class Expected:
    """What to expect of Gaussians that are not measured, where nothing better is known."""

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
    measured: Measured,
    is_static: Tensor,  # (N,) bool
    graph: Graph,
    settings: PropagateSettings,
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
    free = ~is_static
    field, information = measured.field, measured.information
    precision, rotation_precision = measured.precision, measured.rotation_precision
    strain, bend, fade = settings.strain, settings.bend, settings.fade
    keep = (free[graph.first] | free[graph.second]).nonzero()[:, 0]
    first, second = graph.first[keep], graph.second[keep]
    length = graph.length[keep].clamp_min(1e-9)
    affinity = graph.affinity[keep]
    offset = points[first] - points[second]

    agreement = _agreement(measured, first, second, offset, strain * length, settings)
    wrong = _out_of_line(precision > 0, first, second, affinity, agreement, settings)
    if measured.undisputed is not None:
        wrong &= ~measured.undisputed
    precision, information = torch.where(wrong, 0.0, precision), torch.where(wrong, 0.0, information)
    known = is_static | (precision > 0)
    affinity = affinity * torch.where(known[first] & known[second], agreement, 1.0)
    rotation_precision = torch.where(precision > 0, rotation_precision, 0.0)

    support = (trace(information) > 0).double()
    if expected is not None:
        coasting = free & (precision == 0) & (expected.precision > 0)
        information = torch.where(coasting, isotropic(expected.precision), information)
        rotation_precision = torch.where(coasting, expected.rotation_precision, rotation_precision)
        support = torch.where(coasting, fade, support)
        field = Field(
            translation=torch.where(coasting[:, None], expected.translation, field.translation),
            rotation=torch.where(coasting[:, None], expected.rotation, field.rotation),
            confidence=torch.where(coasting, expected.trust, field.confidence),
        )

    told = trace(information) > 0
    system = graph_system(free, told, first, second, settings.solver)
    rotation = system.solve(isotropic(rotation_precision), field.rotation, affinity / bend**2)
    edge_rotation = rotation_vector_to_quaternion(0.5 * (rotation[first] + rotation[second]))
    turned = rotate(edge_rotation, offset) - offset
    guess = torch.where(told[:, None], field.translation, 0.0)
    translation = system.solve(information, field.translation, affinity / (strain * length) ** 2, turned, start=guess)

    target = field.confidence[:, None].expand(-1, 3)
    coupling = fade * settings.confidence_coupling * affinity
    certainty = system.solve(isotropic(support), target, coupling, fade=fade, tolerance=settings.solver.confidence_tolerance)[:, 0]
    confidence = torch.where(is_static, field.confidence, certainty).clamp(0.0, 1.0)
    return Field(translation=translation, rotation=rotation, confidence=confidence)


def _agreement(measured: Measured, first: Tensor, second: Tensor, offset: Tensor, slack: Tensor, settings: PropagateSettings) -> Tensor:
    """(E,) in [least_agreement, 1]: do the two ends move like one rigid piece? Means something only where both are measured or static."""
    field, precision = measured.field, measured.precision
    half = rotation_vector_to_quaternion(0.5 * (field.rotation[first] + field.rotation[second]))
    gap = field.translation[first] - field.translation[second] - (rotate(half, offset) - offset)
    noise = torch.where(precision > 0, 1.0 / precision.clamp_min(1e-30), 0.0)
    variance = slack**2 + noise[first] + noise[second]
    return ((1.0 + gap.square().sum(-1) / (settings.kernel**2 * variance)) ** -2).clamp_min(settings.least_agreement)


def _out_of_line(
    measured: Tensor, first: Tensor, second: Tensor, affinity: Tensor, agreement: Tensor, settings: PropagateSettings
) -> Tensor:
    """(N,) bool: measured Gaussians that move with almost none of their measured neighbours: wrong tracks, not another surface."""
    both = (measured[first] & measured[second]).double()
    weight = both * affinity
    sums = torch.zeros(len(measured), 3, dtype=torch.float64, device=measured.device)
    values = torch.stack((both, weight, weight * agreement), dim=-1)
    sums.index_add_(0, first, values).index_add_(0, second, values)
    company, total, agreed = sums.unbind(-1)
    return measured & (company >= settings.least_company) & (agreed < settings.least_agreeing * total)
