"""All raw parameters of Gaussians in one block of memory, with one Adam whose rates differ by attribute and by Gaussian.

Unlike `optimiser.Optimiser` it never changes how many Gaussians there are, so nothing is copied or allocated between steps; one that is
replaced starts anew in its place.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import has_triton
from trackersplat.training.optimiser import LearningRates

_BETAS, _EPSILON = (0.9, 0.999), 1e-15  # of Adam, as in `Optimiser`


class ParameterBlock:
    """Gaussians under optimisation, in their order. ``pace`` (N,) times the rates is how fast each of them learns."""

    def __init__(self, gaussians: Gaussians, rates: LearningRates, extent: float, steps: int, pace: Tensor) -> None:
        self._rates, self._extent, self._steps, self._done = rates, extent, max(steps, 1), 0
        self.pace = pace
        shapes = {name: tensor.shape for name, tensor in gaussians.tensors().items()}
        self._flat = torch.cat([tensor.detach().reshape(-1) for tensor in gaussians.tensors().values()])
        self._parameters = {name: part.requires_grad_() for name, part in _parts(self._flat, shapes).items()}
        self._shapes = shapes
        self._first, self._second = torch.zeros_like(self._flat), torch.zeros_like(self._flat)
        self._moments = list(zip(_parts(self._first, shapes).values(), _parts(self._second, shapes).values(), strict=True))
        self._mean: Tensor | None = None
        self._counted = 0

    def gaussians(self) -> Gaussians:
        """The current state; differentiable, and changed by later steps."""
        return Gaussians(**self._parameters)

    def snapshot(self) -> Gaussians:
        """A copy of the current state."""
        return Gaussians(**_parts(self._flat.clone(), self._shapes))

    @property
    def means_gradient(self) -> Tensor:
        """(N, 3) of the last backward pass, to be added to."""
        gradient = self._parameters["means"].grad
        assert gradient is not None, "gradients are there after a backward pass"
        return gradient

    @torch.no_grad()
    def step(self) -> None:
        """One step down the gradients that a backward pass has left; they are gone then."""
        self._done += 1
        rates, progress = self._rates, min((self._done - 1) / self._steps, 1.0)
        means_rate = rates.means ** (1 - progress) * rates.means_end**progress * self._extent
        of = {"means": means_rate, "quats": rates.quats, "log_scales": rates.log_scales, "opacity_logits": rates.opacity_logits}
        correction = 1 - _BETAS[0] ** self._done
        root = (1 - _BETAS[1] ** self._done) ** 0.5
        for (name, parameter), (first, second) in zip(self._parameters.items(), self._moments, strict=True):
            if parameter.grad is None:
                continue
            rate, rest = (of[name], of[name]) if name in of else (rates.sh_dc, rates.sh_rest)
            count = len(parameter)
            adam_step(
                parameter.detach().view(count, -1), parameter.grad.reshape(count, -1), first.view(count, -1), second.view(count, -1), self.pace,
                rate=rate / correction, rate_rest=rest / correction, leading=3 if name == "sh" else parameter[0].numel(), root=root,
            )  # fmt: skip
            parameter.grad = None

    @torch.no_grad()
    def replace(self, indices: Tensor, others: Gaussians) -> None:
        """Others in the places ``indices`` (B,), with no moments, at full pace. The mean begins anew."""
        for (name, parameter), (first, second) in zip(self._parameters.items(), self._moments, strict=True):
            parameter.detach()[indices] = others.tensors()[name]
            first[indices], second[indices] = 0.0, 0.0
        self.pace[indices] = 1.0
        self._mean, self._counted = None, 0

    @torch.no_grad()
    def count_in_mean(self) -> None:
        """Adds the current state to the mean (see `averaging.MovingAverage`)."""
        self._counted += 1
        if self._mean is None:
            self._mean = self._flat.clone()
        else:
            self._mean.lerp_(self._flat, 1 / self._counted)

    def result(self) -> Gaussians:
        """A copy of the mean, or of the current state where nothing was counted."""
        return Gaussians(**_parts((self._flat if self._mean is None else self._mean).clone(), self._shapes))


def adam_step(
    values: Tensor,  # (N, W) float32, contiguous, changed in place
    gradient: Tensor,  # (N, W)
    first: Tensor,  # (N, W) first moment, changed in place
    second: Tensor,  # (N, W) second moment, changed in place
    pace: Tensor,  # (N,) times the rates
    *,
    rate: float,  # of the first ``leading`` columns, bias correction of the first moment included
    rate_rest: float,  # of the others
    leading: int,
    root: float,  # of the bias correction of the second moment
) -> None:
    """One step of Adam (Kingma and Ba 2015)."""
    if has_triton(values):
        from trackersplat.training.adam_triton import step

        step(
            values, gradient, first, second, pace, rate=rate, rate_rest=rate_rest, leading=leading, root=root, betas=_BETAS,
            epsilon=_EPSILON,
        )  # fmt: skip
        return
    first.lerp_(gradient, 1 - _BETAS[0])
    second.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
    change = first / (second.sqrt() / root + _EPSILON) * pace[:, None]
    change[:, :leading] *= rate
    change[:, leading:] *= rate_rest
    values -= change


def _parts(flat: Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Views of a block, by attribute."""
    parts = flat.split([shape.numel() for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
