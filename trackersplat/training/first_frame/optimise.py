"""The optimisation of a first frame's Gaussians, from its first points on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.errors import InputError
from trackersplat.events import Event, Stage, StepDone
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.metrics.image import psnr
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.averaging import MovingAverage
from trackersplat.training.first_frame.densify.registry import create_densification
from trackersplat.training.first_frame.densify.strategy import Fit
from trackersplat.training.first_frame.drop import RandomDrop
from trackersplat.training.first_frame.floaters import Cleared, viewpoints, without_floaters
from trackersplat.training.first_frame.initialise import gaussians_from_points
from trackersplat.training.first_frame.prune import giants, seen_by, weighty, without_faint_bands
from trackersplat.training.first_frame.regularise import Penalties, RandomBackground
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone, FitState
from trackersplat.training.optimiser import Objective, Optimiser, TrainingViews, optimise, scene_extent
from trackersplat.training.photometric import AffineFit


def optimise_points(
    capture: Capture,
    frame: int,
    rasterizer: Rasterizer,
    settings: FirstFrameSettings,
    points: PointCloud,
    judge: int | None = None,
) -> Iterator[Event]:
    """Makes Gaussians of ``points`` and optimises them against the training images of ``frame``; events as `fit.fit_first_frame`.

    ``judge`` is the camera that `FirstFrameSettings.validate` names.
    """
    gaussians = gaussians_from_points(points, settings.sh_degree, settings.initialise, rasterizer.device)
    yield Stage(frame, "optimise", f"{len(gaussians):,} Gaussians")
    views = TrainingViews(capture, frame, rasterizer.device, settings.seed)
    extent, steps = scene_extent(views.cameras), settings.steps
    optimiser = Optimiser(gaussians, settings.rates, extent, steps)
    fit = Fit(optimiser, views, rasterizer, extent, steps, torch.Generator().manual_seed(settings.seed))
    densify = create_densification(settings.densify)
    colours = AffineFit(views, settings.photometric, steps) if settings.photometric.mode != "off" and len(views) > 1 else None
    weights = settings.regularisation
    penalties = Penalties(weights, extent, points, views.cameras, rasterizer.device) if weights.penalises else None
    background = RandomBackground(settings.seed, rasterizer.device) if weights.random_background else None
    places = viewpoints(views.cameras, settings.floaters) if settings.floaters.every > 0 and len(views) > 1 else []
    average, best = MovingAverage(), _Best()
    losses: list[torch.Tensor] = []

    def correct(view: int, color: torch.Tensor) -> torch.Tensor:
        return color if colours is None else colours.apply(view, color)

    drop = RandomDrop(settings.drop, steps, settings.seed) if settings.drop > 0 else None
    objective = Objective(settings.loss, correct, penalties, weights.depth > 0, settings.degree, background, drop)
    for step, loss in enumerate(optimise(optimiser, views, rasterizer, steps, objective), start=1):
        losses.append(loss)
        if colours is not None:
            colours.step()
            if settings.photometric.mode == "auto" and step == math.ceil(settings.photometric.trial * steps):
                difference = colours.disagreement()
                kept = difference >= settings.photometric.threshold
                detail = f"cameras differ by {difference:.1f} grey levels, {'corrected' if kept else 'left as they are'}"
                yield Stage(frame, "optimise", detail)
                colours = colours if kept else None
        densify.after_step(fit, step, correct)
        if places and step % settings.floaters.every == 0 and not settings.averages(step):  # a mean of two places is neither
            _clear(optimiser, without_floaters(optimiser.gaussians().detach(), views.cameras, places, rasterizer, settings.floaters))
        if settings.averages(step):
            average.add(optimiser.gaussians())
        if judge is not None and (step % settings.validate_every == 0 or step == steps):
            state = average.mean() or optimiser.snapshot()
            best.add(step, _score(capture, judge, frame, rasterizer, state), state)
            if best.worse >= settings.patience or step == steps:
                detail = f"{capture.cameras[judge].name} looks best after {best.step} steps: {best.psnr:.2f} dB"
                yield Stage(frame, "optimise", detail)
                break
        measure = settings.measure_every > 0 and step % settings.measure_every == 0
        if step < steps and (step % settings.report_every == 0 or measure):
            state = average.mean() or optimiser.snapshot()
            score = held_out_psnr(capture, frame, rasterizer, state) if measure else None
            yield StepDone(frame, step, steps, float(torch.stack(losses).mean()), len(state), score)
            yield FitState(frame, step, state, colours.affines() if colours else None)
            losses = []
    state = best.gaussians or average.mean() or optimiser.snapshot()
    if places and steps > 0:
        found = without_floaters(state, views.cameras, places, rasterizer, settings.floaters)
        state = replace(state, means=found.means, log_scales=found.log_scales)[found.keep]
    state = cleared(state, views, rasterizer, settings)
    if len(state) == 0:
        raise InputError(
            f"{capture.name}, frame {frame + 1}: no Gaussian is left after the fit, as no training camera shows any: the poses or the "
            "units do not fit the images; run `trackersplat check` to find the cause."
        )
    score = held_out_psnr(capture, frame, rasterizer, state) if settings.measure_every > 0 else None
    loss = torch.stack(losses).mean() if losses else torch.tensor(math.nan)
    yield StepDone(frame, steps, steps, float(loss), len(state), score)
    replaced = torch.zeros(0, dtype=torch.long, device=state.device)
    yield FitDone(frame, state.detach(), colours.affines() if colours else None, replaced)


def cleared(state: Gaussians, views: TrainingViews, rasterizer: Rasterizer, settings: FirstFrameSettings) -> Gaussians:
    """Without giants, without the Gaussians of least weight, and without colour bands that hardly vary over the views."""
    state = state[~giants(state, views.cameras)]
    culls = settings.cull_sh > 0 and state.sh_degree > 0
    if settings.prune <= 0 and not culls:
        return state
    seen = seen_by(state, views, rasterizer)
    if settings.prune > 0:
        keep = weighty(seen.weights, settings.prune)
        state, seen = state[keep], seen[keep]
    return without_faint_bands(state, seen, settings.cull_sh) if culls else state


def _clear(optimiser: Optimiser, found: Cleared) -> None:
    """Moves floaters to their new places, and keeps their moments of Adam."""
    if not found.floaters:
        return
    state = optimiser.gaussians().detach()
    optimiser.shift("means", found.means - state.means)
    optimiser.shift("log_scales", found.log_scales - state.log_scales)
    if not found.keep.all():
        none = torch.zeros(0, dtype=torch.long, device=state.device)
        optimiser.rebuild(torch.nonzero(found.keep)[:, 0], state[none])


@dataclass
class _Best:
    """The state with the best score of the validation camera so far."""

    step: int = 0
    psnr: float = -math.inf
    gaussians: Gaussians | None = None
    worse: int = 0  # measurements since

    def add(self, step: int, score: float, gaussians: Gaussians) -> None:
        if score > self.psnr:
            self.step, self.psnr, self.gaussians, self.worse = step, score, gaussians, 0
        else:
            self.worse += 1


@torch.no_grad()
def held_out_psnr(capture: Capture, frame: int, rasterizer: Rasterizer, gaussians: Gaussians) -> float | None:
    """Mean PSNR over the held-out cameras in dB; None if there are none."""
    scores = [_score(capture, index, frame, rasterizer, gaussians) for index in capture.held_out_cameras]
    return sum(scores) / len(scores) if scores else None


@torch.no_grad()
def _score(capture: Capture, index: int, frame: int, rasterizer: Rasterizer, gaussians: Gaussians) -> float:
    return psnr(rasterizer.render(gaussians, [capture.cameras[index]]).color[0], capture.image(index, frame))
