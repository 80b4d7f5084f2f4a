"""From a base frame to the motions of several targets: track, move, and render and match where the tracks are unreliable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.events import Event, Stage
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.motion import CarriedMotion, Motion
from trackersplat.motion.render_and_match import correct_tracks, unreliable_share
from trackersplat.motion.render_request import Prediction, predict
from trackersplat.motion.settings import MotionSettings
from trackersplat.motion.solve import estimate_motion
from trackersplat.pipelines.clock import Clock
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.sources import TrackSource
from trackersplat.tracking.tracker import Matcher, TrackerFacts
from trackersplat.tracking.tracks import DenseTracks
from trackersplat.tracking.views import correct_views
from trackersplat.training.photometric import ColourAffines


@dataclass(frozen=True, eq=False)
class MotionContext:
    """What finding motions works with."""

    capture: Capture
    rasterizer: Rasterizer
    source: TrackSource
    tracker: TrackerFacts
    matcher: Matcher
    settings: MotionSettings
    colours: ColourAffines | None = None

    @property
    def cameras(self) -> list[Camera]:
        """The training cameras."""
        return [self.capture.cameras[camera] for camera in self.capture.training_cameras]

    def masks(self, frame: int) -> dict[str, Tensor] | None:
        """Foreground masks by name of the training camera, of those that have one; None if the capture has none at all."""
        if self.capture.masks is None:
            return None
        found = {self.capture.cameras[camera].name: self.capture.mask(camera, frame) for camera in self.capture.training_cameras}
        device = self.rasterizer.device
        return {name: torch.from_numpy(mask.copy()).to(device) for name, mask in found.items() if mask is not None}


@dataclass(frozen=True, eq=False)
class MotionsFound(Event):
    """The motions from a base frame and the tracks that they come from."""

    targets: tuple[int, ...]  # F frame indices
    motions: tuple[Motion, ...]  # one per target
    tracks: tuple[tuple[int, DenseTracks], ...]  # per training camera (its index) those to all targets, cameras ascending
    seconds: dict[str, float]  # of all targets together: track, move, match


def find_motions(
    context: MotionContext,
    base: Gaussians,
    frame: int,
    targets: Sequence[int],
    *,
    drifting: bool = False,
    carried: CarriedMotion | None = None,
) -> Iterator[Event]:
    """Tracks from ``frame``, whose Gaussians are ``base``, to the ``targets`` and estimates the motions to them; ends with `MotionsFound`.

    Up to ``match_rounds`` times, for the targets to which many tracks are unreliable, the moved scene is rendered as every training camera
    should see it, with its colours; where a match with the photographs is more certain than the tracks, it replaces them, and the motions
    are estimated anew. If the Gaussians of ``frame`` are ``drifting``, moved there themselves and not corrected by its images, all
    targets are matched, because no track tells by how much they are off. The stages are reported for the first target.

    Raises what the source of the tracks raises.
    """
    targets = tuple(targets)
    cameras = context.capture.training_cameras
    yield Stage(targets[0], "track", f"{len(cameras)} views, frame {frame + 1} to {_range_text(targets)}")
    clock = Clock(context.rasterizer.device)
    # Views finish in any order, sums must not depend on it.
    tracks = sorted(context.source(cameras, frame, targets), key=lambda pair: pair[0])
    seconds = {"track": clock.lap()}

    yield Stage(targets[0], "move")
    estimate = partial(estimate_motion, context.rasterizer, base, context.cameras, settings=context.settings, carried=carried)
    motions = estimate([dense for _, dense in tracks])
    seconds["move"] = clock.lap()
    settings = context.settings.render_and_match
    for _ in range(settings.match_rounds if context.tracker.render_and_match else 0):
        shares = [unreliable_share(dense, settings) for _, dense in tracks]
        unreliable = torch.stack(shares).mean(dim=0).cpu().numpy()
        chosen = np.flatnonzero(drifting | (unreliable >= settings.unreliable_share)).tolist()
        if not chosen:
            break
        again = [targets[index] for index in chosen]
        yield Stage(targets[0], "match", f"{len(again)} of {len(targets)} frames" if len(targets) > 1 else "")
        matched = _matched(context, base, [move(base, motions[index]) for index in chosen], tracks, again, drifting)
        tracks = [(camera, dense.with_part(part)) for (camera, dense), part in zip(tracks, matched, strict=True)]
        for index, motion in zip(chosen, estimate(matched), strict=True):
            motions[index] = motion
    seconds["match"] = clock.lap()
    yield MotionsFound(targets, tuple(motions), tuple(tracks), seconds)


def _matched(
    context: MotionContext,
    base: Gaussians,
    states: Sequence[Gaussians],  # the base moved to each of the targets
    tracks: Sequence[tuple[int, DenseTracks]],
    targets: Sequence[int],
    drifting: bool,
) -> list[DenseTracks]:
    """The tracks of every camera to these targets, corrected where the match of the rendering with the photograph is more certain."""
    capture, settings = context.capture, context.settings.render_and_match
    device = tracks[0][1].positions.device  # of the tracker, which may not be the rasteriser's

    def predictions(camera: int) -> list[Prediction]:
        def in_colours_of_camera(color: Tensor) -> Tensor:
            return color if context.colours is None else context.colours.apply(capture.cameras[camera].name, color)

        found = predict(context.rasterizer, base, states, capture.cameras[camera], in_colours_of_camera)
        return [prediction.to(device) for prediction in found]

    def correct(dense: DenseTracks, photograph: Tensor, predicted: Prediction) -> DenseTracks:
        return correct_tracks(dense, photograph, predicted, context.matcher, settings, drifting=drifting)

    parts = [(camera, dense.only(targets)) for camera, dense in tracks]
    found = sorted(correct_views(capture, parts, predictions, correct, device), key=lambda pair: pair[0])
    return [dense for _, dense in found]


def _range_text(frames: Sequence[int]) -> str:
    return str(frames[0] + 1) if len(frames) == 1 else f"{frames[0] + 1}-{frames[-1] + 1}"
