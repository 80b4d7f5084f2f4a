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
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.estimate import MotionSettings, estimate_motion
from trackersplat.motion.motion import Carried, Motion
from trackersplat.motion.predict import predict
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.runs.events import Stage
from trackersplat.tracking.second_look import Prediction, doubtful
from trackersplat.tracking.sources import TrackSource
from trackersplat.tracking.tracker import DenseTracks
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
    through: Sequence[int],
    source: TrackSource,
    rasterizer: Rasterizer,
    settings: MotionSettings,
    *,
    looks: int,
    targets: Sequence[int] | None = None,
    carried: Carried | None = None,
    colours: ColourAffines | None = None,
    said_of: int | None = None,
) -> Generator[Stage, None, Followed]:
    """Tracks from ``frame``, whose Gaussians are ``base``, through the frames ``through`` and estimates the motions to the ``targets``
    among them (all if absent).

    Up to ``looks`` times, for the targets to which tracks were lost (`LOST`), the moved scene is rendered as every training camera
    should see it, with its ``colours``; what a match with the real images is surer of than the tracks replaces them, and the motions are
    estimated anew. The stages are said of the frame ``said_of``, the first target if absent.

    Raises what the source of the tracks raises.
    """
    wanted = tuple(through if targets is None else targets)
    cameras = capture.training_cameras
    shown_frame = wanted[0] if said_of is None else said_of
    yield Stage(shown_frame, "track", f"{len(cameras)} views, frame {frame + 1} to {_spoken(through)}")
    clock = clock_of(rasterizer)
    found = sorted(source(cameras, frame, through), key=lambda pair: pair[0])  # views finish in any order, sums must not depend on it
    tracking = clock()
    tracks = [(camera, dense if dense.targets == wanted else dense.only(wanted)) for camera, dense in found]
    del found

    yield Stage(shown_frame, "move")
    clock = clock_of(rasterizer)
    estimate = partial(estimate_motion, rasterizer, base, [capture.cameras[camera] for camera in cameras], carried=carried)
    motions = estimate([dense for _, dense in tracks], settings)
    for _ in range(looks):
        lost = np.flatnonzero(np.mean([doubtful(dense) for _, dense in tracks], axis=0) >= LOST).tolist()
        if not lost:
            break
        again = [wanted[index] for index in lost]
        yield Stage(shown_frame, "look", f"{len(again)} of {len(wanted)} frames" if len(wanted) > 1 else "")
        states = [move(base, motions[index]) for index in lost]

        def predictions(camera: int, states: Sequence[Gaussians] = states) -> list[Prediction]:
            def shown(color: Tensor) -> Tensor:
                return color if colours is None else colours.apply(capture.cameras[camera].name, color)

            return predict(rasterizer, base, states, capture.cameras[camera], shown)

        parts = [(camera, dense.only(again)) for camera, dense in tracks]
        looked = sorted(look_again_at_views(capture, parts, predictions), key=lambda pair: pair[0])
        tracks = [(camera, dense.replaced(part)) for (camera, dense), (_, part) in zip(tracks, looked, strict=True)]
        for index, motion in zip(lost, estimate([part for _, part in looked], settings), strict=True):
            motions[index] = motion
    return Followed(wanted, motions, tracks, tracking, clock())


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
