"""The sparse tracks of a chain: followed from the start of a stride to its targets, and changed there by edits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from trackersplat.edits.frame_tracks import Following, FrameTracks, without_new_in
from trackersplat.edits.hand_points import corrected_points
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.carry import carry_points
from trackersplat.motion.corrections import PointCorrection
from trackersplat.motion.follow_tracks import follow_tracks
from trackersplat.motion.followed_tracks import FollowedTracks, FollowSettings
from trackersplat.motion.motion import Motion
from trackersplat.motion.start_tracks import start_tracks
from trackersplat.pipelines.motions import MotionContext, MotionsFound
from trackersplat.pipelines.pipeline import ChainState
from trackersplat.tracking.sources import TrackSource
from trackersplat.tracking.space_tracks import SceneSource
from trackersplat.tracking.tracks import DenseTracks, Provenance


@dataclass(frozen=True)
class EditedTracks:
    """The sparse tracks at a frame, and what edits could not do there, in sentences."""

    tracks: FollowedTracks | None
    notes: Sequence[str] = ()


def first_tracks(state: ChainState, context: MotionContext, settings: FollowSettings) -> FollowedTracks:
    """The sparse tracks that start in a frame."""
    provenance = Provenance(context.tracker.name, licence=context.tracker.licence)
    masks = context.masks(state.frame)
    return start_tracks(context.cameras, state.gaussians, context.rasterizer, state.frame, settings, provenance, masks)


def edited_first_tracks(state: ChainState, context: MotionContext, settings: FollowSettings) -> EditedTracks:
    """`first_tracks` after the edits."""
    tracks = first_tracks(state, context, settings)
    return _edited(context, tracks, state.gaussians, settings, (), None)


@dataclass(frozen=True, eq=False)
class SparseTracks:
    """What tracks are followed with from one frame to the targets that were found from it."""

    context: MotionContext
    tracks: FollowedTracks
    here: Gaussians  # of the frame of the tracks
    found: MotionsFound
    settings: FollowSettings

    @cached_property
    def masks(self) -> dict[str, Tensor] | None:
        """Those of the frame of the tracks."""
        return self.context.masks(self.tracks.frame)

    def at_targets(self) -> list[EditedTracks]:
        """Where the tracks are at every target, after the edits."""
        dense = dict(zip(self.tracks.cameras, (each for _, each in self.found.tracks), strict=True))
        states: list[EditedTracks] = []
        earlier: FollowedTracks | None = None
        for index, target in enumerate(self.found.targets):
            step = _Step(self, index, dense, earlier)
            moved = move(self.here, self.found.motions[index])
            followed = without_new_in(step.follow(self.tracks, dense, moved, earlier), self.context.dropped(target))
            corrections = self.found.corrections_at(index)
            states.append(_edited(self.context, followed, moved, self.settings, corrections, step.by))
            earlier = states[-1].tracks
        return states


@dataclass(frozen=True, eq=False)
class _Step:
    """From the frame of the tracks to one of the targets."""

    about: SparseTracks
    index: int  # of the target
    dense: Mapping[str, DenseTracks]
    earlier: FollowedTracks | None

    def follow(
        self, start: FollowedTracks, dense: Mapping[str, DenseTracks], moved: Gaussians, earlier: FollowedTracks | None
    ) -> FollowedTracks:
        about, context = self.about, self.about.context
        target, motion = about.found.targets[self.index], about.found.motions[self.index]
        before, after = about.masks, context.masks(target)
        masks = None if before is None or after is None else (before, after)
        return follow_tracks(
            start, about.here, motion, moved, dense, target, context.cameras, context.rasterizer, about.settings, masks, earlier=earlier
        )

    def by(self, tracker: str, ids: Tensor) -> FollowedTracks:
        """The tracks of these ids by another tracker, among others that began in the target."""
        about, earlier = self.about, self.earlier
        some = about.tracks[torch.isin(about.tracks.ids, ids)]
        capture = about.context.capture
        cameras = [capture.training_cameras[index] for index in some.camera.unique().tolist()]
        found = _source(about.context, tracker)(cameras, some.frame, about.found.targets)
        theirs = {capture.cameras[camera].name: dense for camera, dense in found}
        others = None if earlier is None else earlier[torch.isin(earlier.ids, ids)]
        return self.follow(some, {**self.dense, **theirs}, move(about.here, about.found.motions[self.index]), others)


def corrections_in(
    context: MotionContext,
    tracks: FollowedTracks,
    here: Gaussians,
    settings: FollowSettings,
    targets: Sequence[int],
    motions: Sequence[Motion],
) -> list[tuple[PointCorrection, ...]]:
    """What was put by hand in the targets, as corrections of the ``tracks`` in the frame whose Gaussians are ``here``; [] if nothing."""
    hands = [context.edits.hand_points(target) for target in targets]
    if not any(hands):
        return []
    found = []
    for target, motion, hand in zip(targets, motions, hands, strict=True):
        carried = carry_points(tracks.points, here, motion, settings.carry_points)
        points = corrected_points(hand, tracks, carried, here, context.capture.cameras, settings)
        found.append(tuple(replace(point, unused=context.dropped(target)) for point in points))
    return found


def _edited(
    context: MotionContext,
    tracks: FollowedTracks,
    gaussians: Gaussians,
    settings: FollowSettings,
    corrections: Sequence[PointCorrection],
    by: Callable[[str, Tensor], FollowedTracks] | None,
) -> EditedTracks:
    if not context.edits.ends_stride(tracks.frame):
        return EditedTracks(tracks)
    at = FrameTracks(
        cameras=tuple(context.cameras),
        gaussians=gaussians,
        rasterizer=context.rasterizer,
        settings=settings,
        points={point.track: point.after for point in corrections},
        following=Following(by, lambda name: _source(context, name), context.capture.training_cameras, context.edits.paths),
    )
    changed = context.edits.change_tracks(tracks, at)
    return EditedTracks(changed, at.notes)


def _source(context: MotionContext, tracker: str) -> TrackSource:
    assert context.other is not None, "there are edits, so there are the trackers that they name"
    source = context.other(tracker).source
    assert not isinstance(source, SceneSource), "edits name trackers of images (edits/kinds/retrack.py)"
    return source
