"""The pipeline "base-propagate": the Gaussians are moved by point tracks, then refined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from trackersplat.events import Event, Stage
from trackersplat.motion.apply import move
from trackersplat.pipelines.chain import ChainStep, follow_chain
from trackersplat.pipelines.clock import Clock
from trackersplat.pipelines.frames import FirstFrame, Moved, refine_and_measure
from trackersplat.pipelines.motions import MotionContext
from trackersplat.pipelines.pipeline import Batch, ChainState, Context
from trackersplat.tracking.registry import TRACKERS, create_matcher
from trackersplat.tracking.sources import track_source


class BasePropagate(FirstFrame):
    """Tracks from the base frame move the Gaussians to every frame of the batch; each is then refined with its images."""

    def step(self, state: ChainState, batch: Batch, context: Context) -> Iterator[Event]:
        """See `Pipeline.step`."""
        settings, device = context.settings, context.rasterizer.device
        motions = MotionContext(
            capture=context.capture,
            rasterizer=context.rasterizer,
            source=track_source(settings.tracker, context.capture, device, settings.tracking, grid=settings.queries),
            tracker=TRACKERS.facts(settings.tracker),
            matcher=create_matcher(settings.matcher, device, settings.matching),
            settings=settings.motion,
            colours=state.colours,
        )
        for event in follow_chain(state, batch.through, motions, settings.follow):
            if isinstance(event, Stage):  # said of a frame that is to be done: those on the way may be finished
                yield replace(event, frame=min(frame for frame in batch.targets if frame >= event.frame))
            elif isinstance(event, ChainStep) and event.frame in batch.targets:
                clock = Clock(device)
                moved = move(state.gaussians, event.motion)
                seconds = {**event.seconds, "move": event.seconds["move"] + clock.lap()}
                yield from refine_and_measure(state, Moved(event.frame, moved, event.motion, event.tracks, seconds), context)
