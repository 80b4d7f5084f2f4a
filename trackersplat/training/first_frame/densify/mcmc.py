"""Gaussians as samples of a Markov chain (Kheradmand et al., "3D Gaussian Splatting as Markov Chain Monte Carlo", 2024)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.quaternions import quaternion_to_matrix
from trackersplat.training.first_frame.densify.settings import DensifySettings, McmcSettings
from trackersplat.training.first_frame.densify.strategy import Fit, is_round, rounds_left
from trackersplat.training.optimiser import Correction


class McmcStrategy:
    """Noise on the means after every step; in every round, faint Gaussians move onto opaque ones and more of these are added.

    DensifyStrategy "mcmc". Moved and added Gaussians share what the opaque one was, so that the picture hardly changes. Meant to go
    with the penalties on opacity and scale of `Regularisation`, which keep Gaussians dying.
    """

    def __init__(self, settings: DensifySettings) -> None:
        self._settings = settings
        self._noise: torch.Generator | None = None  # on the device: every step needs many numbers

    @torch.no_grad()
    def after_step(self, fit: Fit, step: int, correct: Correction | None) -> None:
        settings = self._settings
        if is_round(settings, step, fit.steps):
            relocate(fit, settings, rounds_left(settings, step, fit.steps))
        if settings.mcmc.noise > 0:
            gaussians = fit.optimiser.gaussians().detach()
            if self._noise is None:
                self._noise = torch.Generator(gaussians.device).manual_seed(fit.generator.initial_seed())
            fit.optimiser.shift("means", wander(gaussians, settings.mcmc, fit.optimiser.means_rate, self._noise))


def relocate(fit: Fit, settings: DensifySettings, rounds: int) -> None:
    """Removes the faint and makes copies of others, drawn with a probability proportional to their opacity, up to the cap.

    ``rounds`` are those left, this one included: what is missing to the cap is added in equal parts, at least ``settings.share``.
    """
    gaussians = fit.optimiser.gaussians().detach()
    opacities = gaussians.opacities
    alive = torch.nonzero(opacities > settings.min_opacity)[:, 0]
    if not len(alive):
        return
    now = min(len(gaussians), settings.cap)
    wanted = min(settings.cap, now + max(int(settings.share * now), (settings.cap - now) // max(rounds, 1)))
    missing = max(wanted - len(alive), 0)
    if not missing:
        keep = alive if len(alive) <= settings.cap else alive[torch.topk(opacities[alive], settings.cap).indices.sort().values]
        fit.optimiser.rebuild(keep, gaussians[alive[:0]])
        return
    drawn = torch.multinomial(opacities[alive].cpu(), missing, replacement=True, generator=fit.generator)
    copies = torch.bincount(drawn, minlength=len(alive)).clamp(max=settings.mcmc.most_copies - 1).to(alive.device)
    source = copies > 0
    shared = divided(gaussians[alive[source]], copies[source] + 1, settings.mcmc)
    fit.optimiser.rebuild(
        alive[~source], shared[torch.repeat_interleave(torch.arange(len(shared), device=alive.device), copies[source] + 1)]
    )


def divided(gaussians: Gaussians, counts: Tensor, settings: McmcSettings) -> Gaussians:
    """What each of ``counts`` (N,) copies at one place must be to look like the one Gaussian they replace (equation 9).

    The opacities satisfy ``(1 - o_new)^n = 1 - o``. The sizes keep the integral of the blended alpha along a line through the centre:
    ``s_new = s o / sum_{i=1..n} sum_{k=0..i-1} binom(i-1, k) (-1)^k o_new^(k+1) / sqrt(k+1)``.
    """
    old = gaussians.opacities.double().clamp(max=settings.most_opaque)
    new = -torch.expm1(torch.log1p(-old) / counts)
    most = int(counts.max()) if len(counts) else 1
    # the sum over i of binom(i - 1, k) is binom(n, k + 1)
    total = torch.zeros_like(new)
    for k in range(most):
        binomial = _binomial(counts, k + 1)
        total += binomial * (-1) ** k * new ** (k + 1) / math.sqrt(k + 1)
    log_scales = gaussians.log_scales + torch.log(old / total).float()[:, None]
    return Gaussians(gaussians.means, gaussians.quats, log_scales, torch.logit(new).float(), gaussians.sh)


def wander(gaussians: Gaussians, settings: McmcSettings, rate: float, generator: torch.Generator) -> Tensor:
    """(N, 3) random shifts: normal noise shaped by the covariance, only of Gaussians too faint to matter (equation 8).

    ``rate``: step size of the means in scene units.
    """
    noise = torch.randn(gaussians.means.shape, generator=generator, device=gaussians.device)
    axes = quaternion_to_matrix(gaussians.quats)
    faint = torch.sigmoid(-settings.steep * (gaussians.opacities - settings.faint))
    along = torch.einsum("nji,nj->ni", axes, noise) * gaussians.scales**2
    return settings.noise * rate * faint[:, None] * torch.einsum("nij,nj->ni", axes, along)


def _binomial(n: Tensor, k: int) -> Tensor:
    """(N,) float64 ``binom(n, k)``, 0 where k > n."""
    n = n.double()
    value = torch.exp(torch.lgamma(n + 1) - math.lgamma(k + 1) - torch.lgamma((n - k).clamp(min=0) + 1))
    return torch.where(n >= k, torch.round(value), torch.zeros_like(value))
