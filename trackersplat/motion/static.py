"""Which Gaussians did not move."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trackersplat.motion.ops.results import Triangulation
from trackersplat.motion.ops.triangulate import trusted
from trackersplat.motion.settings import MotionSettings, StaticSettings


def find_static(
    moved_px: Tensor,  # (V, N) motion of the mean, or of the footprint's rim if that is more
    variances: Tensor,  # (V, N) px^2; inf where a view's observation is not valid
    shown: Tensor,  # (V, N) bool: the view sees the Gaussian in the base frame
    solved_px: Tensor,  # (N,) motion of the triangulated mean in pixels, pending motion included; nan where there is none
    minimum_views: int,
    settings: StaticSettings,
) -> Tensor:  # (N,) bool
    """A Gaussian is static if the views that saw it agree on that, and its motion in space, where known, does not contradict.

    Views are weighted by their precision, so one view in which a track jumped does not set a wall in motion. Views that
    saw it but lost it speak against it, because static content stays in sight: fewer than half may have, unless the
    triangulated motion confirms that it stays. That motion pools all views and includes the pending translation of earlier batches:
    motion below the threshold adds up there from batch to batch until it is applied.
    """
    valid = torch.isfinite(variances) & (variances > 0)
    precision = torch.where(valid, 1.0 / variances.clamp_min(1e-12), 0.0)
    confirmed = solved_px <= settings.threshold_px
    needed = torch.where(confirmed, settings.confirmed_agreement, settings.agreement)
    calm = (precision * (moved_px <= settings.threshold_px)).sum(0) >= needed * precision.sum(0)
    kept = 2 * (valid & shown).sum(0) > shown.sum(0)
    return calm & (kept | confirmed) & (valid.sum(0) >= minimum_views) & ~(solved_px > settings.threshold_px)


class Verdict(NamedTuple):
    """What the triangulation of N Gaussians comes to."""

    is_static: Tensor  # (N,) bool
    trusted: Tensor  # (N,) bool: the triangulated motion counts, whether the Gaussian is static or not


def judge(
    solved: Triangulation,
    moved_px: Tensor,  # (V, N), this and the next two as in `find_static`
    variances: Tensor,
    shown: Tensor,
    pending: Tensor,  # (N, 3) scene units: motion before this one that counts, too
    pixel: Tensor,  # (N,) scene units
    settings: MotionSettings,
) -> Verdict:
    """Which Gaussians are static by their triangulation, and whose triangulation is to be trusted."""
    believed = trusted(solved, settings.triangulate)
    shift = torch.where(believed[:, None], solved.translation, 0.0) + pending
    solved_px = torch.where(believed, shift.norm(dim=-1) / pixel, torch.nan)
    is_static = find_static(moved_px, variances, shown, solved_px, settings.triangulate.minimum_views, settings.static)
    return Verdict(is_static=is_static, trusted=believed)
