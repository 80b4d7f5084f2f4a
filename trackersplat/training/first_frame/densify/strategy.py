"""The interface of everything that adds, moves and removes Gaussians between two optimisation steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.optimiser import Correction, Optimiser, TrainingViews

StrategyName = Literal["error", "mcmc", "default"]


@dataclass(frozen=True)
class DensifySettings:
    """When and how much. What only one strategy reads is named after it."""

    strategy: StrategyName = "error"
    every: int = 100  # steps between two rounds
    share: float = 0.1  # of the Gaussians that a round of "error" splits and one of "mcmc" adds, at least
    until: float = 0.7  # no rounds after this part of the steps
    cap: int = 30_000  # Gaussians at most
    min_opacity: float = 0.02  # fainter ones are removed, or moved to where others are
    mcmc_noise: float = 5e4  # strength of the noise on the means, of the learning rate of the means times the covariance
    default_gradient: float = 2e-4  # mean gradient of the loss by the position in half image sizes, from which on a Gaussian is too coarse
    default_size: float = 0.01  # of the scene extent: larger ones are split, smaller ones doubled
    default_reset: int = 3000  # steps between two resets of the opacities


@dataclass(frozen=True)
class Fit:
    """The optimisation that a strategy works on."""

    optimiser: Optimiser
    views: TrainingViews
    rasterizer: Rasterizer
    extent: float  # of the scene, as `scene_extent` gives it
    steps: int  # of the whole optimisation
    generator: torch.Generator  # on the CPU, so that every device draws the same numbers


class DensifyStrategy(Protocol):
    """May change the Gaussians of ``fit.optimiser`` in any way, as long as there are at most ``DensifySettings.cap`` of them.

    One object serves one optimisation and may remember what it saw. Only training views are looked at.
    """

    def after_step(self, fit: Fit, step: int, correct: Correction | None) -> None:
        """Called after every step, counted from 1. ``fit.views.drawn`` is its view and ``fit.optimiser.gradient`` has its gradients."""
        ...


def is_round(settings: DensifySettings, step: int, steps: int) -> bool:
    """Whether the Gaussians change after this step."""
    return step % settings.every == 0 and step <= settings.until * steps


def rounds_left(settings: DensifySettings, step: int, steps: int) -> int:
    """How many rounds follow from this step on, this one included."""
    return int(settings.until * steps - step) // settings.every + 1
