"""The interface of everything that adds, moves and removes Gaussians between two optimisation steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.optimiser import Correction, Optimiser, TrainingViews


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
