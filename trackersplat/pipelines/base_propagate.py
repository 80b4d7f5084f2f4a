"""The pipeline "base-propagate": the Gaussians are moved by point tracks, then refined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from trackersplat.events import Event, Note, Stage
from trackersplat.motion.apply import move
from trackersplat.pipelines.chain import ChainStep, follow_chain
from trackersplat.pipelines.clock import Clock
from trackersplat.pipelines.frames import FirstFrame, Moved
from trackersplat.pipelines.motions import MotionContext, OtherTracker
from trackersplat.pipelines.pipeline import Batch, ChainState, Context, FrameResult
from trackersplat.pipelines.several_devices import refined
from trackersplat.pipelines.sources import SourceSettings, motion_source
from trackersplat.pipelines.sparse_tracks import edited_first_tracks
from trackersplat.tracking.registry import TRACKERS, create_matcher


class BasePropagate(FirstFrame):
    """Tracks from the base frame move the Gaussians to every frame of the batch; each is then refined with its images."""

    def first_frame(self, frame: int, context: Context) -> Iterator[Event]:
        """See `Pipeline.first_frame`. The sparse tracks start in it."""
        for event in super().first_frame(frame, context):
            if isinstance(event, FrameResult):
                motions = _motion_context(event.state, context)
                there = edited_first_tracks(event.state, motions, context.settings.follow)
                yield from (Note(frame, text) for text in there.notes)
                event = replace(event, state=replace(event.state, tracks=there.tracks))
            yield event

    def step(self, state: ChainState, batch: Batch, context: Context) -> Iterator[Event]:
        """See `Pipeline.step`."""
        return refined(state, self._moved(state, batch, context), context)

    def _moved(self, state: ChainState, batch: Batch, context: Context) -> Iterator[Event]:
        """The targets before their refinement, and what is told meanwhile."""
        motions = _motion_context(state, context)
        for event in follow_chain(state, batch.through, motions, context.settings.follow):
            if isinstance(event, Stage):  # said of a frame that is to be done: those on the way may be finished
                yield replace(event, frame=min(frame for frame in batch.targets if frame >= event.frame))
            elif isinstance(event, Note) and event.frame in batch.targets:
                yield event
            elif isinstance(event, ChainStep) and event.frame in batch.targets:
                clock = Clock(context.rasterizer.device)
                moved = move(state.gaussians, event.motion)
                seconds = {**event.seconds, "move": event.seconds["move"] + clock.lap()}
                yield Moved(event.frame, moved, event.motion, event.tracks, seconds)


def _motion_context(state: ChainState, context: Context) -> MotionContext:
    settings, device = context.settings, context.rasterizer.device
    asked = SourceSettings.of(settings)

    @cache
    def other(name: str) -> OtherTracker:
        own = settings.tracking if name == settings.tracker else None
        source = motion_source(name, context.capture, device, own, asked, context.track_cache)
        return OtherTracker(source, TRACKERS.facts(name))

    return MotionContext(
        capture=context.capture,
        rasterizer=context.rasterizer,
        source=motion_source(settings.tracker, context.capture, device, settings.tracking, asked, context.track_cache),
        tracker=TRACKERS.facts(settings.tracker),
        matcher=create_matcher(settings.matcher, device, settings.matching),
        settings=settings.motion,
        colours=state.colours,
        edits=context.edits,
        other=other,
        keep_on_failure=settings.tracker_failure == "keep",
    )
