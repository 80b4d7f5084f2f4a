"""Few steps per frame: mends what moving the Gaussians by tracks left wrong, appearance included."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians, concatenate
from trackersplat.rendering.rasterizer import Rasterizer, Rendering
from trackersplat.training.averaging import MovingAverage
from trackersplat.training.optimiser import LearningRates, Optimiser, TrainingViews, optimise, scene_extent
from trackersplat.training.photometric import ColourAffines
from trackersplat.training.progress import Progress
from trackersplat.training.refine.replace_faint import ExchangeSettings, exchange
from trackersplat.training.refine.stiffness import Stiffness


@dataclass(frozen=True)
class RefineSettings:
    """How a moved frame is refined."""

    steps: int = 100
    # The motion turns Gaussians better than a few images do; their colours change more than their places.
    rates: LearningRates = field(default_factory=lambda: LearningRates(quats=6e-3, sh_dc=1e-2))
    static_pace: float = 0.02  # of the static, whose places are known: they learn from every frame a little, and flicker less than the rest
    average: float = 0.2  # the result is the mean over this last part of the steps: single views pull less at it, and it flickers less
    stiffness: float = 0.01  # weight of `Stiffness`: neighbours are corrected alike; 0 leaves it out
    exchange: ExchangeSettings = field(default_factory=ExchangeSettings)  # of faint Gaussians for what appears
    report_every: int = 10  # steps between two records
    seed: int = 0

    def unmoved(self) -> RefineSettings:
        """For Gaussians that no motion has moved before: images alone must bring each to its place, so it is not held back.

        Nor is it averaged: until the last step it is on its way. And nothing is exchanged: whatever has moved seems to appear.
        """
        rates, exchange = replace(self.rates, quats=LearningRates.quats), replace(self.exchange, share=0.0)
        return replace(self, stiffness=0.0, average=0.0, rates=rates, exchange=exchange)

    @staticmethod
    def for_device(device: str) -> RefineSettings:
        """Defaults that suit a "cpu" or a "cuda" device."""
        return RefineSettings(steps=100 if torch.device(device).type == "cpu" else 200)


def refine_frame(
    moved: Gaussians,
    static: Tensor,
    capture: Capture,
    frame: int,
    rasterizer: Rasterizer,
    settings: RefineSettings,
    colours: ColourAffines | None = None,
) -> Iterator[Progress]:
    """Optimises the Gaussians against the training images of ``frame``, one view per step; the ``static`` (N,) bool ones at their own pace.

    Neighbours are corrected alike (`Stiffness`): left alone, images push each along its surface to wherever its colour fits best, and
    what the tracks knew about where points are is lost.
    ``colours`` of the first frame are applied as they are. The result has the same Gaussians in the same order, but for those that were too
    faint to be seen and are exchanged for what appears (`exchange`): ``Progress.born``. Held-out cameras are not looked at. Ends with a
    record of ``step == steps`` that carries the result, also when there is nothing to do.

    Raises ShapeError if ``static`` does not fit.
    """
    if static.shape != (len(moved),) or static.dtype != torch.bool:
        raise ShapeError(f"refine_frame() needs a bool mask for {len(moved)} Gaussians, got {tuple(static.shape)} {static.dtype}.")
    moved = moved.detach().to(rasterizer.device)
    static = static.to(rasterizer.device)
    if settings.steps < 1 or not len(moved):
        yield Progress(settings.steps, settings.steps, math.nan, moved)
        return
    moving, still = (torch.nonzero(chosen)[:, 0] for chosen in (~static, static))
    places = torch.argsort(torch.cat((moving, still)))
    views = TrainingViews(capture, frame, rasterizer.device, settings.seed)
    extent = scene_extent(views.cameras)
    optimiser = Optimiser(moved[moving], settings.rates, extent, settings.steps)
    resting = Optimiser(moved[still], settings.rates.slower(settings.static_pace), extent, settings.steps)

    def correct(view: int, color: Tensor) -> Tensor:
        return color if colours is None else colours.apply(views.cameras[view].name, color)

    def penalty(view: int, gaussians: Gaussians, rendering: Rendering) -> Tensor:
        return gaussians.means.new_zeros(()) if stiffness is None else stiffness(view, gaussians, rendering)

    stiffness = Stiffness(moved, moving, settings.stiffness) if settings.stiffness > 0 else None
    average = MovingAverage()
    born = moving[:0]
    losses: list[Tensor] = []
    for step, loss in enumerate(optimise(optimiser, views, rasterizer, settings.steps, resting, correct, penalty), start=1):
        losses.append(loss)
        if step == math.ceil(settings.exchange.after * settings.steps) and step < settings.steps:
            state = concatenate([optimiser.gaussians(), resting.gaussians()]).detach()[places]
            born, added = exchange(state, views, rasterizer, settings.exchange, settings.seed, correct)
            if len(born):
                stays = [torch.nonzero(~torch.isin(those, born))[:, 0] for those in (moving, still)]
                optimiser.rebuild(stays[0], added)
                resting.rebuild(stays[1], added[:0])
                moving, still = moving[stays[0]], still[stays[1]]
                places = torch.argsort(torch.cat((moving, born, still)))
                average = MovingAverage()  # of what was there before it knows nothing
                stiffness = Stiffness(moved, moving, settings.stiffness) if settings.stiffness > 0 else None
        if step > (1 - settings.average) * settings.steps:
            average.add(concatenate([optimiser.gaussians(), resting.gaussians()]))
        if step % settings.report_every == 0 or step == settings.steps:
            state = average.mean() or concatenate([optimiser.gaussians(), resting.gaussians()]).detach()
            yield Progress(step, settings.steps, float(torch.stack(losses).mean()), state[places], born=born)
            losses = []
