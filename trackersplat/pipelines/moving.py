"""From a base frame to the motions of several targets: track, move, and look again at what the tracks missed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.events import Stage
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.motion import Carried, Motion
from trackersplat.motion.render_and_match import Prediction, doubtful
from trackersplat.motion.render_request import predict
from trackersplat.motion.settings import MotionSettings
from trackersplat.motion.solve import estimate_motion
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.sources import TrackSource
from trackersplat.tracking.tracks import DenseTracks
from trackersplat.tracking.views import look_again_at_views
from trackersplat.training.photometric import ColourAffines

# Share of the pixels whose tracks to a target are in doubt, from which it is looked at again: where tracks hold, a look finds nothing.
LOST = 0.05


@dataclass(frozen=True)
class Followed:
    """The motions from a base frame and the tracks that they come from."""

    targets: tuple[int, ...]  # F frame indices
    motions: list[Motion]  # one per target
    tracks: list[tuple[int, DenseTracks]]  # per training camera (its index) those to all targets, cameras ascending
    tracking: float  # seconds
    moving: float  # seconds, the looks included


def follow(
    capture: Capture,
    base: Gaussians,
    frame: int,
    targets: Sequence[int],
    source: TrackSource,
    rasterizer: Rasterizer,
    settings: MotionSettings,
    *,
    looks: int,
    drifting: bool = False,
    carried: Carried | None = None,
    colours: ColourAffines | None = None,
) -> Generator[Stage, None, Followed]:
    """Tracks from ``frame``, whose Gaussians are ``base``, to the ``targets`` and estimates the motions to them.

    Up to ``looks`` times, for the targets to which tracks were lost (`LOST`), the moved scene is rendered as every training camera
    should see it, with its ``colours``; what a match with the real images is surer of than the tracks replaces them, and the motions are
    estimated anew. If the Gaussians of ``frame`` are ``drifting``, moved there themselves and not corrected by its images, all targets are
    looked at, because no track tells by how much they are off. The stages are said of the first target.

    Raises what the source of the tracks raises.
    """
    targets = tuple(targets)
    cameras = capture.training_cameras
    yield Stage(targets[0], "track", f"{len(cameras)} views, frame {frame + 1} to {_spoken(targets)}")
    clock = clock_of(rasterizer)
    tracks = sorted(source(cameras, frame, targets), key=lambda pair: pair[0])  # views finish in any order, sums must not depend on it
    tracking = clock()

    yield Stage(targets[0], "move")
    clock = clock_of(rasterizer)
    estimate = partial(estimate_motion, rasterizer, base, [capture.cameras[camera] for camera in cameras], carried=carried)
    motions = estimate([dense for _, dense in tracks], settings)
    for _ in range(looks):
        doubt = np.mean([doubtful(dense) for _, dense in tracks], axis=0)
        lost = np.flatnonzero(drifting | (doubt >= LOST)).tolist()
        if not lost:
            break
        again = [targets[index] for index in lost]
        yield Stage(targets[0], "look", f"{len(again)} of {len(targets)} frames" if len(targets) > 1 else "")
        states = [move(base, motions[index]) for index in lost]

        def predictions(camera: int, states: Sequence[Gaussians] = states) -> list[Prediction]:
            def shown(color: Tensor) -> Tensor:
                return color if colours is None else colours.apply(capture.cameras[camera].name, color)

            return predict(rasterizer, base, states, capture.cameras[camera], shown)

        parts = [(camera, dense.only(again)) for camera, dense in tracks]
        looked = sorted(look_again_at_views(capture, parts, predictions, drifting=drifting), key=lambda pair: pair[0])
        tracks = [(camera, dense.replaced(part)) for (camera, dense), (_, part) in zip(tracks, looked, strict=True)]
        for index, motion in zip(lost, estimate([part for _, part in looked], settings), strict=True):
            motions[index] = motion
    return Followed(targets, motions, tracks, tracking, clock())


def clock_of(rasterizer: Rasterizer) -> Callable[[], float]:
    """Tells the seconds since now, the GPU's queue included."""

    def now() -> float:
        if rasterizer.device.type == "cuda":
            torch.cuda.synchronize(rasterizer.device)
        return time.perf_counter()

    started = now()
    return lambda: now() - started


def _spoken(frames: Sequence[int]) -> str:
    return str(frames[0] + 1) if len(frames) == 1 else f"{frames[0] + 1}-{frames[-1] + 1}"
