"""Motions to frames ever further from a base frame, in strides: each starts from the scene as the last one moved it.

Tracks of one view end where something passes in front of what they follow, or where it turns away from the camera. The Gaussians go on,
as other views see them, and when the view sees them again they are where it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trackersplat.events import Event
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.compose import compose
from trackersplat.motion.follow_tracks import follow_tracks
from trackersplat.motion.followed_tracks import FollowedTracks, FollowSettings
from trackersplat.motion.motion import Motion
from trackersplat.motion.reset_static import reset_static
from trackersplat.motion.start_tracks import start_tracks
from trackersplat.pipelines.clock import Clock
from trackersplat.pipelines.motions import MotionContext, MotionsFound, find_motions
from trackersplat.pipelines.pipeline import ChainState
from trackersplat.tracking.tracks import Provenance
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
    base, stride = state.gaussians, context.tracker.stride or len(targets)
    start, so_far = state.frame, None
    tracks = None if follow is None else state.tracks or first_tracks(state, context, follow)
    for first in range(0, len(targets), stride):
        part = targets[first : first + stride]
        here = base if so_far is None else move(base, so_far)
        found: MotionsFound | None = None
        carried = state.carried if so_far is None else so_far.carried
        for event in find_motions(context, here, start, part, drifting=so_far is not None, carried=carried):
            if isinstance(event, MotionsFound):
                found = event
            else:
                yield event
        assert found is not None, "motions end with what was found"
        clock = Clock(context.rasterizer.device)
        steps: list[tuple[int, Motion, FollowedTracks | None]] = []
        tracked = _followed(tracks, here, found, context, follow)
        for target, motion, there in zip(part, found.motions, tracked, strict=True):
            if so_far is not None:
                motion = compose(so_far, motion)
            if start != (state.origin.frame if state.origin else state.frame):  # else the tracks are from there
                motion = _reset(state, motion, target, context)
            steps.append((target, motion, there))
        seconds = {stage: value / len(part) for stage, value in found.seconds.items()}
        seconds["move"] += clock.lap() / len(part)
        for target, motion, at_target in steps:
            yield ChainStep(target, motion, at_target, seconds)
        start, (_, so_far, tracks) = part[-1], steps[-1]
        del found  # the tracks of all views are large


def first_tracks(state: ChainState, context: MotionContext, settings: FollowSettings) -> FollowedTracks:
    """The sparse tracks that start in a frame."""
    provenance = Provenance(context.tracker.name, licence=context.tracker.licence)
    masks = context.masks(state.frame)
    return start_tracks(context.cameras, state.gaussians, context.rasterizer, state.frame, settings, provenance, masks)


def _followed(
    tracks: FollowedTracks | None, here: Gaussians, found: MotionsFound, context: MotionContext, settings: FollowSettings | None
) -> list[FollowedTracks | None]:
    """The sparse ``tracks`` of the frame whose Gaussians are ``here``, at every target that was found from it."""
    if tracks is None or settings is None:
        return [None] * len(found.targets)
    dense = dict(zip((camera.name for camera in context.cameras), (each for _, each in found.tracks), strict=True))
    before = context.masks(tracks.frame)
    states: list[FollowedTracks | None] = []
    earlier: FollowedTracks | None = None
    for target, motion in zip(found.targets, found.motions, strict=True):
        after = context.masks(target)
        masks = None if before is None or after is None else (before, after)
        moved = move(here, motion)
        earlier = follow_tracks(
            tracks, here, motion, moved, dense, target, context.cameras, context.rasterizer, settings, masks, earlier=earlier
        )
        states.append(earlier)
    return states


def _reset(state: ChainState, motion: Motion, target: int, context: MotionContext) -> Motion:
    """The motion with static content reset to where the origin has it, as tracks from the origin's frame directly tell."""
    frame, gaussians = (state.origin.frame, state.origin.gaussians) if state.origin else (state.frame, state.gaussians)
    pairs = match_views(context.matcher, context.capture, context.capture.training_cameras, frame, target)
    direct = [dense for _, dense in sorted(pairs, key=lambda pair: pair[0])]
    carried = state.carried if frame == state.frame else None
    replaced = None
    if state.lineage is not None and frame != state.frame:
        replaced = state.lineage.replaced.to(gaussians.device)
    return reset_static(
        context.rasterizer, gaussians, context.cameras, direct, state.gaussians, motion, context.settings, carried, replaced
    )
