"""Rotation of a Gaussian from how its neighbourhood moves."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trackersplat.geometry.devices import has_triton
from trackersplat.geometry.quaternions import best_rotation, quaternion_to_rotation_vector, rotate
from trackersplat.motion.ops.results import NeighbourhoodRotation
from trackersplat.motion.settings import RotationSettings


class Rotations(NamedTuple):
    """Rotations of M Gaussians about their own means."""

    vectors: Tensor  # (M, 3) float64 rotation vectors in radians
    precision: Tensor  # (M,) float64 1 / rad^2


def neighbourhood_rotations(
    points: Tensor,  # (N, 3)
    translations: Tensor,  # (N, 3)
    chosen: Tensor,  # (M,) int64, whose rotation is wanted
    neighbours: Tensor,  # (M, k) int64
    weights: Tensor,  # (M, k) affinity / variance of the neighbour's translation, in 1 / scene units^2
    own_weight: Tensor,  # (M,) the same for the point itself
    settings: RotationSettings,
) -> Rotations:
    """The rotations of the ``chosen`` and their precision: weighted Kabsch (1976) about the neighbourhood's centre.

    ``settings.prior`` is a quadratic pull towards no rotation, ``|R - 1|^2 / (2 prior^2)``: it decides directions the neighbourhood
    leaves open (all points on a line) and keeps noise of few close points from turning into rotation. Only the points'
    motion counts, never the Gaussian's own axes, so there is no ambiguity of axes to resolve. A neighbourhood that does not
    move gives exactly the zero vector.
    """
    everyone = torch.cat((chosen[:, None], neighbours), dim=1)
    weight = torch.cat((own_weight[:, None], weights), dim=1).double()
    if has_triton(points):
        from trackersplat.motion.ops import rotate_triton as fused

        found = fused.solve(points.double(), translations.double(), everyone, weight, settings)
    else:
        found = _kabsch(points.double(), translations.double(), everyone, weight, settings)
    vectors = torch.where(found.alike[:, None], 0.0, quaternion_to_rotation_vector(found.quaternion))
    return Rotations(vectors=vectors, precision=found.precision)


def _kabsch(points: Tensor, translations: Tensor, everyone: Tensor, weight: Tensor, settings: RotationSettings) -> NeighbourhoodRotation:
    base, moved = points[everyone], translations[everyone]
    original = weight
    identity = torch.eye(3, dtype=torch.float64, device=points.device)
    quaternion = torch.zeros(len(everyone), 4, dtype=torch.float64, device=points.device)
    before = base
    for _ in range(settings.rounds):
        share = weight / weight.sum(1, keepdim=True).clamp_min(1e-300)
        centre = (share[..., None] * base).sum(1, keepdim=True)
        drift = (share[..., None] * moved).sum(1, keepdim=True)
        before = base - centre
        after = before + moved - drift
        matrix = ((weight[..., None] * after)[..., :, None] * before[..., None, :]).sum(1) + identity / settings.prior**2
        quaternion = best_rotation(matrix, settings.newton_steps)
        error = (after - rotate(quaternion[:, None], before)).square().sum(-1) * original
        weight = original / (1.0 + error / settings.kernel**2) ** 2  # Geman-McClure
    precision = (2.0 / 3.0) * (weight * before.square().sum(-1)).sum(1)
    return NeighbourhoodRotation(quaternion=quaternion, precision=precision, alike=(moved == moved[:, :1]).all(-1).all(-1))
