"""The motion of any point of a surface from 3D tracks around it: rigid near each track, one body and not the mean of two at a border."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.geometry.neighbours import nearest_neighbours, nearest_to

_QUERIES_AT_ONCE = 32_768  # for memory: about 4 kB each


@dataclass(frozen=True)
class SpaceFieldSettings:
    """Interpolation between 3D tracks (space_field.py). A spacing is the distance of a track to its neighbours."""

    neighbours: int = 12  # tracks that turn a track, and that propose the motion of a point
    spacing_rank: int = 4  # the distance to the neighbour of this rank (from 1) is the spacing
    rigid_strain: float = 0.05  # change of the distance of two tracks, over the distance, at which they hardly count as one body
    rigid_slack: float = 0.05  # the same change in spacings that noise may make
    turn_prior: float = 0.1  # how much speaks against a turn, over how much the neighbours show
    near: float = 0.3  # of the spacing around a point, the deviation by which tracks count there
    agreement: float = 0.15  # distance of two proposals, in spacings around the point, at which they count as two motions
    colour_scale: float = 0.15  # deviation of colours in [0, 1] of one surface
    least_alike: float = 0.1  # how much a track of another colour counts at least
    reach: float = 1.5  # spacings of a track from which its motion is no longer trusted


@dataclass(frozen=True, eq=False)
class SpaceField:
    """N tracks at a base and at one target, each with the turn of its surroundings."""

    start: Tensor  # (N, 3) float64
    end: Tensor  # (N, 3) float64
    rotation: Tensor  # (N, 3, 3) float64
    spacing: Tensor  # (N,) float64
    trust: Tensor  # (N,) float64 in [0, 1]
    colour: Tensor | None  # (N, 3) in [0, 1]; nan where not known
    settings: SpaceFieldSettings

    @staticmethod
    def of(start: Tensor, end: Tensor, trust: Tensor, colour: Tensor | None, settings: SpaceFieldSettings) -> SpaceField:
        """Each track is turned as its neighbours turn about it that keep their distance from it (Kabsch, weighted).

        Neighbours on another body that moves otherwise do not keep it, and a lone track does not turn. Raises ShapeError if shapes differ.
        """
        if start.shape != end.shape or start.ndim != 2 or start.shape[1] != 3 or trust.shape != start.shape[:1]:
            raise ShapeError(f"A field needs two (N, 3) and (N,), got {tuple(start.shape)}, {tuple(end.shape)}, {tuple(trust.shape)}.")
        start, end = start.double(), end.double()
        near, distance = nearest_neighbours(start, settings.neighbours)
        identity = torch.eye(3, dtype=torch.float64, device=start.device)
        if near.shape[1] == 0:
            ones = torch.ones(len(start), dtype=torch.float64, device=start.device)
            return SpaceField(start, end, identity.expand(len(start), 3, 3), ones, trust.double(), colour, settings)
        spacing = distance[:, min(settings.spacing_rank, near.shape[1]) - 1].clamp_min(1e-9)
        before, after = start[near] - start[:, None], end[near] - end[:, None]
        stretch = (after.norm(dim=-1) - before.norm(dim=-1)).abs()
        slack = settings.rigid_strain * distance + settings.rigid_slack * spacing[:, None]
        weight = torch.exp(-0.5 * (distance / (2 * spacing[:, None])).square()) / (1 + (stretch / slack).square()).square()
        weight = weight * trust.double()[near]
        moments = torch.einsum("nk,nki,nkj->nij", weight, after, before)
        size = torch.einsum("nk,nki,nki->n", weight, before, before)
        moments = moments + (settings.turn_prior * size + 1e-12)[:, None, None] * identity
        left, _, right = torch.linalg.svd(moments)
        flip = torch.ones_like(start)
        flip[:, 2] = torch.sign(torch.linalg.det(left @ right))
        return SpaceField(start, end, (left * flip[:, None]) @ right, spacing, trust.double(), colour, settings)

    def move(self, points: Tensor, colour: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Points (Q, 3) of the base, of these colours, at the target (Q, 3) float64, and the confidence (Q,) in [0, 1] in that.

        Each of the nearest tracks proposes to carry a point rigidly; the result is the weighted mean of the proposals around the one that
        most agree with. Points far from every track stay with confidence 0.
        """
        points = points.double()
        if not len(self.start):
            return points, torch.zeros_like(points[:, 0])
        parts = [
            self._move(chosen, None if colour is None else shade)
            for chosen, shade in zip(
                points.split(_QUERIES_AT_ONCE), (points if colour is None else colour).split(_QUERIES_AT_ONCE), strict=True
            )
        ]
        moved, trust = zip(*parts, strict=True) if parts else ((points,), (points[:, 0],))
        return torch.cat(moved), torch.cat(trust)

    def _move(self, points: Tensor, colour: Tensor | None) -> tuple[Tensor, Tensor]:
        settings = self.settings
        near, distance = nearest_to(points, self.start, settings.neighbours)
        around = distance[:, min(settings.spacing_rank, near.shape[1]) - 1, None].clamp_min(1e-9)
        weight = torch.exp(-0.5 * ((distance - distance[:, :1]) / (settings.near * around)).square()) * self.trust[near]
        if colour is not None and self.colour is not None:
            apart = (self.colour[near].double() - colour.double()[:, None]).square().sum(-1)
            alike = torch.exp(-0.5 * apart / settings.colour_scale**2).clamp_min(settings.least_alike)
            weight = weight * torch.where(apart.isfinite(), alike, settings.least_alike)
        offset = points[:, None] - self.start[near]
        shift = self.end[near] - self.start[near] + (self.rotation[near] @ offset[..., None])[..., 0] - offset
        apart = (shift[:, :, None] - shift[:, None]).square().sum(-1)
        votes = weight[:, None] * torch.exp(-0.5 * apart / (settings.agreement * around[..., None]).square())
        best = votes.sum(-1).argmax(-1)
        chosen = votes.gather(1, best[:, None, None].expand(-1, 1, votes.shape[2]))[:, 0]
        total = chosen.sum(-1)
        moved = points + (chosen[..., None] * shift).sum(1) / total.clamp_min(1e-30)[:, None]
        closeness = torch.exp(-0.5 * (distance / (settings.reach * self.spacing[near])).square()) * self.trust[near]
        agreed = votes.gather(1, best[:, None, None].expand(-1, 1, votes.shape[2]))[:, 0] > 0.3 * weight
        trust = torch.where(agreed & (weight > 0), closeness, 0.0).amax(-1) * (total / weight.sum(-1).clamp_min(1e-30)).sqrt()
        return torch.where((total > 0)[:, None], moved, points), trust.clamp(0, 1)
