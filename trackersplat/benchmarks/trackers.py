"""Every ready tracker on a capture with truth: how good its tracks are, what they take, and what they are worth in space."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trackersplat.benchmarks.motion import BaseDone, BenchDone, DistanceDone, MotionBenchSettings, bench_motion
from trackersplat.benchmarks.plain_chain import BASELINES
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.events import Event, Stage
from trackersplat.geometry.projection import inside_image
from trackersplat.metrics.points import PointTruth, read_point_truth
from trackersplat.metrics.tracks.compared import ComparedTracks, TrackScores, mean_scores, to_raster
from trackersplat.metrics.tracks.registry import create_protocol
from trackersplat.motion.lifting.lift import ViewTracks, lift_tracks
from trackersplat.motion.lifting.point_tracks import track_points
from trackersplat.pipelines.pipeline import ChainState
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.tracker import PointMotion
from trackersplat.tracking.tracks import Provenance

MEMORY_SECONDS = 0.05  # between two looks at the memory in use


@dataclass(frozen=True)
class TrackerBenchSettings:
    """``trackers`` are names; settings of a tracker that are not its defaults are in ``tracking`` under its name."""

    trackers: tuple[str, ...]
    frames: int | None = None  # the first of so many; None: all
    baselines: tuple[str, ...] = tuple(BASELINES)
    lift: bool = True  # to 3D tracks, and measure those
    reconstruct: tuple[int, ...] = ()  # frames from the first one that are reconstructed with each tracker, ascending; none: not at all
    visible: float = 0.5  # visibility from which a tracker calls a point visible
    tracking: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrackerDone(Event):
    """One row of the table. Scores are means over the cameras; each camera is a video of its own, as TAP-Vid pools."""

    tracker: str
    all_points: TrackScores | None  # None: it could not run
    dynamic: TrackScores | None  # of points that move
    cameras: dict[str, TrackScores]
    space: TrackScores | None  # of the 3D tracks that the training cameras make of it
    psnr: dict[str, float | None]  # dB, held out, mean over the frames: method of `benchmarks.motion` -> value; empty: not reconstructed
    seconds: float  # wall time for all cameras and frames
    peak_bytes: int | None  # of memory beyond that in use before; None where it cannot be told
    failed: str = ""  # why it could not run, in a sentence


def bench_trackers(
    capture: Capture, settings: TrackerBenchSettings, rasterizer: Rasterizer, base: ChainState | None = None
) -> Iterator[Event]:
    """Yields a `TrackerDone` for the baselines and every tracker, with what is done meanwhile.

    ``base`` is the reconstructed first frame, from which each tracker reconstructs others if the settings say so.

    All truth points that a camera sees in frame 0 are tracked through the clip, in every camera. 3D tracks are made of those of the
    training cameras. A tracker that fails is told in its
    row, and the others go on. Raises InputError if the capture has no truth.
    """
    truth = read_point_truth(capture)
    frames = tuple(range(min(settings.frames or capture.frame_count, capture.frame_count)))
    if len(frames) < 2:
        raise InputError(f"Trackers are measured over two frames or more; {capture.name} has {capture.frame_count}.")
    scene = _Views.of(capture, truth, frames)
    for name in (*settings.baselines, *settings.trackers):
        yield Stage(0, "track", name)
        row = _row(name, capture, scene, settings, rasterizer.device)
        if base is not None and settings.reconstruct and not row.failed and name not in BASELINES:
            for event in _reconstructed(row, capture, base, settings, rasterizer):
                if isinstance(event, TrackerDone):
                    row = event
                else:
                    yield event
        yield row


def _reconstructed(
    row: TrackerDone, capture: Capture, base: ChainState, settings: TrackerBenchSettings, rasterizer: Rasterizer
) -> Iterator[Event]:
    """Yields what a motion bench does, and last the row with what it reached."""
    run = ReconstructSettings.for_device(rasterizer.device.type, tracker=row.tracker)
    if row.tracker in settings.tracking:
        run = replace(run, tracking=settings.tracking[row.tracker])
    how = MotionBenchSettings(0, settings.reconstruct, run)
    for event in bench_motion(capture, base.gaussians, how, rasterizer, base.colours):
        if isinstance(event, BenchDone):
            yield replace(row, psnr={method: score.psnr for method, score in event.mean.methods.items()})
        elif not isinstance(event, (BaseDone, DistanceDone)):
            yield event


@dataclass(frozen=True, eq=False)
class _Views:
    """The truth as every camera sees it."""

    frames: tuple[int, ...]
    points: list[np.ndarray]  # per camera (N,) indices of the points that it sees in frame 0
    pixels: np.ndarray  # (C, T, M, 2) px of all points
    visible: np.ndarray  # (C, T, M) bool
    dynamic: np.ndarray  # (M,) bool
    positions: np.ndarray  # (T, M, 3) world

    @staticmethod
    def of(capture: Capture, truth: PointTruth, frames: Sequence[int]) -> _Views:
        pixels = np.stack([[camera.project(truth.positions[frame])[0] for frame in frames] for camera in capture.cameras])
        visible = truth.visible[:, list(frames)].copy()
        for view, camera in enumerate(capture.cameras):
            visible[view] &= inside_image(pixels[view], camera.width, camera.height)
        return _Views(
            tuple(frames), [np.flatnonzero(seen[0]) for seen in visible], pixels, visible, truth.dynamic, truth.positions[list(frames)]
        )

    def queries(self) -> list[tuple[int, Tensor]]:
        return [
            (view, torch.from_numpy(self.pixels[view, 0, chosen].astype(np.float32)))
            for view, chosen in enumerate(self.points)
            if len(chosen)
        ]


def _row(name: str, capture: Capture, scene: _Views, settings: TrackerBenchSettings, device: torch.device | str) -> TrackerDone:
    targets = scene.frames[1:]
    started = time.perf_counter()
    motions: dict[int, PointMotion] = {}
    with _peak_memory(torch.device(device)) as peak:
        try:
            if name in BASELINES:
                motions = dict(BASELINES[name](capture, scene.queries(), 0, targets))
            else:
                own = settings.tracking.get(name)
                motions = dict(track_points(name, capture, device, own, scene.queries(), 0, targets))
        except (InputError, MemoryError, torch.OutOfMemoryError) as error:
            seconds = time.perf_counter() - started
            return TrackerDone(name, None, None, {}, None, {}, seconds, None, failed=str(error) or type(error).__name__)
    seconds = time.perf_counter() - started
    everything, moving = {}, []
    for view, motion in motions.items():
        camera = capture.cameras[view]
        compared = _compared(motion, scene, view, (camera.width, camera.height), settings.visible)
        everything[camera.name] = create_protocol("tapvid-first").scores(compared)
        chosen = scene.dynamic[scene.points[view]]
        if chosen.any():
            moving.append(create_protocol("tapvid-first").scores(compared[chosen]))
    return TrackerDone(
        tracker=name,
        all_points=mean_scores(everything.values()),
        dynamic=mean_scores(moving) if moving else None,
        cameras=everything,
        space=_in_space(motions, capture, scene) if settings.lift and len(capture.training_cameras) > 1 else None,
        psnr={},
        seconds=seconds,
        peak_bytes=peak(),
    )


def _compared(motion: PointMotion, scene: _Views, view: int, size: tuple[int, int], visible: float) -> ComparedTracks:
    chosen = scene.points[view]
    start = scene.pixels[view, :1, chosen].transpose(1, 0, 2)
    found = np.concatenate((start, motion.positions[0].double().numpy()))
    seen = np.concatenate((np.ones((1, len(chosen)), bool), motion.visibility[0].numpy() >= visible))
    return ComparedTracks(
        query_frames=np.zeros(len(chosen), np.int64),
        truth=to_raster(scene.pixels[view][:, chosen], *size),
        truth_visible=scene.visible[view][:, chosen],
        found=to_raster(found, *size),
        found_visible=seen,
    )


def _in_space(motions: dict[int, PointMotion], capture: Capture, scene: _Views) -> TrackScores:
    """3D tracks from those training cameras that see a point in frame 0, by the protocol of MVTracker with the thresholds of DexYCB."""
    cameras = capture.training_cameras
    count, frames = len(scene.dynamic), len(scene.frames)
    positions = np.full((len(cameras), frames, count, 2), np.nan, np.float32)
    visibility, confidence = (np.zeros(positions.shape[:3], np.float32) for _ in range(2))
    for view, camera in enumerate(cameras):
        if camera in motions:
            chosen, motion = scene.points[camera], motions[camera]
            positions[view][:, chosen] = np.concatenate((scene.pixels[camera, :1, chosen].transpose(1, 0, 2), motion.positions[0].numpy()))
            visibility[view][:, chosen] = np.concatenate((np.ones((1, len(chosen))), motion.visibility[0].numpy()))
            confidence[view][:, chosen] = np.concatenate((np.ones((1, len(chosen))), motion.confidence[0].numpy()))
    begun = np.flatnonzero(np.isfinite(positions[:, 0]).all(-1).any(0))
    query = np.concatenate((np.zeros((len(begun), 1)), scene.positions[0, begun]), axis=1)
    names = tuple(capture.cameras[camera].name for camera in cameras)
    observed = ViewTracks(names, scene.frames, positions[:, :, begun], visibility[:, :, begun], confidence[:, :, begun])
    lifted = lift_tracks([capture.cameras[camera] for camera in cameras], query, observed, Provenance("bench")).tracks
    compared = ComparedTracks(
        query_frames=np.zeros(len(begun), np.int64),
        truth=scene.positions[:, begun],
        truth_visible=np.asarray(scene.visible[:, :, begun].any(axis=0)),
        found=lifted.positions,
        found_visible=lifted.visibility >= 0.5,
    )
    return create_protocol("mvtracker-dexycb").scores(compared)


@contextmanager
def _peak_memory(device: torch.device) -> Iterator[Callable[[], int | None]]:
    """What gives the most bytes that were in use at once, beyond those before: on a GPU, or in this process."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield lambda: int(torch.cuda.max_memory_allocated(device)) - before
        return
    first = _resident()
    if first is None:
        yield lambda: None
        return
    most, stop = [first], threading.Event()

    def watch() -> None:
        while not stop.wait(MEMORY_SECONDS):
            most[0] = max(most[0], _resident() or 0)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: most[0] - first
    finally:
        stop.set()
        watcher.join()


def _resident() -> int | None:
    """Bytes of memory of this process; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def ready_trackers() -> tuple[str, ...]:
    """Names of the trackers that can be used here and now."""
    return tuple(facts.name for facts in TRACKERS if TRACKERS.why_unavailable(facts.name) is None and not facts.stored)
