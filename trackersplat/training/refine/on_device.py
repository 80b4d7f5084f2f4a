"""The refinement "adam" where launches and copies would cost more than the work: one block of parameters, no host between the steps."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.events import Event, StepDone
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.fit import FitDone, FitState
from trackersplat.training.losses import loss_and_gradient
from trackersplat.training.optimiser import TrainingViews, scene_extent
from trackersplat.training.parameter_block import ParameterBlock
from trackersplat.training.refine.replace_faint import replace_faint
from trackersplat.training.refine.settings import RefineSettings
from trackersplat.training.refine.strain import Strain
from trackersplat.training.refine.task import RefineTask


def refine_on_device(task: RefineTask) -> Iterator[Event]:
    """As `adam.refine`, which calls it for at least one step and one Gaussian. Equal but for rounding and the order of sums."""
    settings: RefineSettings = task.settings
    frame, steps, colours, rasterizer = task.frame, settings.steps, task.colours, task.rasterizer
    start = task.moved.detach().to(rasterizer.device)
    is_static = task.is_static.to(rasterizer.device)
    views = TrainingViews(task.capture, frame, rasterizer.device, settings.seed)
    pace = torch.where(is_static, settings.static_pace, 1.0)
    rates, extent = settings.rates.slower(settings.pace), scene_extent(views.cameras)
    block = ParameterBlock(start, pace, rates, extent, steps, settings.momentum, settings.warm_up)
    strain = Strain(start, ~is_static, settings.stiffness, task.base) if settings.stiffness.weight > 0 else None
    replaced = torch.zeros(0, dtype=torch.long, device=start.device)
    losses: list[Tensor] = []
    reported: Tensor | None = None  # the mean loss of the last steps that are not told of yet

    def correct(view: int, color: Tensor) -> Tensor:
        return color if colours is None else colours.apply(views.cameras[view].name, color)

    for step in range(1, steps + 1):
        view = views.draw()
        gaussians = block.gaussians()
        color = correct(view, _color(rasterizer, gaussians, views.cameras[view]))
        if reported is not None:  # told only now, when it is there: the host need not wait for it
            yield StepDone(frame, step - 1, steps, float(reported), len(start))
            yield FitState(frame, step - 1, block.result(), colours)
            reported = None
        loss, gradient = loss_and_gradient(color, views.reference(view), settings.loss)
        color.backward(gradient)
        if strain is not None:
            strain.add_gradient(block.means_gradient, gaussians.means)
        block.step()
        losses.append(loss)
        if step == math.ceil(settings.replace_faint.after * steps) and step < steps:
            replaced, added = replace_faint(block.snapshot(), views, rasterizer, settings.replace_faint, settings.seed, correct)
            if len(replaced):
                block.replace(replaced, added)
                if strain is not None:
                    strain.release(replaced)
        if step > (1 - settings.average) * steps:
            block.count_in_mean()
        if step % settings.report_every == 0 or step == steps:
            reported, losses = torch.stack(losses).mean(), []
    assert reported is not None, "the last step is always told"
    yield StepDone(frame, steps, steps, float(reported), len(start))
    yield FitDone(frame, block.result(), colours, replaced)


def _color(rasterizer: Rasterizer, gaussians: Gaussians, camera: Camera) -> Tensor:
    """(1, H, W, 3), differentiable."""
    fused = rasterizer.fused_color()
    return rasterizer.render(gaussians, [camera]).color if fused is None else fused(gaussians, camera)
