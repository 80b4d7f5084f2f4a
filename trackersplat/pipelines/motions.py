"""From a base frame to the motions of several targets: track, move, and render and match where the tracks are unreliable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.edits.applied import AppliedEdits
from trackersplat.events import Event, Note, Stage
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.corrections import PointCorrection
from trackersplat.motion.motion import CarriedMotion, Motion
from trackersplat.motion.render_and_match import correct_together, correct_tracks, unreliable_shares
from trackersplat.motion.render_request import Prediction, predict, predict_views
from trackersplat.motion.rendered_depth import rendered_surfaces
from trackersplat.motion.settings import MotionSettings
from trackersplat.motion.solve import PreparedBase, estimate_motion
from trackersplat.pipelines.clock import Clock
from trackersplat.rendering.device_images import device_mask
from trackersplat.rendering.rasterizer import Rasterizer, rendered_together
from trackersplat.tracking.consistency.agreement import agree_on_pixels
from trackersplat.tracking.consistency.settings import ConsistencySettings
from trackersplat.tracking.grid import query_grid
from trackersplat.tracking.settings import GridSettings
from trackersplat.tracking.sources import TrackSource
from trackersplat.tracking.space_tracks import SceneSource
from trackersplat.tracking.tracker import BatchMatcher, Matcher, TrackerFacts, TrackerFailed
from trackersplat.tracking.tracks import DenseTracks, Provenance
from trackersplat.tracking.views import correct_views, correct_views_together, within_masks
from trackersplat.training.photometric import ColourAffines

_RENDERED_TOGETHER = 10  # views whose predictions are rendered in one call, for memory


@dataclass(frozen=True, eq=False)
class MotionContext:
    """What finding motions works with."""

    capture: Capture
    rasterizer: Rasterizer
    source: TrackSource | SceneSource
    tracker: TrackerFacts
    matcher: Matcher
    settings: MotionSettings
    colours: ColourAffines | None = None
    edits: AppliedEdits = field(default_factory=AppliedEdits)
    other: Callable[[str], OtherTracker] | None = None  # trackers that edits name; None: they name none
    keep_on_failure: bool = False  # where a tracker fails, Gaussians stay as they are; otherwise its error is raised

    @property
    def cameras(self) -> list[Camera]:
        """The training cameras."""
        return [self.capture.cameras[camera] for camera in self.capture.training_cameras]

    def masks(self, frame: int) -> dict[str, Tensor] | None:
        """Foreground masks by name of the training camera, of those that have one; None if the capture has none at all."""
        if self.capture.masks is None:
            return None
        device, cameras = self.rasterizer.device, self.capture.training_cameras
        found = {self.capture.cameras[camera].name: device_mask(self.capture, camera, frame, device) for camera in cameras}
        return {name: mask for name, mask in found.items() if mask is not None}

    def at(self, frame: int) -> MotionContext:
        """With the tracker of the tracks to this frame."""
        name = self.edits.tracker(frame)
        if name is None or self.other is None:
            return self
        other = self.other(name)
        return replace(self, source=other.source, tracker=other.facts)

    def dropped(self, frame: int) -> frozenset[str]:
        """Training cameras whose views have no weight in the motion to this frame."""
        return self.edits.dropped_views((camera.name for camera in self.cameras), frame)


@dataclass(frozen=True, eq=False)
class OtherTracker:
    """A tracker in place of the run's."""

    source: TrackSource | SceneSource
    facts: TrackerFacts


# (targets, their uncorrected motions) -> for each target what is known about points in it
Correct = Callable[[Sequence[int], Sequence[Motion]], list[tuple[PointCorrection, ...]]]


@dataclass(frozen=True, eq=False)
class MotionsFound(Event):
    """The motions from a base frame and the tracks that they come from."""

    targets: tuple[int, ...]  # F frame indices
    motions: tuple[Motion, ...]  # one per target
    tracks: tuple[tuple[int, DenseTracks], ...]  # per training camera (its index) those to all targets, cameras ascending
    seconds: dict[str, float]  # of all targets together: track, move, match
    corrections: tuple[tuple[PointCorrection, ...], ...] = ()  # one per target, or none at all

    def corrections_at(self, target: int) -> tuple[PointCorrection, ...]:
        """Those of the target at this place among the targets."""
        return self.corrections[target] if self.corrections else ()


def find_motions(
    context: MotionContext,
    base: Gaussians,
    frame: int,
    targets: Sequence[int],
    *,
    drifting: bool = False,
    carried: CarriedMotion | None = None,
    correct: Correct | None = None,
) -> Iterator[Event]:
    """Tracks from ``frame``, whose Gaussians are ``base``, to the ``targets`` and estimates the motions to them; ends with `MotionsFound`.

    Up to ``match_rounds`` times, for the targets to which many tracks are unreliable, the moved scene is rendered as every training camera
    should see it, with its colours; where a match with the photographs is more certain than the tracks, it replaces them, and the motions
    are estimated anew. If the Gaussians of ``frame`` are ``drifting``, moved there themselves and not corrected by its images, all
    targets are matched, because no track tells by how much they are off. The stages are reported for the first target.

    With ``agreement`` among the settings, the tracks of all views are joined first (`consistency.agreement`).

    Views that edits drop for a target are neither seen nor trusted in it, by tracks or by matches. With ``correct``, the motions are
    estimated anew with what it knows about points; it is asked once, about the motions that the tracks alone lead to.

    Raises what the source of the tracks raises. Where the tracker fails and Gaussians are to stay then, a `Note` says so, and they do.
    """
    targets = tuple(targets)
    cameras = context.capture.training_cameras
    yield Stage(targets[0], "track", f"{len(cameras)} views, frame {frame + 1} to {_range_text(targets)}")
    clock = Clock(context.rasterizer.device)
    failed = False
    try:
        source = context.source.on(base, context.rasterizer) if isinstance(context.source, SceneSource) else context.source
        # Views finish in any order, sums must not depend on it.
        tracks = _without_dropped(context, sorted(source(cameras, frame, targets), key=lambda pair: pair[0]))
    except TrackerFailed as error:
        if not context.keep_on_failure:
            raise
        failed, carried, correct = True, None, None
        tracks = [(camera, _unknown(context, camera, frame, targets)) for camera in cameras]
        text = f"{error} The Gaussians of frame {frame + 1} stay as they are until they are refined."
        yield from (Note(target, text) for target in targets)
    yield from (Note(targets[0], text) for text in dict.fromkeys(text for _, dense in tracks for text in dense.remarks))
    if context.settings.agreement is not None and not failed:
        tracks = _without_dropped(context, _agreeing(context, base, tracks, context.settings.agreement))
    seconds = {"track": clock.lap()}

    yield Stage(targets[0], "move")
    prepared = PreparedBase(context.rasterizer, base, context.cameras, context.settings)
    estimate = partial(
        estimate_motion, context.rasterizer, base, context.cameras, settings=context.settings, carried=carried, prepared=prepared
    )
    motions = estimate([dense for _, dense in tracks])
    corrections: list[tuple[PointCorrection, ...]] = [] if correct is None else correct(targets, motions)
    if any(corrections):
        motions = estimate([dense for _, dense in tracks], corrections=corrections)
    seconds["move"] = clock.lap()
    settings = context.settings.render_and_match
    for _ in range(settings.match_rounds if context.tracker.render_and_match and not failed else 0):
        unreliable = _unreliable_shares(context, targets, tracks)
        chosen = np.flatnonzero(drifting | (unreliable >= settings.unreliable_share)).tolist()
        if not chosen:
            break
        again = [targets[index] for index in chosen]
        yield Stage(targets[0], "match", f"{len(again)} of {len(targets)} frames" if len(targets) > 1 else "")
        matched = _matched(context, base, [move(base, motions[index]) for index in chosen], tracks, again, drifting)
        tracks = [(camera, dense.with_part(part)) for (camera, dense), part in zip(tracks, matched, strict=True)]
        corrected = [corrections[index] for index in chosen] if corrections else []
        for index, motion in zip(chosen, estimate(matched, corrections=corrected), strict=True):
            motions[index] = motion
    seconds["match"] = clock.lap()
    yield MotionsFound(targets, tuple(motions), tuple(tracks), seconds, tuple(corrections))


def _unknown(context: MotionContext, camera: int, frame: int, targets: tuple[int, ...]) -> DenseTracks:
    """Tracks that say nothing, in place of those of a tracker that failed."""
    width, height = context.capture.cameras[camera].width, context.capture.cameras[camera].height
    device = context.rasterizer.device
    pixels = query_grid(width, height, GridSettings(step_px=1), device)
    nothing = torch.zeros(len(targets), height, width, device=device)
    provenance = Provenance(context.tracker.name, size=(width, height))
    return DenseTracks(frame, targets, pixels.repeat(len(targets), 1, 1, 1), nothing, nothing.clone(), 0.0, provenance)


def _without_dropped(context: MotionContext, tracks: Sequence[tuple[int, DenseTracks]]) -> list[tuple[int, DenseTracks]]:
    """The ``(camera, tracks)``, neither seen nor trusted where edits drop the view."""
    names = [camera.name for camera in context.capture.cameras]
    return [(camera, context.edits.without_dropped(names[camera], dense)) for camera, dense in tracks]


def _agreeing(
    context: MotionContext, base: Gaussians, tracks: Sequence[tuple[int, DenseTracks]], settings: ConsistencySettings
) -> list[tuple[int, DenseTracks]]:
    """The ``(camera, tracks)`` that agree between views, over the rendered depth of the ``base``, and within the masks."""
    capture = context.capture
    surfaces = rendered_surfaces(context.rasterizer, base, [capture.cameras[camera] for camera, _ in tracks], settings.minimum_alpha)
    agreeing = agree_on_pixels(surfaces, [dense for _, dense in tracks], settings)
    return [(camera, within_masks(capture, camera, dense)) for (camera, _), dense in zip(tracks, agreeing, strict=True)]


def _unreliable_shares(context: MotionContext, targets: Sequence[int], tracks: Sequence[tuple[int, DenseTracks]]) -> np.ndarray:
    """(F,) to each target the mean share of unreliable tracks, over the views that are not dropped; 0 if all are."""
    shares = unreliable_shares([dense for _, dense in tracks], context.settings.render_and_match).cpu().numpy()
    names = [context.capture.cameras[camera].name for camera, _ in tracks]
    used = np.array([[name not in context.dropped(target) for target in targets] for name in names])
    found: np.ndarray = (shares * used).sum(0) / used.sum(0).clip(1)
    return found


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

    def in_colours_of(camera: int) -> Callable[[Tensor], Tensor]:
        def corrected(color: Tensor) -> Tensor:
            return color if context.colours is None else context.colours.apply(capture.cameras[camera].name, color)

        return corrected

    def predictions(camera: int) -> list[Prediction]:
        found = predict(context.rasterizer, base, states, capture.cameras[camera], in_colours_of(camera))
        return [prediction.to(device) for prediction in found]

    def predictions_together(cameras: list[int]) -> list[list[Prediction]]:
        views = [capture.cameras[camera] for camera in cameras]
        found: dict[int, list[Prediction]] = {}
        for group in rendered_together(views, _RENDERED_TOGETHER):
            colours = [in_colours_of(cameras[index]) for index in group]
            predicted = predict_views(context.rasterizer, base, states, [views[index] for index in group], colours)
            found.update(zip(group, predicted, strict=True))
        return [[prediction.to(device) for prediction in found[index]] for index in range(len(cameras))]

    def correct(dense: DenseTracks, photograph: Tensor, predicted: Prediction) -> DenseTracks:
        return correct_tracks(dense, photograph, predicted, context.matcher, settings, drifting=drifting)

    def correct_many(dense: list[DenseTracks], photographs: list[Tensor], predicted: list[Prediction]) -> list[DenseTracks]:
        return correct_together(dense, photographs, predicted, cast(BatchMatcher, context.matcher), settings, drifting=drifting)

    parts = {camera: dense.only(targets) for camera, dense in tracks}
    unused = frozenset.intersection(*(context.dropped(target) for target in targets))
    wanted = [(camera, dense) for camera, dense in parts.items() if capture.cameras[camera].name not in unused]
    if context.matcher.facts.batch == "views":
        parts.update(correct_views_together(capture, wanted, predictions_together, correct_many, device))
    else:
        parts.update(correct_views(capture, wanted, predictions, correct, device))
    return [dense for _, dense in _without_dropped(context, sorted(parts.items()))]


def _range_text(frames: Sequence[int]) -> str:
    return str(frames[0] + 1) if len(frames) == 1 else f"{frames[0] + 1}-{frames[-1] + 1}"
