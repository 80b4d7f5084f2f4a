"""Gaussians that a step leaves out at random, so that those behind them are seen, too."""

from __future__ import annotations

from dataclasses import replace

import torch

from trackersplat.gaussians.gaussians import Gaussians

LEAST_OPAQUE, MOST_OPAQUE = 1e-12, 0.999  # of a compensated opacity, whose logit and its gradient stay finite


class RandomDrop:
    """An `optimiser.Objective.thin`, after DropGaussian (Park, Ryu and Kim, CVPR 2025).

    Few views leave it to chance which of the Gaussians along a ray explain a pixel. Those behind an opaque one get no gradient, and
    another camera shows what they happen to be. Step t of T leaves out each Gaussian with the probability r = ``last`` t / T, and divides
    the opacities of the others by 1 - r, so that the mean alpha of a faint Gaussian stays the same.
    """

    def __init__(self, last: float, steps: int, seed: int) -> None:
        self._last, self._steps = last, max(steps, 1)
        self._random = torch.Generator().manual_seed(seed)  # on the CPU, so that every device draws the same numbers

    def __call__(self, step: int, gaussians: Gaussians) -> Gaussians:
        """Those that are left in this step, counted from 0; differentiable."""
        share = self._last * step / self._steps
        keep = torch.rand(len(gaussians), generator=self._random) >= share
        left = gaussians[torch.nonzero(keep)[:, 0].to(gaussians.device)]
        opacities = (left.opacities / (1 - share)).clamp(LEAST_OPAQUE, MOST_OPAQUE)
        return replace(left, opacity_logits=torch.logit(opacities))
