"""From a capture to a run: a pipeline makes the frames, a background writer keeps them.

A reconstruction is a stream of events; closing the iterator cancels it and leaves every finished frame on disk.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.checks.start import Doubts, doubtful_poses
from trackersplat.document.document import Document, has_document
from trackersplat.document.left_out import ids_of, leave_out
from trackersplat.edits.applied import AppliedEdits
from trackersplat.edits.log import EditLog, read_log
from trackersplat.edits.stale import MadeWith, made_with, stale_frames
from trackersplat.errors import InputError
from trackersplat.events import Event, Finished, FrameDone, Note, Preview, Remark, Stage, Stale, Started
from trackersplat.gaussians.ply import write_ply
from trackersplat.jobs.plan import plan_batches
from trackersplat.jobs.read_ahead import ReadAhead
from trackersplat.jobs.remarks import remarks
from trackersplat.pipelines.measure import held_out_means
from trackersplat.pipelines.pipeline import Batch, ChainState, Context, FrameResult, Pipeline
from trackersplat.pipelines.registry import PIPELINES, create_pipeline
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import BACKENDS
from trackersplat.store.run import Run
from trackersplat.store.watched import Watched
from trackersplat.store.writer import RunWriter
from trackersplat.tracking.registry import licence_remark
from trackersplat.tracking.track_cache import open_cache
from trackersplat.training.fit import FitState

log = logging.getLogger(__name__)

PREVIEW_SECONDS = 2.0  # at most one preview in this time
PREVIEW_FILE = "preview.ply"
WITHOUT_CARRIED = (
    "Frame {} is in the compact form, which lacks what its motion handed on, so the motion starts anew there (`--keep ply` keeps it)."
)
NOT_CHECKED = "Whether the poses fit the images could not be checked, because of a defect of the check ({}). The reconstruction goes on."
LEFT_OUT = "{:,} Gaussians are left out from here on, because the document of the run deletes them."
BATCHES_AHEAD = 2  # of full size, whose images are decoded in the background, the one in work included


def reconstruct(
    capture: Capture,
    run: Run,
    frames: Sequence[int],
    settings: ReconstructSettings,
    rasterizer: Rasterizer,
    *,
    redo: Collection[int] = (),
    keep_deleted: bool = False,
    weights: Path | None = None,
    track_cache: Path | None = None,
    others: Sequence[Rasterizer] = (),
    now: Callable[[], float] = time.perf_counter,
) -> Iterator[Event]:
    """Reconstructs the frames (indices from 0) that the run does not hold yet, and those of ``redo`` among them anew.

    The result depends on the settings, the edits of the run, the machine and the capture only, not on where an earlier attempt was
    stopped. A frame that is made anew stays as it is until the new one is complete. Frames that are stale in the end are told before the
    last event. What the document of the run deletes is left out, unless ``keep_deleted``. ``weights`` is the folder of the weights of
    metrics (torch's cache if absent), ``track_cache`` one that keeps what trackers of others answer (nothing is kept if absent), ``others``
    the rasterisers of further devices, ``now`` the clock that paces previews.

    Raises InputError if another process writes the run, an image that is read is not the one that the run was made from, or the run is
    removed meanwhile.
    """
    if not capture.filmed:
        raise InputError(f"{capture.name} has no photographs to reconstruct from: it was imported. Look at it, edit and export it.")
    started = now()
    with run.writing(), closing(run.watched(capture)) as watched:
        for frame in _to_compare(frames, run):
            watched.require(frame)
        log = read_log(run.path)
        context = Context(watched.capture, rasterizer, settings, weights, AppliedEdits(log.edits), open_cache(track_cache), tuple(others))
        batches = plan_batches(frames, [frame for frame in run.frames() if frame not in redo], settings.batch)
        document = None if keep_deleted or not has_document(run.path) else Document.open(run)
        again = frozenset(redo) & frozenset(frames) & frozenset(run.frames())
        run.remove_exact(again, thorough=True)
        yield from _written(_Work(watched, run, context, document, again), batches, log, now)
        if stale := stale_frames(log, run.records()):
            yield Stale(tuple(sorted(stale)))
    yield Finished(now() - started)


def _to_compare(frames: Sequence[int], run: Run) -> list[int]:
    """Frames whose images are compared with those of the capture before the work: the first and the last that are there already."""
    present = sorted(set(frames) & set(run.frames()))
    return sorted({*present[:1], *present[-1:]})


@dataclass(frozen=True)
class _Work:
    """What all batches of a reconstruction work with."""

    watched: Watched
    run: Run
    context: Context
    document: Document | None  # whose deletions are respected
    to_redo: frozenset[int]  # of the frames that are there


@dataclass(frozen=True, eq=False)
class _BaseIds(Event):
    """The lineage ids of the base of a batch, where there is a document; comes before its frames, and is not passed on."""

    ids: np.ndarray  # (N,) int64


def _written(work: _Work, batches: Sequence[Batch], log: EditLog, now: Callable[[], float]) -> Iterator[Event]:
    """The events of all frames of the batches; each FrameDone comes when its frame is on disk."""
    run, context = work.run, work.context
    capture, rasterizer, settings = context.capture, context.rasterizer, context.settings
    planned = tuple(frame for batch in batches for frame in batch.targets)
    run.require_places(planned)
    preview = _Previews(run.path / PREVIEW_FILE, now)
    machine = " and ".join(each.describe() for each in (rasterizer, *context.others))
    yield Started(planned, machine, settings.pipeline, settings.first.steps, settings.refine.steps)
    said = () if work.document is None else work.document.warnings
    chosen = BACKENDS.passed_over(rasterizer.name) if rasterizer.name in BACKENDS else ()
    yield from map(Remark, (*capture.warnings, *run.lost(), *_licences(context), *chosen, *said))
    run.write_metrics()
    if planned and not rasterizer.is_prepared():
        yield from _prepare(rasterizer, planned[0])
    first = next((batch.targets[0] for batch in batches if batch.base is None), None)
    doubts: tuple[str, ...] = ()
    if first is not None:
        yield Stage(first, "check")
        for event in _doubts(capture, first):
            if isinstance(event, Doubts):
                doubts = event.sentences
            else:
                yield event
        yield from map(Remark, doubts)
    made = {frame: MadeWith.of(done) for frame, done in run.records().items()}
    try:
        with RunWriter(run, capture, work.to_redo) as writer:
            notes: list[str] = []
            without = None if work.document is None else work.document.made_without()
            base_ids = np.zeros(0, np.int64)
            for event in _frames(batches, work):
                if isinstance(event, FrameResult):
                    keys = made[event.frame] = made_with(log, event.frame, event.base, made.get(event.base or 0, MadeWith()))
                    done = replace(frame_done(event, capture), notes=tuple(notes), edits=keys.gaussians, track_edits=keys.tracks)
                    if event.frame == first:
                        done = replace(done, remarks=(*doubts, *done.remarks))
                    if without is not None and event.base is not None:
                        done = replace(done, left_out=len(without.of(event.frame, event.base, base_ids)))
                    writer.put(event, done, work.watched.of(event.frame))
                    notes = []
                elif isinstance(event, _BaseIds):
                    base_ids = event.ids
                elif isinstance(event, Note):
                    notes.append(event.text)
                    yield event
                elif isinstance(event, FitState):
                    yield from preview.of(event)
                else:
                    yield event
                del event  # it may hold a frame's Gaussians
                yield from writer.finished()
            writer.wait()
            yield from writer.finished()
    finally:
        preview.remove()
    run.require_frames(planned)


def _doubts(capture: Capture, frame: int) -> Iterator[Event]:
    """The check before a first frame. It only warns, so a defect of it is told and logged, and does not end the work."""
    try:
        yield from doubtful_poses(capture, frame)
    except Exception as error:
        log.exception("the check of the poses before frame %d has failed", frame + 1)
        yield Doubts((NOT_CHECKED.format(f"{type(error).__name__}: {error}"),))


def _licences(context: Context) -> list[str]:
    """What the licences of the trackers forbid that are used."""
    if not PIPELINES.facts(context.settings.pipeline).tracks:
        return []
    remark = licence_remark(context.settings.tracker)
    return [] if remark is None else [remark]


def frame_done(result: FrameResult, capture: Capture) -> FrameDone:
    """What is reported and recorded of a result."""
    return FrameDone(
        frame=result.frame,
        base=result.base,
        scores=held_out_means(result.scores, capture),
        unavailable=dict(result.unavailable),
        gaussians=len(result.state),
        measured=result.measured,
        static=result.static,
        seconds=dict(result.seconds),
        remarks=remarks(result, capture),
    )


def _frames(batches: Sequence[Batch], work: _Work) -> Iterator[Event]:
    """The events of all batches. The state goes from batch to batch in memory; the run is read only to resume."""
    run, context, watched = work.run, work.context, work.watched
    capture, settings = context.capture, context.settings
    pipeline: Pipeline = create_pipeline(settings.pipeline)
    tracked = PIPELINES.facts(settings.pipeline).tracks
    state: ChainState | None = None
    read = [frame for batch in batches for frame in (batch.through if tracked else batch.targets)]
    with ReadAhead(capture, context.rasterizer.device, read) as ahead:
        for batch in batches:
            ahead.go((batch.through if tracked else batch.targets)[0], BATCHES_AHEAD * settings.batch)
            if batch.base is None:
                events = pipeline.first_frame(batch.targets[0], context)
            else:
                if state is None or state.frame != batch.base:
                    watched.require(batch.base)
                    told = len(run.remarks)
                    state = run.read_state(batch.base, context.rasterizer.device)
                    yield from map(Remark, run.remarks[told:])
                    if state.origin is not None:
                        watched.require(state.origin.frame)
                    if tracked and state.carried is None and (state.origin is None or state.origin.frame != state.frame):
                        yield Note(batch.targets[0], WITHOUT_CARRIED.format(batch.base + 1))
                if work.document is not None:
                    yield _BaseIds(ids_of(work.document, state))
                    state, left_out = leave_out(work.document, state, batch.targets[0])
                    if left_out:
                        yield Note(batch.targets[0], LEFT_OUT.format(left_out))
                events = pipeline.step(state, batch, context)
            for event in events:
                if isinstance(event, FrameResult):
                    state = event.state
                    ahead.go(event.frame, BATCHES_AHEAD * settings.batch)
                yield event


def _prepare(rasterizer: Rasterizer, frame: int) -> Iterator[Event]:
    """Compiles the kernels in a thread, so that every step can be told."""
    steps: queue.Queue[str] = queue.Queue()
    with ThreadPoolExecutor(1) as pool:
        compiling = pool.submit(rasterizer.prepare, lambda what, done, total: steps.put(f"{what} ({done} of {total})"))
        while not compiling.done() or not steps.empty():
            try:
                yield Stage(frame, "compile", steps.get(timeout=0.1))
            except queue.Empty:
                continue
        compiling.result()


class _Previews:
    """Writes the state of a first frame for whoever watches, now and then. What a killed process left is removed first."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        """Raises InputError if a folder has the name of the file."""
        self.path = path
        self._now = now
        self._frame = -1
        self._last = now()
        if path.is_dir() and not path.is_symlink():
            raise InputError(f"{path} is a folder, where a preview is written during the work: remove or rename it.")
        self.remove()

    def of(self, state: FitState) -> Iterator[Event]:
        """None of what is done sooner than a preview would be written and read."""
        if state.frame != self._frame:
            self._frame, self._last = state.frame, self._now()
        if self._now() - self._last >= PREVIEW_SECONDS:
            write_ply(self.path, state.gaussians)
            yield Preview(state.frame, str(self.path))
            self._last = self._now()

    def remove(self) -> None:
        with suppress(OSError):  # a preview that stays does no harm, and must not hide an earlier error
            self.path.unlink(missing_ok=True)
