"""How noisy tracks really are, told by how well the views agree."""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST = 0.005  # of the variance that tracks are given at first: no tracker finds a fiftieth of a pixel
_SUPPORTED = 4  # views from which the residuals of one Gaussian count in what is said of all
_ENOUGH = 30  # such Gaussians; of fewer the median is off by a tenth and more
_SAMPLE = 100_000  # Gaussians of a target that are asked at most: a median needs no more
_PRIOR = 4.0  # degrees of freedom that the noise of all counts for in what is thought of one Gaussian


def noise_shares(
    residual_px: Tensor,  # (M,) float64 RMS reprojection error of a triangulation in the views that agree
    views: Tensor,  # (M,) int, how many agree
    variances: Tensor,  # (V, M) px^2 per axis that it used; inf where a view had no say
    rough: Tensor,  # (V, M) px^2, the part of them that is not noise
    found: Tensor,  # (M,) int64: target * count + Gaussian
    targets: int,
    count: int,
) -> Tensor:  # (M,) float64 in [0.005, 1]
    """What the noise in the variances is to be multiplied by, per Gaussian: with s they are ``rough + s (variances - rough)``.

    A Gaussian's noise is that of its target's tracks and more: what its surface is wrong by, and what all pixels of its
    footprint have in common. Its own residuals tell that, but few views tell it badly, so it is the mean of that and of
    `usual_shares`, by degrees of freedom, as with the scaled inverse chi^2 prior of a variance. Roughness is no excuse for
    residuals here: it is of single pixels, and the better part of it averages out. It never is more noise than was assumed
    at first, as what has more is told by its residual.
    """
    if not len(found):
        return residual_px.new_ones(0)
    squares, freedom, known = _squares(residual_px, views, variances, rough)
    usual = usual_shares(squares, freedom, known, views, found, targets, count)[found // count]
    own = squares / (1.0 - known) / freedom
    return ((_PRIOR * usual + freedom * own) / (_PRIOR + freedom)).clamp(_LEAST, 1.0)


def usual_shares(
    squares: Tensor, freedom: Tensor, known: Tensor, views: Tensor, found: Tensor, targets: int, count: int
) -> Tensor:  # (targets,) float64 in [0.005, 1]
    """The same for all tracks to a target, 1 where too few Gaussians are seen by enough views. The first three are those of `_squares`.

    Weighted by the right variances, the squares of the residuals of m views follow chi^2 of 2 m - 3 degrees of freedom. So
    half of the Gaussians lie above its median, and the median over them of the noise that puts each there is the noise: a
    few wrong tracks do not matter.
    """
    median = freedom * (1.0 - 2.0 / (9.0 * freedom)) ** 3  # of chi^2, Wilson and Hilferty (1931)
    said = squares.new_full((targets * count,), torch.nan)
    said[found] = torch.where(views >= _SUPPORTED, (squares / median - known) / (1.0 - known), torch.nan)
    said = said.reshape(targets, count)[:, :: max(1, -(-count // _SAMPLE))]
    enough = said.isfinite().sum(1) >= _ENOUGH
    return torch.where(enough, said.nanmedian(1).values, 1.0).clamp(_LEAST, 1.0)


def _squares(residual_px: Tensor, views: Tensor, variances: Tensor, rough: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(M,) each: squared residuals over the variances, summed, their degrees of freedom, and the rough share of the variances."""
    precision = 1.0 / variances.double()  # 0 where a view has no say
    seen = (precision > 0).sum(0).clamp_min(1)
    squares = residual_px.square() * views * (precision.sum(0) / seen)
    known = (rough.double() * precision).sum(0) / seen
    return squares, (2.0 * views.double() - 3.0).clamp_min(1.0), known.clamp_max(1.0 - 1e-6)
