"""Gaussians where the picture is wrong: more where errors gather, none where nothing is seen."""

from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.gaussians.gaussians import Gaussians, concatenate
from trackersplat.geometry.quaternions import quaternion_to_matrix
from trackersplat.rendering.lift import lift
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.first_frame.densify.settings import DensifySettings, ErrorSettings
from trackersplat.training.first_frame.densify.strategy import Fit, is_round, rounds_left
from trackersplat.training.optimiser import Correction, TrainingViews


class ErrorStrategy:
    """Splits where the training views are wrong: DensifyStrategy "error"."""

    def __init__(self, settings: DensifySettings) -> None:
        self._settings = settings

    def after_step(self, fit: Fit, step: int, correct: Correction | None) -> None:
        if is_round(self._settings, step, fit.steps):
            densify(fit, self._settings, rounds_left(self._settings, step, fit.steps), correct)


@torch.no_grad()
def densify(fit: Fit, settings: DensifySettings, rounds: int, correct: Correction | None = None) -> None:
    """One round: removes faint and unseen Gaussians and splits those that blend into the largest errors, up to the cap.

    ``rounds`` are those left, this one included. Splitting by error does better on held-out views than splitting at random or by
    visibility.
    """
    gaussians = fit.optimiser.gaussians().detach()
    error, seen = blended_error(gaussians, fit.views, fit.rasterizer, correct)
    keep = (gaussians.opacities > settings.min_opacity) & (seen > 0)
    left = int(keep.sum())
    room = max(settings.cap - left, 0)
    count = min(max(int(settings.share * left), room // max(rounds, 1)), room, left)
    score = torch.where(keep, error, torch.full_like(error, -1.0))
    split = torch.topk(score, count).indices
    stays = keep.clone()
    stays[split] = False
    kept = torch.nonzero(stays)[:, 0]
    fit.optimiser.rebuild(kept, halves(gaussians[split], settings.error, fit.generator))


def blended_error(
    gaussians: Gaussians, views: TrainingViews, rasterizer: Rasterizer, correct: Correction | None = None
) -> tuple[Tensor, Tensor]:
    """(N,) sums over all training views of the absolute pixel error each Gaussian blends into, and of its weights."""
    total = torch.zeros((len(gaussians), 2), device=gaussians.device)
    for view, camera in enumerate(views.cameras):
        with torch.no_grad():
            color = rasterizer.render(gaussians, [camera]).color[0]
            if correct is not None:
                color = correct(view, color)
        error = (color - views.image(view)[0]).abs().mean(dim=2)
        total += lift(rasterizer, gaussians, [camera], torch.stack((error, torch.ones_like(error)), dim=2)[None])[0]
    return total[:, 0], total[:, 1]


def halves(gaussians: Gaussians, settings: ErrorSettings, generator: torch.Generator) -> Gaussians:
    """Two for each: moved apart along its longest axis, and shorter along it."""
    longest = gaussians.log_scales.argmax(dim=1)
    axis = quaternion_to_matrix(gaussians.quats)[torch.arange(len(gaussians), device=gaussians.device), :, longest]
    length = gaussians.scales.gather(1, longest[:, None])
    offset = axis * length * settings.apart
    log_scales = gaussians.log_scales.clone()
    log_scales.scatter_add_(1, longest[:, None], torch.full_like(length, -settings.shorter))
    parts = []
    for sign in (1.0, -1.0):
        jitter = torch.randn(gaussians.means.shape, generator=generator).to(gaussians.device)
        moved = gaussians.means + sign * offset + settings.jitter * length * jitter
        parts.append(Gaussians(moved, gaussians.quats, log_scales, gaussians.opacity_logits, gaussians.sh))
    return concatenate(parts)
