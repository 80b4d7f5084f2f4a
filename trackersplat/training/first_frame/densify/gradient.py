"""The densification of 3DGS (Kerbl et al. 2023): more Gaussians where the loss pulls hard at their place on the screen."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians, concatenate
from trackersplat.geometry.quaternions import quaternion_to_matrix
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.first_frame.densify.strategy import Fit, is_round
from trackersplat.training.optimiser import Correction


class GradientStrategy:
    """Doubles small and splits large Gaussians whose mean screen-space gradient is above a threshold: DensifyStrategy "default".

    The gradient on the screen is computed from that of the means in space, so every back end serves.
    """

    def __init__(self, settings: DensifySettings) -> None:
        self._settings = settings
        self._sum = self._views = torch.zeros(0)

    @torch.no_grad()
    def after_step(self, fit: Fit, step: int, correct: Correction | None) -> None:
        settings = self._settings
        if step <= settings.until * fit.steps:
            gradient = screen_gradient(fit.optimiser.gaussians().means, fit.optimiser.gradient("means"), fit.views.cameras[fit.views.drawn])
            length = gradient.norm(dim=1)
            if len(self._sum) != len(length):
                self._sum, self._views = torch.zeros_like(length), torch.zeros_like(length)
            self._sum += length
            self._views += length > 0
        if is_round(settings, step, fit.steps):
            refine(fit, settings, self._sum / self._views.clamp(min=1))
            self._sum = self._views = torch.zeros(0)
        if step % settings.gradient.reset_every == 0 and step <= settings.until * fit.steps:
            logits, most = fit.optimiser.gaussians().opacity_logits, settings.gradient.reset_opacity
            fit.optimiser.overwrite("opacity_logits", logits.clamp(max=math.log(most / (1 - most))))


def screen_gradient(means: Tensor, gradient: Tensor, camera: Camera) -> Tensor:
    """(N, 2) derivative by the projected positions in units of half the image's width and height, from that by the means (N, 3).

    Exact as far as a mean acts through where it projects to: of ``u = fx x / z + cx`` the derivative by x is ``fx / z``.
    """
    rotation = means.new_tensor(camera.rotation.tolist())
    depth = means @ rotation[2] + float(camera.translation[2])
    across = gradient @ rotation[:2].T
    half = means.new_tensor([camera.width / (2 * camera.fx), camera.height / (2 * camera.fy)])
    return across * depth.clamp(min=0)[:, None] * half


def refine(fit: Fit, settings: DensifySettings, gradient: Tensor) -> None:
    """One round for mean gradients (N,): removes the faint, then doubles or splits those above the threshold, as far as the cap allows."""
    gaussians = fit.optimiser.gaussians().detach()
    alive = gaussians.opacities > settings.min_opacity
    room = max(settings.cap - int(alive.sum()), 0)
    score = torch.where(alive & (gradient > settings.gradient.threshold), gradient, torch.zeros_like(gradient))
    grown = torch.topk(score, min(int((score > 0).sum()), room)).indices
    large = gaussians.scales.amax(dim=1)[grown] > settings.gradient.size * fit.extent
    split, doubled = grown[large], grown[~large]
    keep = alive.clone()
    keep[split] = False
    fit.optimiser.rebuild(
        torch.nonzero(keep)[:, 0], concatenate([gaussians[doubled], samples(gaussians[split], settings.gradient.shrink, fit.generator)])
    )


def samples(gaussians: Gaussians, shrink: float, generator: torch.Generator) -> Gaussians:
    """Two for each, drawn from its own distribution and smaller by the factor ``shrink``."""
    axes = quaternion_to_matrix(gaussians.quats)
    parts = []
    for _ in range(2):
        noise = torch.randn(gaussians.means.shape, generator=generator).to(gaussians.device)
        means = gaussians.means + torch.einsum("nij,nj->ni", axes, gaussians.scales * noise)
        log_scales = gaussians.log_scales - math.log(shrink)
        parts.append(Gaussians(means, gaussians.quats, log_scales, gaussians.opacity_logits, gaussians.sh))
    return concatenate(parts)
