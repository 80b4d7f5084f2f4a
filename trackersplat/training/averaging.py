"""The mean over the last steps, which varies less from view to view than any single state."""

from __future__ import annotations

import torch

from trackersplat.gaussians.gaussians import Gaussians


class MovingAverage:
    """Mean of the raw parameters over states of the same Gaussians in the same order, each step counting as much.

    Steps of Adam at a constant rate end somewhere around a minimum; the mean of the last ones lies nearer to it
    (Polyak and Juditsky 1992; Izmailov et al. 2018).
    """

    def __init__(self) -> None:
        self._mean: Gaussians | None = None
        self._count = 0

    @torch.no_grad()
    def add(self, gaussians: Gaussians) -> None:
        """Counts one state; one of another number of Gaussians than before is the first of a new mean."""
        state = gaussians.detach()
        self._count = self._count + 1 if self._mean is not None and len(self._mean) == len(state) else 1
        if self._count == 1:
            self._mean = Gaussians(**{name: tensor.clone() for name, tensor in state.tensors().items()})
            return
        assert self._mean is not None
        for name, mean in self._mean.tensors().items():
            mean.lerp_(state.tensors()[name], 1 / self._count)

    @torch.no_grad()
    def mean(self) -> Gaussians | None:
        """A copy; None before the first state. Quaternions are averaged as they are: those of one Gaussian keep their sign."""
        if self._mean is None:
            return None
        return Gaussians(**{name: tensor.clone() for name, tensor in self._mean.tensors().items()})
