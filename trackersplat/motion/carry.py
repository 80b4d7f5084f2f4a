"""Points of the base frame, carried along by the Gaussians around them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.neighbours import nearest_to
from trackersplat.geometry.quaternions import conjugate, multiply, quaternion_to_matrix
from trackersplat.motion.motion import Motion
from trackersplat.motion.settings import CarryPointsSettings

_CHUNK = 8192  # points at a time, for memory


def carry_points(points: Tensor, gaussians: Gaussians, motion: Motion, settings: CarryPointsSettings) -> Tensor:
    """Points (P, 3) of the base frame at the motion's target frame, float64 on the Gaussians' device.

    Each of the nearest Gaussians j proposes to carry the point p rigidly, ``q_j = p + t_j + (R_j - 1)(p - m_j)``, with a
    weight ``w_j = opacity_j N(p; m_j, S_j)``, N being the normalised density: a large flat Gaussian of the background has
    little of it anywhere, so a floor does not hold back the foot that stands on it. The proposals choose the Gaussians that move
    the point, so that a point at the border of two motions follows one of them and not their mean: with
    ``v_ij = w_j exp(-|q_i - q_j|^2 / 2 h^2)`` and b the i of the largest ``sum_j v_ij``, the weights are ``v_bj``, in a sum of 1.
    The point moves by the rotation and translation that fit the means before and after best, weighted so. The rotations of the
    Gaussians themselves, weighted alike, enter the fit with ``rotation_weight``; noise of a single Gaussian is averaged.
    Standard deviations below, and h, are set by the spacing of the Gaussians around the point. A point around which nothing moves stays
    exactly where it is.

    Raises ShapeError if ``points`` is not (P, 3), there are no Gaussians, or the motion is of another number of them.
    """
    return _carry_all(points, gaussians, motion.translation, motion.rotation, settings)


def carry_points_between(points: Tensor, before: Gaussians, after: Gaussians, settings: CarryPointsSettings) -> Tensor:
    """`carry_points` with the motion from ``before`` to ``after``: the same Gaussians, in the same order, at two instants."""
    if len(before) != len(after):
        raise ShapeError(f"Points can be carried between the same Gaussians at two instants only, got {len(before)} and {len(after)}.")
    start, end = before.quats.detach().double(), after.quats.detach().double()
    return _carry_all(points, before, (after.means.double() - before.means.double()).detach(), multiply(end, conjugate(start)), settings)


def _carry_all(points: Tensor, gaussians: Gaussians, translation: Tensor, rotation: Tensor, settings: CarryPointsSettings) -> Tensor:
    """``rotation`` (N, 4) quaternions of any norm but 0."""
    if points.ndim != 2 or points.shape[1] != 3:
        raise ShapeError(f"Points to carry must be (P, 3), got {tuple(points.shape)}.")
    if not len(gaussians) or translation.shape != gaussians.means.shape:
        raise ShapeError(f"Points need at least one Gaussian and its motion, got {len(gaussians)} and {len(translation)}.")
    start = points.detach().to(gaussians.device, torch.float64)
    means = gaussians.means.detach().double()
    nearest, distances = nearest_to(start, means, settings.neighbours)
    spacing = distances[:, min(settings.spacing_rank, nearest.shape[1]) - 1].clamp_min(1e-9)
    moving = _Moving(means, gaussians, translation, rotation)
    parts = [
        _carry(start[chosen], nearest[chosen], spacing[chosen], moving, settings)
        for chosen in (slice(first, first + _CHUNK) for first in range(0, len(start), _CHUNK))
    ]
    return torch.cat(parts) if parts else start


@dataclass(frozen=True, eq=False)
class _Moving:
    """Gaussians and their motion."""

    means: Tensor  # (N, 3) float64
    gaussians: Gaussians
    translation: Tensor  # (N, 3)
    rotation: Tensor  # (N, 4)


def _carry(start: Tensor, nearest: Tensor, spacing: Tensor, moving: _Moving, settings: CarryPointsSettings) -> Tensor:
    """``start`` (P, 3) moved by its ``nearest`` (P, k) Gaussians, which lie ``spacing`` (P,) apart."""
    gaussians = moving.gaussians
    offset = start[:, None] - moving.means[nearest]  # (P, k, 3)
    axes = quaternion_to_matrix(gaussians.quats.detach()[nearest].double())
    sizes = gaussians.scales.detach()[nearest].double().maximum(settings.least_deviation * spacing[:, None, None])
    local = (axes.transpose(-1, -2) @ offset[..., None])[..., 0] / sizes
    opacity = torch.nn.functional.logsigmoid(gaussians.opacity_logits.detach()[nearest].double())
    weight = torch.softmax(opacity - 0.5 * local.square().sum(-1) - sizes.log().sum(-1), dim=-1)  # (P, k)

    turned = (quaternion_to_matrix(moving.rotation[nearest].double()) @ offset[..., None])[..., 0]
    shift = moving.translation[nearest].double() + turned - offset  # q - p
    apart = (shift[:, :, None] - shift[:, None]).square().sum(-1)  # (P, k, k)
    votes = weight[:, None] * torch.exp(-0.5 * apart / (settings.agreement * spacing[:, None, None]).square())
    best = votes.sum(-1).argmax(-1)
    chosen = votes.gather(1, best[:, None, None].expand(-1, 1, votes.shape[2]))[:, 0]
    chosen = chosen / chosen.sum(-1, keepdim=True)
    found = _fitted(start, nearest, chosen, spacing, moving, settings)
    return torch.where((shift == 0).all(-1).all(-1)[:, None], start, found)


def _fitted(start: Tensor, nearest: Tensor, chosen: Tensor, spacing: Tensor, moving: _Moving, settings: CarryPointsSettings) -> Tensor:
    """The weighted rigid fit (Kabsch 1976), in spacings: ``chosen`` (P, k) are weights in a sum of 1."""
    before, shift = moving.means[nearest], moving.translation[nearest].double()
    middle, middle_shift = (chosen[..., None] * before).sum(1), (chosen[..., None] * shift).sum(1)
    scale = spacing[:, None, None]
    around = (before - middle[:, None]) / scale
    moved = around + (shift - middle_shift[:, None]) / scale
    own = torch.einsum("pk,pkij->pij", chosen, quaternion_to_matrix(moving.rotation[nearest].double()))
    moments = torch.einsum("pk,pki,pkj->pij", chosen, moved, around) + settings.rotation_weight * own
    known = moments.isfinite().all(-1).all(-1)[:, None, None]
    left, _, right = torch.linalg.svd(torch.where(known, moments, torch.eye(3, dtype=moments.dtype, device=moments.device)))
    proper = torch.ones_like(start)
    proper[:, 2] = torch.det(left) * torch.det(right)
    rotation = (left * proper[:, None]) @ right
    return middle + middle_shift + (rotation @ (start - middle)[..., None])[..., 0]
