"""The refinement "adam" where launches and copies would cost more than the work: one block of parameters, no host between the steps."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.events import Event, StepDone
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import uploaded
from trackersplat.rendering.rasterizer import Rasterizer, RepeatedColor
from trackersplat.training.fit import FitDone, FitState
from trackersplat.training.losses import loss_and_gradient
from trackersplat.training.optimiser import TrainingViews, scene_extent
from trackersplat.training.parameter_block import ParameterBlock
from trackersplat.training.photometric import ColourAffines, transform
from trackersplat.training.refine.replace_faint import Replacement, find_replacement
from trackersplat.training.refine.settings import RefineSettings
from trackersplat.training.refine.strain import Strain
from trackersplat.training.refine.task import RefineTask

_AHEAD = 4  # steps under way before a loss is read


def refine_on_device(task: RefineTask) -> Iterator[Event]:
    """As `adam.refine`, which calls it for at least one step and one Gaussian. Equal but for rounding and the order of sums.

    Where the rasteriser can, one step is recorded and repeated: its view, rates and sums are chosen on the device.
    """
    start = task.moved.detach().to(task.rasterizer.device)
    training = [task.capture.cameras[i] for i in task.capture.training_cameras]
    repeated = task.rasterizer.repeated_color(start, training)
    yield from _refine(task, start, repeated)
    if repeated is not None and not repeated.is_complete():  # rare: what the cameras see has grown by a quarter
        yield from _refine(task, start, None)


def _refine(task: RefineTask, start: Gaussians, repeated: RepeatedColor | None) -> Iterator[Event]:
    """The events of the refinement; without the last one if not all could be rendered."""
    settings: RefineSettings = task.settings
    frame, steps, colours, rasterizer = task.frame, settings.steps, task.colours, task.rasterizer
    is_static = task.is_static.to(rasterizer.device)
    views = TrainingViews(task.capture, frame, rasterizer.device, settings.seed)
    pace = torch.where(is_static, settings.static_pace, 1.0)
    rates, extent = settings.rates.slower(settings.pace), scene_extent(views.cameras)
    block = ParameterBlock(start, pace, rates, extent, steps, settings.momentum, settings.warm_up, settings.average)
    strain = Strain(start, ~is_static, settings.stiffness, task.base) if settings.stiffness.weight > 0 else None
    replacement: Replacement | None = None
    losses = torch.zeros(steps, device=start.device)

    def correct(view: int, color: Tensor) -> Tensor:
        return color if colours is None else colours.apply(views.cameras[view].name, color)

    def follow(color: Tensor, reference: Tensor) -> None:
        """One step, from what was rendered of the block's Gaussians."""
        loss, gradient = loss_and_gradient(color, reference, settings.loss)
        gradients = block.gradients(color, gradient)
        if strain is not None:
            strain.add_gradient(gradients[0], block.gaussians().means)
        losses.index_copy_(0, block.done, loss.reshape(1))
        block.step(gradients)

    drawn = [views.draw() for _ in range(steps)]
    if repeated is None:
        order = iter(drawn)

        def step() -> None:
            view = next(order)
            follow(correct(view, _color(rasterizer, block.gaussians(), views.cameras[view])), views.reference(view))
    else:
        one = _recordable(block, repeated, views, uploaded(drawn, start.device, torch.int64), colours, follow)
        step = repeated.repeatable(one, (start.sh.shape, settings, colours is None))

    replacing = math.ceil(settings.replace_faint.after * steps)
    reports: deque[_Report] = deque()
    for done in range(1, steps + 1):
        step()
        if done == replacing and done < steps:
            replacement = find_replacement(block.snapshot(), views, rasterizer, settings.replace_faint, settings.seed, correct)
            if replacement is not None:
                block.replace(replacement.indices, replacement.others, replacement.valid)
                if strain is not None:
                    strain.release(replacement.indices, replacement.valid)
        if reports and done >= reports[0].step + _AHEAD:
            yield from reports.popleft().told(task, steps)
        if done % settings.report_every == 0 and done < steps:
            reports.append(_Report(done, losses[done - settings.report_every : done].mean(), block.result()))
    for report in reports:
        yield from report.told(task, steps)
    last = losses[(steps - 1) // settings.report_every * settings.report_every :].mean()
    yield StepDone(frame, steps, steps, float(last), len(start))
    if repeated is None or repeated.is_complete():
        replaced = start.means.new_zeros(0, dtype=torch.long) if replacement is None else replacement.found()[0]
        yield FitDone(frame, block.result(), colours, replaced)


@dataclass(frozen=True, eq=False)
class _Report:
    """How far the refinement was after a step; on the device, where it is read only when the next steps are under way."""

    step: int
    loss: Tensor  # scalar
    gaussians: Gaussians

    def told(self, task: RefineTask, steps: int) -> Iterator[Event]:
        yield StepDone(task.frame, self.step, steps, float(self.loss), len(self.gaussians))
        yield FitState(task.frame, self.step, self.gaussians, task.colours)


def _recordable(
    block: ParameterBlock,
    repeated: RepeatedColor,
    views: TrainingViews,
    order: Tensor,  # (steps,) int64: the view of each step
    colours: ColourAffines | None,
    follow: Callable[[Tensor, Tensor], None],
) -> Callable[[], None]:
    """One step, which chooses its view on the device."""
    references = torch.cat([views.reference(view) for view in range(len(views))])
    maps = None if colours is None else torch.stack([colours.matrix(camera.name, order.device) for camera in views.cameras])

    def step() -> None:
        view = order.index_select(0, block.done)
        color = repeated(block.gaussians(), view)
        if maps is not None:
            color = transform(maps.index_select(0, view)[0], color)
        follow(color, references.index_select(0, view))

    return step


def _color(rasterizer: Rasterizer, gaussians: Gaussians, camera: Camera) -> Tensor:
    """(1, H, W, 3), differentiable."""
    fused = rasterizer.fused_color()
    return rasterizer.render(gaussians, [camera]).color if fused is None else fused(gaussians, camera)
