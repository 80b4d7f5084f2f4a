"""Rotation of a Gaussian from how its neighbourhood moves."""

from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.motion.quaternions import matrix_to_quaternion, quaternion_to_rotation_vector

_ROUNDS = 4  # all but the first leave out neighbours that do not move with the rest


def neighbourhood_rotations(
    points: Tensor,  # (N, 3)
    translations: Tensor,  # (N, 3)
    neighbours: Tensor,  # (N, k) int64
    weights: Tensor,  # (N, k) affinity / variance of the neighbour's translation, in 1 / scene units^2
    own_weight: Tensor,  # (N,) the same for the point itself
    prior: float,  # radians, expected size of a rotation
) -> tuple[Tensor, Tensor]:
    """Rotation vectors (N, 3) and their precision (N,) in 1 / rad^2: weighted Kabsch (1976) about the neighbourhood's centre.

    The prior is a quadratic pull towards no rotation, ``|R - 1|^2 / (2 prior^2)``: it decides directions the neighbourhood
    leaves open (all points on a line) and keeps noise of few close points from turning into rotation. Only the points'
    motion counts, never the Gaussian's own axes, so there is no ambiguity of axes to resolve. A neighbourhood that does not
    move gives exactly the zero vector.
    """
    everyone = torch.cat((torch.arange(len(points), device=points.device)[:, None], neighbours), dim=1)
    base, moved = points.double()[everyone], translations.double()[everyone]
    weight = torch.cat((own_weight[:, None], weights), dim=1).double()
    original = weight
    identity = torch.eye(3, dtype=torch.float64, device=points.device)
    rotation = identity.expand(len(points), 3, 3)
    before = base
    for _ in range(_ROUNDS):
        share = weight / weight.sum(1, keepdim=True).clamp_min(1e-300)
        centre = (share[..., None] * base).sum(1, keepdim=True)
        drift = (share[..., None] * moved).sum(1, keepdim=True)
        before = base - centre
        after = before + moved - drift
        matrix = (weight[..., None] * after).transpose(1, 2) @ before + identity / prior**2
        left, _, right = torch.linalg.svd(matrix)
        sign = torch.ones_like(left[:, 0])
        sign[:, 2] = torch.where(torch.linalg.det(left) * torch.linalg.det(right) < 0, -1.0, 1.0)
        rotation = (left * sign[:, None]) @ right
        error = (after - before @ rotation.transpose(1, 2)).square().sum(-1) * original
        weight = original / (1.0 + error / 9.0) ** 2
    vectors = quaternion_to_rotation_vector(matrix_to_quaternion(rotation))
    unmoved = (moved == moved[:, :1]).all(-1).all(-1)
    precision = (2.0 / 3.0) * (weight * before.square().sum(-1)).sum(1)
    return torch.where(unmoved[:, None], 0.0, vectors), precision
