"""How noisy tracks really are, told by how well the views agree."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trackersplat.motion.settings import NoiseSettings


def noise_shares(
    residual_px: Tensor,  # (M,) float64 RMS reprojection error of a triangulation in the views that agree
    views: Tensor,  # (M,) int, how many agree
    variances: Tensor,  # (V, M) px^2 per axis that it used; inf where a view's observation is not valid
    rough: Tensor,  # (V, M) px^2, the part of them that is not noise
    found: Tensor,  # (M,) int64: target * count + Gaussian
    targets: int,
    count: int,
    settings: NoiseSettings,
) -> Tensor:  # (M,) float64 in [least_share, 1]
    """What the noise in the variances is to be multiplied by, per Gaussian: with s they are ``rough + s (variances - rough)``.

    A Gaussian's noise is that of its target's tracks, and more: the error of its surface, and what all pixels of its
    footprint have in common. Its own residuals show that, but few views show it badly. So the noise is the mean of that and of
    `usual_shares`, weighted by degrees of freedom, as with the scaled inverse chi^2 prior of a variance. Roughness does not
    explain residuals here: it is of single pixels, and most of it averages out. The noise is never more than was assumed
    at first: a Gaussian that has more shows it by its residual.
    """
    if not len(found):
        return residual_px.new_ones(0)
    squares = squared_residuals(residual_px, views, variances, rough)
    usual = usual_shares(squares, views, found, targets, count, settings)[found // count]
    own = squares.total / (1.0 - squares.rough_share) / squares.freedom
    prior = settings.prior_freedom
    return ((prior * usual + squares.freedom * own) / (prior + squares.freedom)).clamp(settings.least_share, 1.0)


class SquaredResiduals(NamedTuple):
    """Of M triangulations, (M,) float64 each."""

    total: Tensor  # squared residuals over the variances, summed
    freedom: Tensor  # their degrees of freedom
    rough_share: Tensor  # in [0, 1): of the variances


def usual_shares(
    squares: SquaredResiduals, views: Tensor, found: Tensor, targets: int, count: int, settings: NoiseSettings
) -> Tensor:  # (targets,) float64 in [least_share, 1]
    """As `noise_shares`, for all tracks to a target together; 1 where too few Gaussians are seen by enough views.

    Weighted by the right variances, the squares of the residuals of m views follow chi^2 of 2 m - 3 degrees of freedom. So
    half of the Gaussians lie above its median, and the median over them of the noise that puts each there is the noise: a
    few wrong tracks do not matter.
    """
    median = squares.freedom * (1.0 - 2.0 / (9.0 * squares.freedom)) ** 3  # of chi^2, Wilson and Hilferty (1931)
    shares = squares.total.new_full((targets * count,), torch.nan)
    known = squares.rough_share
    shares[found] = torch.where(views >= settings.least_views, (squares.total / median - known) / (1.0 - known), torch.nan)
    shares = shares.reshape(targets, count)[:, :: max(1, -(-count // settings.sample))]
    enough = shares.isfinite().sum(1) >= settings.least_gaussians
    return torch.where(enough, shares.nanmedian(1).values, 1.0).clamp(settings.least_share, 1.0)


def squared_residuals(residual_px: Tensor, views: Tensor, variances: Tensor, rough: Tensor) -> SquaredResiduals:
    """The arguments are those of `noise_shares`."""
    precision = 1.0 / variances.double()  # 0 where an observation is not valid
    seen = (precision > 0).sum(0).clamp_min(1)
    known = (rough.double() * precision).sum(0) / seen
    return SquaredResiduals(
        total=residual_px.square() * views * (precision.sum(0) / seen),
        freedom=(2.0 * views.double() - 3.0).clamp_min(1.0),
        rough_share=known.clamp_max(1.0 - 1e-6),
    )
