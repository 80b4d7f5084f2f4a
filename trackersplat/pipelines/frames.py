"""The parts that pipelines share: fitting a first frame, and refining and measuring a moved one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.events import Event, Stage
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.motion.followed_tracks import FollowedTracks, without_replaced
from trackersplat.motion.motion import Motion
from trackersplat.pipelines.clock import Clock
from trackersplat.pipelines.measure import Stages, dynamic_masks, measure
from trackersplat.pipelines.pipeline import ChainState, Context, FrameResult, Origin
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.fit import FitDone
from trackersplat.training.refine.registry import REFINEMENTS
from trackersplat.training.refine.task import RefineTask


class FirstFrame:
    """How every pipeline starts."""

    def first_frame(self, frame: int, context: Context) -> Iterator[Event]:
        """See `Pipeline.first_frame`."""
        context = context.at(frame)
        settings, clock = context.settings, Clock(context.rasterizer.device)
        fit = dataclasses.replace(settings.first, seed=settings.seed + frame)
        done: FitDone | None = None
        for event in fit_first_frame(context.capture, frame, context.rasterizer, fit):
            if isinstance(event, FitDone):
                done = event
            else:
                yield event
        assert done is not None, "a fit ends with its result"
        seconds = {"optimise": clock.lap()}
        yield Stage(frame, "measure")
        scores = measure(context, frame, Stages(done.gaussians), done.colours)
        seconds["measure"] = clock.lap()
        lineage = Lineage.of_first_frame(frame, len(done.gaussians)).to(done.gaussians.device)
        state = ChainState(frame, done.gaussians, lineage, Origin(frame, done.gaussians), colours=done.colours)
        none = torch.zeros(0, dtype=torch.long, device=done.gaussians.device)
        yield FrameResult(state, None, None, none, fit.steps, scores, context.unavailable_metrics, seconds)


@dataclass(frozen=True, eq=False)
class Moved(Event):
    """A frame before its refinement."""

    frame: int
    gaussians: Gaussians
    motion: Motion | None  # None where nothing was moved by tracks
    tracks: FollowedTracks | None  # where they are in this frame
    seconds: dict[str, float]

    @property
    def is_static(self) -> Tensor:
        """(N,) bool."""
        means = self.gaussians.means
        return torch.zeros(len(means), dtype=torch.bool, device=means.device) if self.motion is None else self.motion.is_static


def refine_and_measure(state: ChainState, moved: Moved, context: Context, home: torch.device | None = None) -> Iterator[Event]:
    """Refines a frame that was reached from ``state`` and measures it; ends with its `FrameResult`.

    The work is done on the rasteriser's device; the result is on ``home``, where the rest of the state is, if that is another one.
    """
    context, frame, device = context.at(moved.frame), moved.frame, context.rasterizer.device
    settings, clock, home = context.settings, Clock(device), home or device
    start, base = moved.gaussians.to(device), state.gaussians.to(device)
    yield Stage(frame, "refine")
    refine = settings.refine if moved.motion is not None else settings.refine.unmoved()
    task = RefineTask(
        moved=start,
        is_static=moved.is_static.to(device),
        capture=context.capture,
        frame=frame,
        rasterizer=context.rasterizer,
        colours=state.colours,
        settings=dataclasses.replace(refine, seed=settings.seed + frame),
        base=base,
    )
    done: FitDone | None = None
    origin = state.lineage.origin if state.lineage is not None else state.frame
    with ThreadPoolExecutor(1) as pool:  # from the images alone, so it need not wait
        masks = pool.submit(dynamic_masks, context, frame, origin)
        for event in REFINEMENTS.load(settings.refinement)(task):
            if isinstance(event, FitDone):
                done = event
            else:
                yield event
    assert done is not None, "a refinement ends with its result"
    seconds = {**moved.seconds, "refine": clock.lap()}
    yield Stage(frame, "measure")
    before = start if moved.motion is not None else None
    scores = measure(context, frame, Stages(done.gaussians, base, before), state.colours, masks.result())
    seconds["measure"] = clock.lap()
    replaced = done.replaced.to(home)
    carried = moved.motion.carried if moved.motion is not None else None
    next_state = ChainState(
        frame=frame,
        gaussians=done.gaussians.to(home),
        lineage=None if state.lineage is None else state.lineage.with_replaced(replaced, frame),
        origin=state.origin,
        carried=None if carried is None else carried.without(replaced),
        colours=state.colours,
        tracks=None if moved.tracks is None else without_replaced(moved.tracks, replaced),
    )
    yield FrameResult(next_state, state.frame, moved.motion, replaced, task.settings.steps, scores, context.unavailable_metrics, seconds)
