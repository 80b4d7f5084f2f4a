"""The refinement "adam" where launches and copies would cost more than the work: one block of parameters, no host between the steps."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from trackersplat.events import Event, StepDone
from trackersplat.rendering.plain_color import color_renderer
from trackersplat.training.fit import FitDone, FitState
from trackersplat.training.losses import loss_and_gradient
from trackersplat.training.optimiser import TrainingViews, scene_extent
from trackersplat.training.parameter_block import ParameterBlock
from trackersplat.training.refine.changes import changing_parts
from trackersplat.training.refine.replace_faint import replace_faint
from trackersplat.training.refine.settings import RefineSettings
from trackersplat.training.refine.strain import Strain
from trackersplat.training.refine.task import RefineTask


def refine_on_device(task: RefineTask) -> Iterator[Event]:
    """As `adam.refine`, which calls it for at least one step and one Gaussian.

    In most steps only what moves is rendered and optimised (`RefineSettings.whole_every`). If all steps render whole images, the result
    is the same but for rounding and the order of sums.
    """
    settings: RefineSettings = task.settings
    frame, steps, colours, rasterizer = task.frame, settings.steps, task.colours, task.rasterizer
    start = task.moved.detach().to(rasterizer.device)
    is_static = task.is_static.to(rasterizer.device)
    views = TrainingViews(task.capture, frame, rasterizer.device, settings.seed)
    block = ParameterBlock(start, is_static, settings.rates, scene_extent(views.cameras), steps)
    strain = Strain(start, ~is_static, settings.stiffness, task.base) if settings.stiffness.weight > 0 else None
    render, every = color_renderer(rasterizer), max(settings.whole_every, 1)
    parts = changing_parts(start, is_static, views, rasterizer) if every > 1 else []
    replaced = torch.zeros(0, dtype=torch.long, device=start.device)
    losses: list[Tensor] = []

    def correct(view: int, color: Tensor) -> Tensor:
        return color if colours is None else colours.apply(views.cameras[view].name, color)

    for step in range(1, steps + 1):
        view = views.draw()
        part = parts[view] if parts and step % every else None
        gaussians = block.gaussians()
        color = render(gaussians, views.cameras[view], region=None if part is None else part.region)
        color = correct(view, color if part is None else part.filled(color))
        loss, gradient = loss_and_gradient(color, views.reference(view), settings.loss, None if part is None else part.loss)
        color.backward(gradient)
        if strain is not None:
            strain.add_gradient(block.means_gradient, gaussians.means)
        block.step(settings.static_pace if not parts else 0.0 if step % every else settings.static_pace * every)
        losses.append(loss)
        if step == math.ceil(settings.replace_faint.after * steps) and step < steps:
            replaced, added = replace_faint(block.snapshot(), views, rasterizer, settings.replace_faint, settings.seed, correct)
            if len(replaced):
                block.replace(replaced, added)
                if strain is not None:
                    strain.release(replaced)
                parts = changing_parts(block.snapshot(), block.is_static, views, rasterizer) if parts else []
        if step > (1 - settings.average) * steps:
            block.count_in_mean()
        if step % settings.report_every == 0 or step == steps:
            yield StepDone(frame, step, steps, float(torch.stack(losses).mean()), len(start))
            losses = []
            if step < steps:
                yield FitState(frame, step, block.result(), colours)
    yield FitDone(frame, block.result(), colours, replaced)
