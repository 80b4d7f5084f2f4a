"""Which Gaussians did not move."""

from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.motion.ops.triangulate import Triangulation, trusted
from trackersplat.motion.settings import MotionSettings

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


def still_and_trusted(
    solved: Triangulation,
    moved_px: Tensor,  # (V, N), this and the next two as in `still`
    variances: Tensor,
    shown: Tensor,
    earlier: Tensor,  # (N, 3) scene units: motion before this one that counts, too
    pixel: Tensor,  # (N,) scene units
    settings: MotionSettings,
) -> tuple[Tensor, Tensor]:
    """(N,) bool each: the Gaussians that are still by their triangulation, and those whose triangulation is to be trusted, still or not."""
    believed = trusted(solved, settings)
    shift = torch.where(believed[:, None], solved.translation, 0.0) + earlier
    solved_px = torch.where(believed, shift.norm(dim=-1) / pixel, torch.nan)
    return still(moved_px, variances, shown, solved_px, settings.static_px, settings.minimum_views), believed
