"""Which Gaussians did not move."""

from __future__ import annotations

import torch
from torch import Tensor

_AGREEMENT = 0.8  # share of the views' say that must call a Gaussian still
_CONFIRMED = 0.5  # the same, where the triangulated motion confirms it


def still(
    moved_px: Tensor,  # (V, N) motion of the mean, or of the footprint's rim if that is more
    variances: Tensor,  # (V, N) px^2; inf where a view has no say
    shown: Tensor,  # (V, N) bool: the view sees the Gaussian in the base frame
    solved_px: Tensor,  # (N,) motion of the triangulated mean in pixels, carried motion included; nan where there is none
    threshold_px: float,
    minimum_views: int,
) -> Tensor:  # (N,) bool
    """A Gaussian is still if the views that saw it say so, and its motion in space, where known, does not contradict.

    Views are weighted by their precision, so one view in which a track jumped does not set a wall in motion. Views that
    saw it but lost it speak against it, because what stays stays in sight: fewer than half may have, unless the
    triangulated motion confirms that it stays. That motion pools all views and carries what earlier batches withheld:
    motion that stays below the threshold from batch to batch adds up there until it is let through.
    """
    has_say = torch.isfinite(variances) & (variances > 0)
    say = torch.where(has_say, 1.0 / variances.clamp_min(1e-12), 0.0)
    confirmed = solved_px <= threshold_px
    needed = torch.where(confirmed, _CONFIRMED, _AGREEMENT)
    calm = (say * (moved_px <= threshold_px)).sum(0) >= needed * say.sum(0)
    kept = 2 * (has_say & shown).sum(0) > shown.sum(0)
    return calm & (kept | confirmed) & (has_say.sum(0) >= minimum_views) & ~(solved_px > threshold_px)
