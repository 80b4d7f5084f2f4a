"""Gaussians too faint to be seen are replaced by what appears: points where the views agree that something is that is not rendered.

The number of Gaussians and their order stay, so that files, motions and comparisons stay valid; only some indices stand for another
Gaussian from then on, and whoever follows one through time has to know them (`fit.FitDone.replaced`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.optimiser import Correction, TrainingViews
from trackersplat.training.refine.agreeing_points import AgreeingPoints, agreeing_points, wrong_pixels
from trackersplat.training.refine.compared_views import compare_views
from trackersplat.training.refine.settings import ReplaceFaintSettings

_VIEWS_AT_ONCE = 10  # rendered and compared together on a GPU, for memory
_CELL_BITS = 21  # per axis, of a cell of a grid: three fit a number of 64 bits


@dataclass(frozen=True, eq=False)
class Replacement:
    """Gaussians in the places of others. How many there are is on the device alone, so that the host need not wait for it."""

    indices: Tensor  # (K,) int64: those that are replaced, ascending, before those that are not
    others: Gaussians  # (K)
    valid: Tensor  # (K,) bool: whether this one is replaced

    def found(self) -> tuple[Tensor, Gaussians]:
        """Indices (B,) that are replaced, ascending, and the B others. Waits for the device."""
        count = int(self.valid.sum())
        return self.indices[:count], self.others[:count]


def replace_faint(
    gaussians: Gaussians,
    views: TrainingViews,
    rasterizer: Rasterizer,
    settings: ReplaceFaintSettings,
    seed: int,
    correct: Correction | None = None,
) -> tuple[Tensor, Gaussians]:
    """Indices (B,) int64, ascending, of the ``gaussians`` to replace, and the B others that replace them.

    The faintest are replaced first, and none that can be seen. Held-out cameras are not looked at.
    """
    replacement = find_replacement(gaussians, views, rasterizer, settings, seed, correct)
    if replacement is None:
        return torch.zeros(0, dtype=torch.long, device=gaussians.device), gaussians[:0]
    return replacement.found()


@torch.no_grad()
def find_replacement(
    gaussians: Gaussians,
    views: TrainingViews,
    rasterizer: Rasterizer,
    settings: ReplaceFaintSettings,
    seed: int,
    correct: Correction | None = None,
) -> Replacement | None:
    """As `replace_faint`; None where it is known at once that there is nothing to replace."""
    most = int(settings.share * len(gaussians))
    faint = (gaussians.opacities < settings.faint).sum()
    if not most or (faint.is_cpu and not faint):
        return None
    added, count = _appearing(gaussians, views, rasterizer, settings, seed, correct, None)
    most = min(most, len(added))
    indices = gaussians.opacity_logits.argsort(stable=True)[:most]
    valid = torch.arange(most, device=indices.device) < torch.minimum(count, faint)
    indices = torch.where(valid, indices, indices + len(gaussians)).sort().values % len(gaussians)
    return Replacement(indices=indices, others=added[:most], valid=valid)


@torch.no_grad()
def appearing(
    gaussians: Gaussians,
    views: TrainingViews,
    rasterizer: Rasterizer,
    settings: ReplaceFaintSettings,
    seed: int,
    correct: Correction | None = None,
    at_once: int | None = None,
) -> Gaussians:
    """Small round Gaussians for what the training views show and the ``gaussians`` do not, those first that the views agree on best.

    Of the points of a ray the best one is taken (`agreeing_points`), and of those that lie within a pixel of each other the best.

    ``at_once``: views that are rendered and compared together; many need fewer launches, few less memory. By default as the device likes.
    """
    found, count = _appearing(gaussians, views, rasterizer, settings, seed, correct, at_once)
    return found[: int(count)]


def _appearing(
    gaussians: Gaussians,
    views: TrainingViews,
    rasterizer: Rasterizer,
    settings: ReplaceFaintSettings,
    seed: int,
    correct: Correction | None,
    at_once: int | None,
) -> tuple[Gaussians, Tensor]:
    """See `appearing`. Also how many of the Gaussians count: a scalar."""
    device = gaussians.device
    if at_once is None:
        at_once = _VIEWS_AT_ONCE if device.type == "cuda" else 1
    compared = compare_views(gaussians, views, rasterizer, correct, at_once)
    pixels = wrong_pixels(compared, settings.error, settings.rays, torch.Generator(device).manual_seed(seed))
    points = agreeing_points(compared, pixels, settings)
    order, count = _apart(points)
    coefficients = gaussians.sh.shape[1]
    return _gaussians(points.means[order], points.colours[order], points.sizes[order], coefficients, settings), count


def _apart(points: AgreeingPoints) -> tuple[Tensor, Tensor]:
    """Indices (R,), first those of least cost in their cell of a grid of the median size, cheapest first; and how many these are."""
    exists = points.costs < torch.inf
    if not len(exists):
        return torch.zeros(0, dtype=torch.long, device=exists.device), exists.sum()
    order = points.costs.argsort(stable=True)
    ascending = torch.where(exists, points.sizes, torch.inf).sort().values
    size = ascending.index_select(0, ((exists.sum() - 1) // 2).clamp_min(0)[None])  # `nanmedian` waits for the device
    cells = torch.where(exists[:, None], points.means / size, torch.inf).floor()[order]
    cells = (cells - cells.amin(0)).clamp(0, 2**_CELL_BITS - 1).long()  # those of none are the last ones of the grid
    numbers, place = ((cells[:, 0] << 2 * _CELL_BITS) | (cells[:, 1] << _CELL_BITS) | cells[:, 2]).sort(stable=True)
    new = torch.ones_like(exists)
    new[1:] = numbers[1:] != numbers[:-1]
    best = torch.zeros_like(exists).scatter_(0, place, new) & exists[order]
    return order[(~best).long().argsort(stable=True)], best.sum()


def _gaussians(means: Tensor, colours: Tensor, sizes: Tensor, coefficients: int, settings: ReplaceFaintSettings) -> Gaussians:
    count, opacity = len(means), settings.opacity
    quats, sh = means.new_zeros((count, 4)), means.new_zeros((count, coefficients, 3))
    quats[:, 0] = 1
    sh[:, 0] = (colours - 0.5) / SH_C0
    log_scales = torch.log(settings.width * sizes)[:, None].repeat(1, 3)
    return Gaussians(means, quats, log_scales, means.new_full((count,), math.log(opacity / (1 - opacity))), sh)
