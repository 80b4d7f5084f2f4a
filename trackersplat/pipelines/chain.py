"""Motions to frames ever further from a base frame, in strides: each starts from the scene as the last one moved it.

Tracks of one view end where something passes in front of what they follow, or where it turns away from the camera. The Gaussians go on,
as other views see them, and when the view sees them again they are where it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from trackersplat.events import Event, Note
from trackersplat.motion.apply import move
from trackersplat.motion.compose import compose
from trackersplat.motion.corrections import PointCorrection
from trackersplat.motion.followed_tracks import FollowedTracks, FollowSettings
from trackersplat.motion.measure import SeenBase
from trackersplat.motion.motion import Motion
from trackersplat.motion.reset_static import reset_static
from trackersplat.pipelines.clock import Clock
from trackersplat.pipelines.motions import MotionContext, MotionsFound, find_motions
from trackersplat.pipelines.pipeline import ChainState
from trackersplat.pipelines.sparse_tracks import EditedTracks, SparseTracks, corrections_in, first_tracks
from trackersplat.tracking.views import match_views


@dataclass(frozen=True, eq=False)
class ChainStep(Event):
    """A frame and the motion to it from the base frame."""

    frame: int
    motion: Motion
    tracks: FollowedTracks | None  # the sparse tracks, where they are in this frame
    seconds: dict[str, float]  # of this frame: track, move, match


def follow_chain(
    state: ChainState, targets: Sequence[int], context: MotionContext, follow: FollowSettings | None = None
) -> Iterator[Event]:
    """Yields a `ChainStep` for every one of the ascending ``targets``, and before them what is done.

    Static content is reset to the state's origin (the state itself where it has none). With ``follow``, the sparse tracks of the state go
    on, or start in its frame. Raises what the source of the tracks raises.
    """
    base, start, so_far = state.gaussians, state.frame, None
    tracks = None if follow is None else state.tracks or first_tracks(state, context, follow)
    fitted = state.gaussians if state.origin is None else state.origin.gaussians
    origin = SeenBase(context.rasterizer, fitted.detach(), context.cameras, context.settings.measure)
    for part in _strides(targets, context):
        about = context.at(part[0])
        here = base if so_far is None else move(base, so_far)
        correct = None if tracks is None or follow is None else partial(corrections_in, about, tracks, here, follow)
        found: MotionsFound | None = None
        carried = state.carried if so_far is None else so_far.carried
        for event in find_motions(about, here, start, part, drifting=so_far is not None, carried=carried, correct=correct):
            if isinstance(event, MotionsFound):
                found = event
            else:
                yield event
        assert found is not None, "motions end with what was found"
        clock = Clock(context.rasterizer.device)
        steps: list[tuple[Motion, EditedTracks]] = []
        followed = [EditedTracks(None)] * len(part)
        if tracks is not None and follow is not None:
            followed = SparseTracks(about, tracks, here, found, follow).at_targets()
        for index, (target, motion, there) in enumerate(zip(part, found.motions, followed, strict=True)):
            if so_far is not None:
                motion = compose(so_far, motion)
            if start != (state.origin.frame if state.origin else state.frame):  # else the tracks are from there
                motion = _reset(state, origin, motion, target, about, found.corrections_at(index))
            steps.append((motion, there))
        seconds = {stage: value / len(part) for stage, value in found.seconds.items()}
        seconds["move"] += clock.lap() / len(part)
        for target, (motion, there) in zip(part, steps, strict=True):
            yield from (Note(target, text) for text in there.notes)
            yield ChainStep(target, motion, there.tracks, seconds)
        start, so_far, tracks = part[-1], steps[-1][0], steps[-1][1].tracks
        del found  # the tracks of all views are large


def _strides(targets: Sequence[int], context: MotionContext) -> list[list[int]]:
    """The targets that are tracked from one frame: as many as their tracker wants, and none beyond a frame whose tracks edits change."""
    strides: list[list[int]] = []
    tracker = None
    for target in targets:
        before, tracker = tracker, context.at(target).tracker
        full = not strides or len(strides[-1]) >= (tracker.stride or len(targets))
        if full or tracker != before or context.edits.ends_stride(strides[-1][-1]):
            strides.append([])
        strides[-1].append(target)
    return strides


def _reset(
    state: ChainState, seen: SeenBase, motion: Motion, target: int, context: MotionContext, corrections: Sequence[PointCorrection]
) -> Motion:
    """The motion with static content reset to where the origin has it, as tracks from the origin's frame directly tell.

    Gaussians that were corrected stay where they were put.
    """
    frame, gaussians = (state.origin.frame, state.origin.gaussians) if state.origin else (state.frame, state.gaussians)
    pairs = match_views(context.matcher, context.capture, context.capture.training_cameras, frame, target)
    names = [camera.name for camera in context.capture.cameras]
    direct = [context.edits.without_dropped(names[camera], dense) for camera, dense in sorted(pairs, key=lambda pair: pair[0])]
    carried = state.carried if frame == state.frame else None
    excluded = [point.carriers.to(gaussians.device) for point in corrections]
    if state.lineage is not None and frame != state.frame:
        excluded.append(state.lineage.replaced.to(gaussians.device))
    return reset_static(
        context.rasterizer,
        gaussians,
        context.cameras,
        direct,
        state.gaussians,
        motion,
        context.settings,
        carried,
        seen_from_origin=seen,
        excluded=torch.cat(excluded) if excluded else None,
    )
