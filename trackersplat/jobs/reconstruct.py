"""From a capture to a run: fits a first frame, then moves it by tracks and refines it, frame after frame.

A reconstruction is a stream of events; closing the iterator cancels it and leaves every finished frame on disk.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import torch

from trackersplat.captures.capture import Capture
from trackersplat.events import Event, Finished, FrameDone, FrameScores, Preview, Stage, Started, StepDone
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.ply import write_ply
from trackersplat.jobs.plan import Batch, plan_batches
from trackersplat.motion.apply import move
from trackersplat.motion.motion import Motion
from trackersplat.pipelines.chain import Origin, follow_in_legs
from trackersplat.pipelines.measure import compare_with_camera
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.choose import describe, is_prepared, prepare
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.store.run import FrameResult, Run
from trackersplat.store.tables import CameraScore
from trackersplat.tracking.point_tracks import PointTracks, sample_grid
from trackersplat.tracking.registry import create_tracker, tracker_info
from trackersplat.tracking.views import track_views
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.photometric import ColourAffines
from trackersplat.training.progress import Progress
from trackersplat.training.refine.refine import refine_frame

PREVIEW_SECONDS = 2.0  # at most one preview in this time
TRACK_GRID_PX = 8  # spacing of the tracks kept for display
PREVIEW_FILE = "preview.ply"


def reconstruct(
    capture: Capture, run: Run, frames: Sequence[int], settings: ReconstructSettings, rasterizer: Rasterizer
) -> Iterator[Event]:
    """Reconstructs the frames (indices from 0) that the run does not hold yet.

    The result depends on the settings, the machine and the capture only, not on where an earlier attempt was stopped.
    """
    started = time.perf_counter()
    batches = plan_batches(frames, run.frames(), settings.batch)
    planned = tuple(frame for batch in batches for frame in batch.targets)
    yield Started(planned, describe(rasterizer), settings.first.steps, settings.refine.steps)
    run.write_metrics()
    if planned and not is_prepared(rasterizer):
        yield from _prepare(rasterizer, planned[0])
    try:
        for index, batch in enumerate(batches):
            ahead = batches[index : index + 2]
            frames_ahead = [frame for batch in ahead for frame in (batch.targets if settings.tracker is None else batch.through)]
            capture.prefetch(range(len(capture.cameras)), frames_ahead)
            if batch.base is None:
                yield from _first(capture, run, batch.targets[0], settings, rasterizer)
            else:
                yield from _moved(capture, run, batch, settings, rasterizer)
    finally:
        (run.path / PREVIEW_FILE).unlink(missing_ok=True)
    yield Finished(time.perf_counter() - started)


def _prepare(rasterizer: Rasterizer, frame: int) -> Iterator[Stage]:
    """Compiles the kernels in a thread, so that every step can be told."""
    steps: queue.Queue[str] = queue.Queue()
    with ThreadPoolExecutor(1) as pool:
        compiling = pool.submit(prepare, rasterizer, lambda what, done, total: steps.put(f"{what} ({done} of {total})"))
        while not compiling.done() or not steps.empty():
            try:
                yield Stage(frame, "compile", steps.get(timeout=0.1))
            except queue.Empty:
                continue
        compiling.result()


def _first(capture: Capture, run: Run, frame: int, settings: ReconstructSettings, rasterizer: Rasterizer) -> Iterator[Event]:
    started = time.perf_counter()
    first = replace(settings.first, seed=settings.seed + frame)
    last: Progress | None = None
    for event in _steps(run, frame, fit_first_frame(capture, frame, rasterizer, first), preview=True):
        if isinstance(event, Progress):
            last = event
        else:
            yield event
    assert last is not None, "a fit that yields no progress"
    result = last.gaussians.detach()
    yield Stage(frame, "measure")
    held_out, training = _scores(rasterizer, capture, frame, {"": result}, last.colours)
    scores = FrameScores(None, None, _mean([s.psnr for s in held_out]), _mean([s.ssim for s in held_out]))
    done = FrameDone(frame, None, scores, len(result), 0.0, 0.0, time.perf_counter() - started)
    run.write_frame(FrameResult(done, result, settings.first.steps, held_out, training, colours=last.colours), capture)
    yield done


def _moved(capture: Capture, run: Run, batch: Batch, settings: ReconstructSettings, rasterizer: Rasterizer) -> Iterator[Event]:
    assert batch.base is not None
    started = time.perf_counter()
    base = run.read_frame(batch.base).to(rasterizer.device)
    colours = run.read_colours(batch.base)
    for event in _targets(capture, run, batch, base, colours, settings, rasterizer):
        if isinstance(event, Stage):
            yield event
            continue
        frame, motion, sample = event
        moved = base if motion is None else move(base, motion)
        static = torch.zeros(len(base), dtype=torch.bool, device=base.device) if motion is None else motion.static
        yield Stage(frame, "refine")
        refine = replace(settings.refine if motion is not None else settings.refine.unmoved(), seed=settings.seed + frame)
        result, born = moved, torch.zeros(0, dtype=torch.long, device=base.device)
        for step in _steps(run, frame, refine_frame(moved, static, capture, frame, rasterizer, refine, colours), preview=False):
            if isinstance(step, Progress):
                result, born = step.gaussians.detach(), born if step.born is None else step.born
            else:
                yield step
        yield Stage(frame, "measure")
        stages = {"still": base, "moved": moved, "": result}
        held_out, training = _scores(rasterizer, capture, frame, stages if motion is not None else {"still": base, "": result}, colours)
        scores = FrameScores(
            _mean([s.still_psnr for s in held_out]),
            _mean([s.moved_psnr for s in held_out]),
            _mean([s.psnr for s in held_out]),
            _mean([s.ssim for s in held_out]),
        )
        measured = 0.0 if motion is None else motion.measured.float().mean().item()
        seconds = time.perf_counter() - started
        done = FrameDone(frame, batch.base, scores, len(result), measured, static.float().mean().item(), seconds)
        handed_on = None if motion is None or motion.carried is None else motion.carried.without(born)
        run.write_frame(FrameResult(done, result, settings.refine.steps, held_out, training, sample, handed_on, colours, born), capture)
        yield done
        started = time.perf_counter()


def _targets(
    capture: Capture,
    run: Run,
    batch: Batch,
    base: Gaussians,
    colours: ColourAffines | None,
    settings: ReconstructSettings,
    rasterizer: Rasterizer,
) -> Iterator[Stage | tuple[int, Motion | None, dict[str, PointTracks]]]:
    """The targets of the batch, each as soon as the motion to it is known, and a sample of the tracks that it comes from; None and
    nothing where nothing is moved by tracks."""
    if settings.tracker is None:
        yield from ((frame, None, {}) for frame in batch.targets)
        return
    assert batch.base is not None
    kept = run.read_carried(batch.base)
    carried = kept.to(base.device) if kept is not None and len(kept) == len(base) else None
    for event in follow_in_legs(
        capture,
        base,
        batch.base,
        batch.through,
        partial(track_views, create_tracker(settings.tracker), capture),
        rasterizer,
        settings.motion,
        leg=tracker_info(settings.tracker).leg,
        looks=settings.looks,
        carried=carried,
        colours=colours,
        origin=_origin(run, batch.base, base),
    ):
        if isinstance(event, Stage):  # said of a frame that is to be done: those on the way may be finished
            yield replace(event, frame=min(frame for frame in batch.targets if frame >= event.frame))
        elif event.frame in batch.targets:
            grids = {
                capture.cameras[camera].name: sample_grid(dense, dense.targets.index(event.frame), TRACK_GRID_PX)
                for camera, dense in event.tracks
            }
            frame, motion = event.frame, event.motion
            del event  # the tracks of all views are large
            yield frame, motion, grids


def _origin(run: Run, frame: int, gaussians: Gaussians) -> Origin | None:
    """The fitted frame that the ``gaussians`` of this one descend from; None if their number is another, or it is not there any more."""
    records, born = run.records(), []
    while (done := records.get(frame)) is not None and done.base is not None and done.base < frame:  # a record may be broken
        born.append(run.read_born(frame))
        frame = done.base
    if done is None or done.base is not None or frame not in run.frames():
        return None
    fitted = run.read_frame(frame)
    if len(fitted) != len(gaussians):
        return None
    gone = torch.cat(born).unique() if born else None
    return Origin(frame, fitted.to(gaussians.device), None if gone is None else gone[gone < len(fitted)].to(gaussians.device))


def _steps(run: Run, frame: int, progress: Iterator[Progress], *, preview: bool) -> Iterator[StepDone | Preview | Stage | Progress]:
    """The events of an optimisation, and last of all the record that carries its result."""
    last_preview = 0.0
    latest: Progress | None = None
    for latest in progress:
        if latest.stage:
            yield Stage(frame, latest.stage, latest.detail)
            continue
        yield StepDone(frame, latest.step, latest.steps, latest.loss, len(latest.gaussians), latest.psnr)
        if preview and time.monotonic() - last_preview > PREVIEW_SECONDS and latest.step < latest.steps:
            path = run.path / PREVIEW_FILE
            write_ply(path, latest.gaussians)
            yield Preview(frame, str(path))
            last_preview = time.monotonic()
    if latest is not None:
        yield latest


def _scores(
    rasterizer: Rasterizer, capture: Capture, frame: int, stages: dict[str, Gaussians], colours: ColourAffines | None
) -> tuple[tuple[CameraScore, ...], tuple[CameraScore, ...]]:
    """Scores of the held-out cameras at every stage, and of the training cameras for the result alone."""

    def score(camera: int, wanted: dict[str, Gaussians]) -> CameraScore:
        found = {name: compare_with_camera(rasterizer, gaussians, capture, camera, frame, colours) for name, gaussians in wanted.items()}
        still, moved = found.get("still"), found.get("moved")
        return CameraScore(capture.cameras[camera].name, *found[""], still[0] if still else None, moved[0] if moved else None)

    held_out = tuple(score(camera, stages) for camera in capture.held_out_cameras)
    return held_out, tuple(score(camera, {"": stages[""]}) for camera in capture.training_cameras)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
