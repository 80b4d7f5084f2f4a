"""What moving Gaussians by tracks is worth: four ways to reach frames ever further from one base frame, measured alike."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.events import Event, Stage, StepDone
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.metrics.dynamic import dynamic_pixels
from trackersplat.metrics.image import psnr, ssim
from trackersplat.metrics.points import PointErrors, PointTruth, has_point_truth, point_errors, read_point_truth
from trackersplat.motion.apply import move
from trackersplat.motion.carry import carry_points_between
from trackersplat.motion.motion import Motion
from trackersplat.motion.settings import CarryPointsSettings
from trackersplat.pipelines.chain import ChainStep, follow_chain
from trackersplat.pipelines.clock import Clock
from trackersplat.pipelines.motions import MotionContext
from trackersplat.pipelines.pipeline import ChainState
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.pipelines.sources import SourceSettings, motion_source
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.registry import TRACKERS, create_matcher
from trackersplat.training.fit import FitDone
from trackersplat.training.photometric import ColourAffines
from trackersplat.training.refine.registry import REFINEMENTS
from trackersplat.training.refine.task import RefineTask

UNMOVED, MOVED, REFINED, MOVED_REFINED = "do nothing", "moved only", "refinement alone", "moved + refined"
METHODS = (UNMOVED, MOVED, REFINED, MOVED_REFINED)


@dataclass(frozen=True)
class MotionBenchSettings:
    """``base`` is an index from 0. Both refinements have the same steps and order of views.

    What was not moved is refined with the settings' `unmoved`: nothing holds back what images alone must bring to its place.
    """

    base: int = 0
    distances: tuple[int, ...] = (1, 2, 4, 8, 15)  # frames from the base, ascending
    reconstruct: ReconstructSettings = field(default_factory=ReconstructSettings)  # tracker, motion, refinement, seed


@dataclass(frozen=True)
class MethodScore:
    """Means over the held-out cameras. PSNR in dB; dynamic: over the pixels of ``metrics.dynamic`` alone, None if there are none."""

    psnr: float | None
    ssim: float | None
    dynamic_psnr: float | None
    dynamic_ssim: float | None
    # "dynamic" and "static" truth points that a training camera sees in the base frame; "dynamic_all", "static_all": all of them.
    # Empty where the capture has no truth.
    points: dict[str, PointErrors]


@dataclass(frozen=True)
class BaseDone(Event):
    """How good the base frame itself is: no motion can do better."""

    frame: int
    gaussians: int
    psnr: float | None
    ssim: float | None


@dataclass(frozen=True)
class Seconds:
    """Wall time for one target frame; of tracking and motion the mean over all frames on the way."""

    tracking: float
    motion: float
    refinement_alone: float
    refinement_moved: float

    def of(self, method: str) -> float:
        """What the method takes for one frame, if all on the way are wanted."""
        moving = self.tracking + self.motion
        return {UNMOVED: 0.0, MOVED: moving, REFINED: self.refinement_alone, MOVED_REFINED: moving + self.refinement_moved}[method]


@dataclass(frozen=True)
class DistanceDone(Event):
    """One row of the table, or the mean of all (distance and frame None)."""

    distance: int | None
    frame: int | None  # index from 0
    dynamic_share: float  # of the held-out cameras' pixels
    measured: float  # share of the Gaussians
    propagated: float
    static: float
    methods: dict[str, MethodScore]
    seconds: Seconds


@dataclass(frozen=True)
class BenchDone(Event):
    """The end: all rows and their mean."""

    base: BaseDone
    rows: tuple[DistanceDone, ...]
    mean: DistanceDone


def bench_motion(
    capture: Capture, base: Gaussians, settings: MotionBenchSettings, rasterizer: Rasterizer, colours: ColourAffines | None = None
) -> Iterator[Event]:
    """Yields one `BaseDone`, then one `DistanceDone` per distance, with what it does meanwhile, and last a `BenchDone`.

    ``base`` are the Gaussians of the base frame and ``colours`` what was found with it about the training cameras; both
    refinements use them, held-out cameras are compared as rendered. A tracker sees every frame up to the last target, so that it can follow
    points from frame to frame; exact tracks are read for the targets alone.

    Raises InputError if no camera is held out, a distance is outside the clip, or tracks are missing.
    """
    check_distances(capture, settings.base, settings.distances)
    if not capture.held_out_cameras:
        raise InputError(f"{capture.name} has no held-out camera to measure with: name one with --hold-out.")
    truth = read_point_truth(capture) if has_point_truth(capture) else None
    base = base.detach().to(rasterizer.device)
    frames = tuple(settings.base + distance for distance in settings.distances)
    no_masks = dict.fromkeys(capture.held_out_cameras)
    score, similarity, _, _ = _image_scores(rasterizer, base, capture, settings.base, no_masks)
    base_done = BaseDone(settings.base, len(base), score, similarity)
    yield base_done

    run = settings.reconstruct
    refinement = REFINEMENTS.load(run.refinement)

    def refined(start: Gaussians, is_static: Tensor, frame: int, how: Any) -> Iterator[Event]:
        events: Iterator[Event] = refinement(RefineTask(start, is_static, capture, frame, rasterizer, colours, how))
        return events

    nothing = torch.zeros(len(base), dtype=torch.bool, device=base.device)
    # Warms up, so that the time of the first row is fair.
    for _ in refined(base, nothing, settings.base, dataclasses.replace(run.refine, steps=2)):
        continue

    source = motion_source(run.tracker, capture, rasterizer.device, run.tracking, SourceSettings.of(run))
    motions: dict[int, Motion] = {}
    tracking = moving = 0.0
    facts = TRACKERS.facts(run.tracker)
    through = range(settings.base + 1, frames[-1] + 1) if facts.frames_between else frames
    state = ChainState(settings.base, base, Lineage.of_first_frame(settings.base, len(base)), colours=colours)
    context = MotionContext(
        capture, rasterizer, source, facts, create_matcher(run.matcher, rasterizer.device, run.matching), run.motion, colours
    )
    for event in follow_chain(state, through, context):
        if not isinstance(event, ChainStep):
            yield event
            continue
        tracking += event.seconds["track"] / len(through)
        moving += (event.seconds["move"] + event.seconds["match"]) / len(through)
        if event.frame in frames:
            motions[event.frame] = event.motion

    rows = []
    for distance, frame in zip(settings.distances, frames, strict=True):
        motion = motions[frame]
        moved = move(base, motion)
        states, seconds = {UNMOVED: base, MOVED: moved}, {}
        replaced: dict[str, Tensor] = {}
        refine = dataclasses.replace(run.refine, seed=run.seed + frame)
        for name, start, frozen, how in ((REFINED, base, nothing, refine.unmoved()), (MOVED_REFINED, moved, motion.is_static, refine)):
            yield Stage(frame, "refine", name)
            clock = Clock(rasterizer.device)
            for event in refined(start, frozen, frame, how):
                if isinstance(event, FitDone):
                    states[name], replaced[name] = event.gaussians, event.replaced
                elif isinstance(event, StepDone):
                    yield event
            seconds[name] = clock.lap()
        yield Stage(frame, "measure")
        masks = {c: dynamic_pixels(capture.image(c, settings.base), capture.image(c, frame), run.dynamic) for c in no_masks}

        methods = {
            name: MethodScore(
                *_image_scores(rasterizer, state, capture, frame, masks),
                _point_scores(truth, capture, base, state, replaced.get(name), (settings.base, frame), run.follow.carry_points),
            )
            for name, state in states.items()
        }
        row = DistanceDone(
            distance,
            frame,
            float(np.concatenate([mask.ravel() for mask in masks.values()]).mean()),
            motion.measured.float().mean().item(),
            (~motion.measured & ~motion.is_static).float().mean().item(),
            motion.is_static.float().mean().item(),
            methods,
            Seconds(tracking, moving, seconds[REFINED], seconds[MOVED_REFINED]),
        )
        rows.append(row)
        yield row
    yield BenchDone(base_done, tuple(rows), average(rows))


def check_distances(capture: Capture, base: int, distances: Sequence[int]) -> None:
    """Raises InputError unless the distances ascend from at least 1 and stay within the clip."""
    if not 0 <= base < capture.frame_count:
        raise InputError(f"Base frame {base + 1} is not in the capture: it has frames 1 to {capture.frame_count}.")
    if not distances or list(distances) != sorted(set(distances)) or distances[0] < 1:
        raise InputError(f"Distances must be different whole numbers from 1 on, in ascending order, got {list(distances)}.")
    if base + distances[-1] >= capture.frame_count:
        raise InputError(f"Distance {distances[-1]} from frame {base + 1} is beyond the last frame, {capture.frame_count}.")


def average(rows: Sequence[DistanceDone]) -> DistanceDone:
    """The mean of every number over the rows; what one of them lacks is the mean of the others, what all lack is None."""

    def method(name: str) -> MethodScore:
        scores = [row.methods[name] for row in rows]
        points = {}
        for group in scores[0].points:
            errors = [s.points[group] for s in scores if group in s.points]
            points[group] = PointErrors(errors[0].count, _mean([e.median for e in errors]), _mean([e.p90 for e in errors]))
        return MethodScore(
            psnr=_mean([s.psnr for s in scores]),
            ssim=_mean([s.ssim for s in scores]),
            dynamic_psnr=_mean([s.dynamic_psnr for s in scores]),
            dynamic_ssim=_mean([s.dynamic_ssim for s in scores]),
            points=points,
        )

    def mean(numbers: Iterable[float]) -> float:
        return float(np.mean(list(numbers)))

    return DistanceDone(
        distance=None,
        frame=None,
        dynamic_share=mean(row.dynamic_share for row in rows),
        measured=mean(row.measured for row in rows),
        propagated=mean(row.propagated for row in rows),
        static=mean(row.static for row in rows),
        methods={name: method(name) for name in METHODS},
        seconds=Seconds(
            tracking=mean(row.seconds.tracking for row in rows),
            motion=mean(row.seconds.motion for row in rows),
            refinement_alone=mean(row.seconds.refinement_alone for row in rows),
            refinement_moved=mean(row.seconds.refinement_moved for row in rows),
        ),
    )


def to_json(record: BaseDone | DistanceDone) -> dict[str, Any]:
    """A plain dictionary; frames counted from 1, numbers that are not finite as None."""
    data: dict[str, Any] = finite(dataclasses.asdict(record))
    data["frame"] = None if record.frame is None else record.frame + 1
    return data


def finite(value: Any) -> Any:
    """The same value with every number that JSON lacks as None and tuples as lists."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@torch.no_grad()
def _image_scores(
    rasterizer: Rasterizer, gaussians: Gaussians, capture: Capture, frame: int, masks: dict[int, Any]
) -> tuple[float | None, float | None, float | None, float | None]:
    """PSNR, SSIM and both on the masks' pixels, as means over the masks' cameras."""
    rows = []
    for camera, mask in masks.items():
        image, truth = rasterizer.render(gaussians, [capture.cameras[camera]]).color[0], capture.image(camera, frame)
        some = mask is not None and mask.any()
        rows.append(
            (psnr(image, truth), ssim(image, truth), *((psnr(image, truth, mask), ssim(image, truth, mask)) if some else (None,) * 2))
        )
    means = [_mean(column) for column in zip(*rows, strict=True)]
    return means[0], means[1], means[2], means[3]


def _point_scores(
    truth: PointTruth | None,
    capture: Capture,
    before: Gaussians,
    after: Gaussians,
    replaced: Tensor | None,
    frames: tuple[int, int],
    settings: CarryPointsSettings,
) -> dict[str, PointErrors]:
    """Errors of the truth points, carried from the first of the ``frames`` to the second by the Gaussians around them, but those at the
    ``replaced`` (B,) indices; none where their number is another."""
    if truth is None or len(before) != len(after):
        return {}
    base, frame = frames
    stays = torch.ones(len(before), dtype=torch.bool, device=before.device)
    if replaced is not None:
        stays[replaced] = False
    found = carry_points_between(torch.from_numpy(truth.positions[base]), before[stays], after[stays], settings).cpu().numpy()
    seen = truth.seen(base, capture.training_cameras)
    groups = {
        "dynamic": truth.dynamic & seen,
        "static": ~truth.dynamic & seen,
        "dynamic_all": truth.dynamic,
        "static_all": ~truth.dynamic,
    }
    return {name: point_errors(found[chosen], truth.positions[frame][chosen]) for name, chosen in groups.items()}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
