"""Rotation of a Gaussian from how its neighbourhood moves."""

from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.geometry.devices import available
from trackersplat.geometry.quaternions import best_rotation, quaternion_to_rotation_vector, rotate

_ROUNDS = 4  # all but the first leave out neighbours that do not move with the rest


def neighbourhood_rotations(
    points: Tensor,  # (N, 3)
    translations: Tensor,  # (N, 3)
    chosen: Tensor,  # (M,) int64, whose rotation is wanted
    neighbours: Tensor,  # (M, k) int64
    weights: Tensor,  # (M, k) affinity / variance of the neighbour's translation, in 1 / scene units^2
    own_weight: Tensor,  # (M,) the same for the point itself
    prior: float,  # radians, expected size of a rotation
) -> tuple[Tensor, Tensor]:
    """Rotation vectors (M, 3) and their precision (M,) in 1 / rad^2: weighted Kabsch (1976) about the neighbourhood's centre.

    The prior is a quadratic pull towards no rotation, ``|R - 1|^2 / (2 prior^2)``: it decides directions the neighbourhood
    leaves open (all points on a line) and keeps noise of few close points from turning into rotation. Only the points'
    motion counts, never the Gaussian's own axes, so there is no ambiguity of axes to resolve. A neighbourhood that does not
    move gives exactly the zero vector.
    """
    everyone = torch.cat((chosen[:, None], neighbours), dim=1)
    weight = torch.cat((own_weight[:, None], weights), dim=1).double()
    if available(points):
        from trackersplat.motion.ops import rotate_triton as fused

        quaternions, precision, alike = fused.solve(points.double(), translations.double(), everyone, weight, prior, _ROUNDS)
    else:
        quaternions, precision, alike = _kabsch(points.double(), translations.double(), everyone, weight, prior)
    return torch.where(alike[:, None], 0.0, quaternion_to_rotation_vector(quaternions)), precision


def _kabsch(points: Tensor, translations: Tensor, everyone: Tensor, weight: Tensor, prior: float) -> tuple[Tensor, Tensor, Tensor]:
    """Unit quaternions (M, 4), precisions (M,) and whether all moved alike (M,) bool."""
    base, moved = points[everyone], translations[everyone]
    original = weight
    identity = torch.eye(3, dtype=torch.float64, device=points.device)
    quaternion = torch.zeros(len(everyone), 4, dtype=torch.float64, device=points.device)
    before = base
    for _ in range(_ROUNDS):
        share = weight / weight.sum(1, keepdim=True).clamp_min(1e-300)
        centre = (share[..., None] * base).sum(1, keepdim=True)
        drift = (share[..., None] * moved).sum(1, keepdim=True)
        before = base - centre
        after = before + moved - drift
        quaternion = best_rotation(((weight[..., None] * after)[..., :, None] * before[..., None, :]).sum(1) + identity / prior**2)
        error = (after - rotate(quaternion[:, None], before)).square().sum(-1) * original
        weight = original / (1.0 + error / 9.0) ** 2
    precision = (2.0 / 3.0) * (weight * before.square().sum(-1)).sum(1)
    return quaternion, precision, (moved == moved[:, :1]).all(-1).all(-1)
