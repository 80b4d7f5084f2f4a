"""Motions to frames ever further from a base frame, each leg of the way starting from the scene as the last one moved it.

Tracks of one view end where something passes in front of what they follow, or where it turns away from the camera. The Gaussians go on,
as other views see them, and when the view sees them again they are where it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.events import Stage
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.compose import compose
from trackersplat.motion.motion import Carried, Motion
from trackersplat.motion.reset_static import rest_again
from trackersplat.motion.settings import MotionSettings
from trackersplat.pipelines.moving import clock_of, follow
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.sources import TrackSource
from trackersplat.tracking.tracks import DenseTracks
from trackersplat.tracking.views import direct_views
from trackersplat.training.photometric import ColourAffines


@dataclass(frozen=True)
class Origin:
    """A frame as it was fitted to its images, and what it tells for all that descend from it: where things rest."""

    frame: int
    gaussians: Gaussians
    gone: Tensor | None = None  # (B,) indices of those in whose places the base has others


@dataclass(frozen=True)
class Reached:
    """A frame and the motion to it from the base frame."""

    frame: int
    motion: Motion
    tracks: list[tuple[int, DenseTracks]]  # per training camera (its index) those of the last leg, this frame among their targets
    tracking: float  # seconds
    moving: float  # seconds, the looks included


def follow_in_legs(
    capture: Capture,
    base: Gaussians,
    frame: int,
    targets: Sequence[int],
    source: TrackSource,
    rasterizer: Rasterizer,
    settings: MotionSettings,
    *,
    leg: int | None,
    looks: int,
    carried: Carried | None = None,
    colours: ColourAffines | None = None,
    origin: Origin | None = None,
) -> Iterator[Stage | Reached]:
    """Yields `Reached` for every one of the ascending ``targets``, and before them what is done.

    ``leg``: how many targets are tracked from one frame; None: all from ``frame``, whose Gaussians are ``base``. What rests where the
    ``origin`` has it (the base itself, if absent) is put back there. The rest is as in `follow`, which raises what this raises.
    """
    cameras = capture.training_cameras
    rests = origin or Origin(frame, base)

    def rested(motion: Motion, target: int) -> Motion:
        pairs = sorted(direct_views(capture, cameras, rests.frame, target), key=lambda pair: pair[0])
        views, direct = [capture.cameras[camera] for camera in cameras], [tracks for _, tracks in pairs]
        withheld = carried if rests.frame == frame else None
        return rest_again(rasterizer, rests.gaussians, views, direct, base, motion, settings, withheld, rests.gone)

    length = leg or len(targets)
    start, so_far = frame, None
    for first in range(0, len(targets), length):
        part = targets[first : first + length]
        followed = yield from follow(
            capture,
            base if so_far is None else move(base, so_far),
            start,
            part,
            source,
            rasterizer,
            settings,
            looks=looks,
            drifting=so_far is not None,
            carried=carried if so_far is None else so_far.carried,
            colours=colours,
        )
        motions, clock = followed.motions, clock_of(rasterizer)
        if so_far is not None:
            motions = [compose(so_far, motion) for motion in motions]
        if start != rests.frame:  # else the tracks are from there
            motions = [rested(motion, target) for target, motion in zip(part, motions, strict=True)]
        seconds = followed.tracking / len(part), (followed.moving + clock()) / len(part)
        for target, motion in zip(part, motions, strict=True):
            yield Reached(target, motion, followed.tracks, *seconds)
        start, so_far = part[-1], motions[-1]
        del followed  # the tracks of all views are large
