"""All raw parameters of Gaussians in one block of memory, with one Adam whose rates differ by attribute and by Gaussian.

Unlike `optimiser.Optimiser` it never changes how many Gaussians there are, so nothing is copied or allocated between steps; one that is
replaced starts anew in its place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import has_triton, uploaded
from trackersplat.training.optimiser import MOMENTUM, LearningRates, warm_up_share

_SQUARES, _EPSILON = 0.999, 1e-15  # of Adam, as in `Optimiser`


@dataclass(frozen=True, eq=False)
class AdamState:
    """Numbers under optimisation, one attribute after the other, and how far Adam is with them. All of it is changed in place."""

    values: Tensor  # float32
    first: Tensor  # like the values: first moment
    second: Tensor  # second moment
    mean: Tensor  # of the values after each step that counts
    pace: Tensor  # (N,) times the rates; 0 changes nothing of a Gaussian, moments included
    schedule: Tensor  # (S, 8) float32: see `_schedule`
    done: Tensor  # (1,) int64: steps that were made
    counted_after: Tensor  # (1,) int64: steps that do not count


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
        average: float = 0.0,
    ) -> None:
        """``pace`` (N,) times the rates is how fast each of them learns; at 0 it stays as it is. The result is the mean over the last
        part ``average`` of the steps (see `averaging.MovingAverage`). The rest is as in `Optimiser`."""
        self._momentum = momentum
        self._shapes = {name: tensor.shape for name, tensor in gaussians.tensors().items()}
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in gaussians.tensors().values()])
        self._parameters = {name: part.requires_grad_() for name, part in _parts(flat, self._shapes).items()}
        done = torch.zeros(1, dtype=torch.long, device=pace.device)
        self._state = AdamState(
            values=flat,
            first=torch.zeros_like(flat),
            second=torch.zeros_like(flat),
            mean=torch.zeros_like(flat),
            pace=pace.clone(),
            schedule=uploaded(_schedule(rates, extent, max(steps, 1), momentum, warm_up), pace.device, torch.float32),
            done=done,
            counted_after=torch.full_like(done, math.floor((1 - average) * steps)),
        )

    @property
    def done(self) -> Tensor:
        """(1,) int64: steps that were made."""
        return self._state.done

    def gaussians(self) -> Gaussians:
        """The current state; differentiable, and changed by later steps."""
        return Gaussians(**self._parameters)

    def snapshot(self) -> Gaussians:
        """A copy of the current state."""
        return Gaussians(**_parts(self._state.values.clone(), self._shapes))

    def gradients(self, outcome: Tensor, gradient: Tensor) -> list[Tensor]:
        """Of each attribute, for the ``gradient`` of something that was computed from `gaussians`."""
        parameters = list(self._parameters.values())
        found = torch.autograd.grad(outcome, parameters, gradient, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step down the gradients (of each attribute). Nothing of it depends on the host, so it can be recorded."""
        state = self._state
        adam_step(state, [gradient.reshape(len(state.pace), -1) for gradient in gradients], leading=3, momentum=self._momentum)
        state.done.add_(1)

    @torch.no_grad()
    def replace(self, indices: Tensor, others: Gaussians, valid: Tensor) -> None:
        """Others (K) in the places ``indices`` (K,), with no moments, at full pace, where ``valid`` (K,) bool. The mean begins anew if one
        is. Nothing of it depends on the host."""
        state = self._state
        parts = (_parts(block, self._shapes) for block in (state.values, state.first, state.second))
        for (name, values), *moments in zip(*(part.items() for part in parts), strict=True):
            rows = valid.view(-1, *(1,) * (values.ndim - 1))
            values[indices] = torch.where(rows, others.tensors()[name], values[indices])
            for _, moment in moments:
                moment[indices] = torch.where(rows, 0.0, moment[indices])
        state.pace[indices] = torch.where(valid, 1.0, state.pace[indices])
        state.counted_after.copy_(torch.maximum(state.counted_after, state.done * valid.any()))

    @torch.no_grad()
    def result(self) -> Gaussians:
        """A copy of the mean, or of the current state where nothing was counted."""
        state = self._state
        return Gaussians(**_parts(torch.where(state.done > state.counted_after, state.mean, state.values), self._shapes))


def adam_step(
    state: AdamState,
    gradients: Sequence[Tensor],  # of each of the five attributes, (N, W)
    *,
    leading: int,  # columns of the last attribute that have a rate of their own
    momentum: float = MOMENTUM,  # decay of the first moment
) -> None:
    """One step of Adam (Kingma and Ba 2015), and the mean over what counts. ``done`` stays as it is."""
    betas = momentum, _SQUARES
    values, first, second, pace = state.values, state.first, state.second, state.pace
    if has_triton(values):
        from trackersplat.training.adam_triton import step

        step(
            values, gradients, first, second, state.mean, pace, schedule=state.schedule, done=state.done,
            counted_after=state.counted_after, leading=leading, betas=betas, epsilon=_EPSILON,
        )  # fmt: skip
        return
    row = state.schedule.index_select(0, state.done.clamp_max(len(state.schedule) - 1))[0]
    rates, corrections = row[:6], row[6:]
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
    counted = (state.done + 1 - state.counted_after).clamp_min(0)
    state.mean.lerp_(values, torch.where(counted > 0, 1 / counted.clamp_min(1), 0.0))


def _schedule(rates: LearningRates, extent: float, steps: int, momentum: float, warm_up: int) -> list[list[float]]:
    """(steps, 8): of every step the rates of means, quats, log_scales, opacity_logits and harmonics, of degree 0 and the rest,
    and by what Adam divides its two moments."""
    rows = []
    for done in range(steps):
        progress, share = done / steps, warm_up_share(done, warm_up)
        means = rates.means ** (1 - progress) * rates.means_end**progress * extent
        others = (rates.quats, rates.log_scales, rates.opacity_logits, rates.sh_dc, rates.sh_rest)
        corrections = (1 - decay ** (done + 1) for decay in (momentum, _SQUARES))
        rows.append([*(share * rate for rate in (means, *others)), *corrections])
    return rows


def _parts(flat: Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Views of a block, by attribute."""
    parts = flat.split([shape.numel() for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
