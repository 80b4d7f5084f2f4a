"""Few steps of Adam per frame: corrects what moving the Gaussians by tracks left wrong, appearance included."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from trackersplat.events import Event, StepDone
from trackersplat.gaussians.gaussians import Gaussians, concatenate
from trackersplat.rendering.rasterizer import Rendering
from trackersplat.training.averaging import MovingAverage
from trackersplat.training.fit import FitDone, FitState
from trackersplat.training.optimiser import Objective, Optimiser, TrainingViews, optimise, scene_extent
from trackersplat.training.refine.on_device import refine_on_device
from trackersplat.training.refine.replace_faint import replace_faint
from trackersplat.training.refine.settings import RefineSettings
from trackersplat.training.refine.stiffness import Stiffness
from trackersplat.training.refine.task import RefineTask


def refine(task: RefineTask) -> Iterator[Event]:
    """Optimises the Gaussians against the training images, one view per step; static ones at their own pace.

    Neighbours are corrected alike (`Stiffness`): left alone, images push each along its surface to wherever its colour fits best, and
    what the tracks knew about where points are is lost. The result has the same Gaussians in the same order, but for those that were too
    faint to be seen and are replaced by what appears (`replace_faint`): ``FitDone.replaced``.

    Yields events.StepDone and, after each of these but the last, fit.FitState; last fit.FitDone, also when there is nothing to do.
    """
    settings: RefineSettings = task.settings
    if task.rasterizer.device.type == "cuda" and settings.steps > 0 and len(task.moved):
        yield from refine_on_device(task)
        return
    frame, steps, colours, rasterizer = task.frame, settings.steps, task.colours, task.rasterizer
    start = task.moved.detach().to(rasterizer.device)
    is_static = task.is_static.to(rasterizer.device)
    moving, static = (torch.nonzero(chosen)[:, 0] for chosen in (~is_static, is_static))
    replaced = moving[:0]
    if steps < 1 or not len(start):
        yield FitDone(frame, start, colours, replaced)
        return
    order = torch.argsort(torch.cat((moving, static)))
    views = TrainingViews(task.capture, frame, rasterizer.device, settings.seed)
    extent = scene_extent(views.cameras)
    optimiser, beside = (
        Optimiser(start[those], settings.rates.slower(pace), extent, steps, settings.momentum, settings.warm_up)
        for those, pace in ((moving, settings.pace), (static, settings.pace * settings.static_pace))
    )

    def correct(view: int, color: Tensor) -> Tensor:
        return color if colours is None else colours.apply(views.cameras[view].name, color)

    def penalty(view: int, gaussians: Gaussians, rendering: Rendering) -> Tensor:
        return gaussians.means.new_zeros(()) if stiffness is None else stiffness(view, gaussians, rendering)

    def state() -> Gaussians:
        return concatenate([optimiser.gaussians(), beside.gaussians()])

    stiffness = Stiffness(start, moving, settings.stiffness) if settings.stiffness.weight > 0 else None
    average = MovingAverage()
    losses: list[Tensor] = []
    objective = Objective(settings.loss, correct, penalty)
    for step, loss in enumerate(optimise(optimiser, views, rasterizer, steps, objective, beside), start=1):
        losses.append(loss)
        if step == math.ceil(settings.replace_faint.after * steps) and step < steps:
            replaced, added = replace_faint(state().detach()[order], views, rasterizer, settings.replace_faint, settings.seed, correct)
            if len(replaced):
                stays = [torch.nonzero(~torch.isin(those, replaced))[:, 0] for those in (moving, static)]
                optimiser.rebuild(stays[0], added)
                beside.rebuild(stays[1], added[:0])
                moving, static = moving[stays[0]], static[stays[1]]
                order = torch.argsort(torch.cat((moving, replaced, static)))
                average = MovingAverage()  # the states before are of other Gaussians
                stiffness = Stiffness(start, moving, settings.stiffness) if settings.stiffness.weight > 0 else None
        if step > (1 - settings.average) * steps:
            average.add(state())
        if step % settings.report_every == 0 or step == steps:
            result = (average.mean() or state().detach())[order]
            yield StepDone(frame, step, steps, float(torch.stack(losses).mean()), len(result))
            losses = []
            if step == steps:
                yield FitDone(frame, result, colours, replaced)
            else:
                yield FitState(frame, step, result, colours)
