"""How much of a picture Gaussians cover from a point in space, by rays: in any direction, without rendering."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.quaternions import quaternion_to_matrix

RAYS_AT_ONCE = 2_000_000  # pairs of a ray and a Gaussian, for the memory
REACH = 3.0  # standard deviations: what is farther from a ray hides nothing
FLATTEST = 1e-3  # least standard deviation over the largest one, for numbers of single precision


class LineOfSight:
    """Which part of one Gaussian others leave visible from a point."""

    def __init__(self, gaussians: Gaussians) -> None:
        self._means = gaussians.means
        self._opacities = gaussians.opacities
        self._size = gaussians.scales.amax(1)
        scales = torch.maximum(gaussians.scales, FLATTEST * self._size[:, None])
        axes = quaternion_to_matrix(gaussians.quats).transpose(1, 2)  # rows: the axes of each
        self._whitening = axes / scales[:, :, None]  # (N, 3, 3), to where each is a unit sphere
        self._volume = scales.prod(1)

    def covers(self, origin: Tensor, chosen: Tensor, area: float) -> Tensor:
        """(M,) bool: which of the ``chosen`` (M,) Gaussians cover at least this ``area``, seen from ``origin`` (3,), in a plane at
        distance 1 across the ray to each.

        What a Gaussian covers is the integral of its projection, times its opacity and what the others between it and the origin let
        through along the ray to its mean. It is projected along parallel rays: the area of its 2D covariance is sqrt(det S d^T S^-1 d)
        for a unit direction d and its 3D covariance S.
        """
        offset = self._means[chosen] - origin
        distance = offset.norm(dim=1).clamp_min(1e-12)
        direction = offset / distance[:, None]
        along = torch.einsum("mij,mj->mi", self._whitening[chosen], direction)
        bare = self._opacities[chosen] * 2 * math.pi * self._volume[chosen] * along.norm(dim=1) / distance.square()
        found = bare >= area
        large = torch.nonzero(found)[:, 0]
        if len(large):
            found[large] = bare[large] * self._transmittances(origin, direction[large], distance[large]) >= area
        return found

    def _transmittances(self, origin: Tensor, direction: Tensor, distance: Tensor) -> Tensor:
        """(M,) what reaches the ``origin`` along rays (M, 3) of these lengths (M,)."""
        offset = self._means - origin
        between = torch.nonzero(offset.norm(dim=1) - REACH * self._size < distance.max())[:, 0]
        whitening, opacities = self._whitening[between], self._opacities[between]
        start = torch.einsum("nij,nj->ni", whitening, offset[between])
        through = torch.ones_like(distance)
        step = max(1, RAYS_AT_ONCE // max(len(between), 1))
        for first in range(0, len(distance), step):
            part = slice(first, first + step)
            rays = torch.einsum("nij,mj->mni", whitening, direction[part])
            length = rays.square().sum(2)
            nearest = (rays * start).sum(2) / length  # where along the ray each is densest
            power = (start.square().sum(1) - nearest.square() * length).clamp_min(0)
            alpha = opacities * torch.exp(-0.5 * power)
            alpha = torch.where((nearest > 0) & (nearest < 0.999 * distance[part, None]), alpha, 0.0)
            through[part] = torch.exp(torch.log1p(-alpha.clamp(max=0.999)).sum(1))
        return through
