"""All raw parameters of Gaussians in one block of memory, with one Adam whose rates differ by attribute and by Gaussian.

Unlike `optimiser.Optimiser` it never changes how many Gaussians there are, so nothing is copied or allocated between steps; one that is
replaced starts anew in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import has_triton
from trackersplat.training.optimiser import MOMENTUM, LearningRates, warm_up_share

_SQUARES, _EPSILON = 0.999, 1e-15  # of Adam, as in `Optimiser`


class ParameterBlock:
    """Gaussians under optimisation, in their order."""

    def __init__(
        self,
        gaussians: Gaussians,
        pace: Tensor,
        rates: LearningRates,
        extent: float,
        steps: int,
        momentum: float = MOMENTUM,
        warm_up: int = 0,
    ) -> None:
        """``pace`` (N,) times the rates is how fast each of them learns; at 0 it stays as it is. The rest is as in `Optimiser`."""
        self._momentum, self._warm_up = momentum, warm_up
        self._rates, self._extent, self._steps, self._done = rates, extent, max(steps, 1), 0
        self._pace = pace.clone()
        self._shapes = {name: tensor.shape for name, tensor in gaussians.tensors().items()}
        self._flat = torch.cat([tensor.detach().reshape(-1) for tensor in gaussians.tensors().values()])
        self._parameters = {name: part.requires_grad_() for name, part in _parts(self._flat, self._shapes).items()}
        self._first, self._second = torch.zeros_like(self._flat), torch.zeros_like(self._flat)
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
        progress, share = min(self._done / self._steps, 1.0), warm_up_share(self._done, self._warm_up)
        self._done += 1
        rates, count = self._rates, len(self._pace)
        others = (rates.quats, rates.log_scales, rates.opacity_logits, rates.sh_dc, rates.sh_rest)
        means = rates.means ** (1 - progress) * rates.means_end**progress * self._extent
        gradients = []
        for parameter in self._parameters.values():
            gradients.append((torch.zeros_like(parameter) if parameter.grad is None else parameter.grad).reshape(count, -1))
            parameter.grad = None
        adam_step(
            self._flat, gradients, self._first, self._second, self._pace,
            rates=[share * rate for rate in (means, *others)], leading=3, steps=self._done, momentum=self._momentum,
        )  # fmt: skip

    @torch.no_grad()
    def replace(self, indices: Tensor, others: Gaussians) -> None:
        """Others in the places ``indices`` (B,), with no moments, at full pace. The mean begins anew."""
        parts = (_parts(block, self._shapes) for block in (self._flat, self._first, self._second))
        for (name, values), first, second in zip(*(part.items() for part in parts), strict=True):
            values[indices] = others.tensors()[name]
            first[1][indices], second[1][indices] = 0.0, 0.0
        self._pace[indices] = 1.0
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
    values: Tensor,  # float32, one attribute after the other, changed in place
    gradients: Sequence[Tensor],  # of each of the five attributes, (N, W)
    first: Tensor,  # like the values: first moment, changed in place
    second: Tensor,  # second moment, changed in place
    pace: Tensor,  # (N,) times the rates; 0 changes nothing, moments included
    *,
    rates: Sequence[float],  # of each attribute, and of the columns of the last one after the ``leading`` ones
    leading: int,
    steps: int,  # this one included
    momentum: float = MOMENTUM,  # decay of the first moment
) -> None:
    """One step of Adam (Kingma and Ba 2015)."""
    betas = momentum, _SQUARES
    corrections = 1 - betas[0] ** steps, 1 - betas[1] ** steps
    if has_triton(values):
        from trackersplat.training.adam_triton import step

        step(values, gradients, first, second, pace, rates=rates, leading=leading, corrections=corrections, betas=betas, epsilon=_EPSILON)
        return
    sizes = [gradient.numel() for gradient in gradients]
    chosen = pace != 0
    own = pace[chosen, None]
    for index, (gradient, part, m, v) in enumerate(zip(gradients, *(x.split(sizes) for x in (values, first, second)), strict=True)):
        part, m, v = (x.view(gradient.shape) for x in (part, m, v))
        g = gradient[chosen]
        m[chosen] = m[chosen].lerp(g, 1 - betas[0])
        v[chosen] = betas[1] * v[chosen] + (1 - betas[1]) * g * g
        change = own / corrections[0] * m[chosen] / ((v[chosen] / corrections[1]).sqrt() + _EPSILON)
        if index == len(gradients) - 1:
            change[:, :leading] *= rates[index]
            change[:, leading:] *= rates[index + 1]
        else:
            change *= rates[index]
        part[chosen] -= change


def _parts(flat: Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Views of a block, by attribute."""
    parts = flat.split([shape.numel() for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
