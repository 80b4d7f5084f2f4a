"""Tracks of all views of a capture, several views at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

import cv2
import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.errors import ShapeError
from trackersplat.motion.render_and_match import Prediction, look_again
from trackersplat.tracking.masks import distrust_crossings
from trackersplat.tracking.trackers.dis.direct import direct_tracks
from trackersplat.tracking.tracks import DenseTracks, Tracker

T = TypeVar("T")


def track_views(
    tracker: Tracker,
    capture: Capture,
    cameras: Sequence[int],
    base: int,
    targets: Sequence[int],
    *,
    workers: int | None = None,
) -> Iterator[tuple[int, DenseTracks]]:
    """Yields ``(camera, tracks from frame base to every target)`` as views finish, in any order.

    Where the capture has masks, tracks that cross their border get confidence 0 (`masks.distrust_crossings`). Decoding and
    tracking run in ``workers`` threads (default: one per processor; OpenCV and NumPy let go of the interpreter). At most
    ``workers`` views are held beside the one being yielded. Closing the iterator early drops what has not started and waits
    for the rest.

    Raises ShapeError if there is nothing to track; InputError if an image cannot be decoded.
    """
    if not cameras or not targets:
        raise ShapeError(f"Tracking needs at least one camera and one target frame, got {len(cameras)} and {len(targets)}.")
    frames = (base, *targets)

    def track(camera: int) -> tuple[int, DenseTracks]:
        tracks = tracker.track([capture.image(camera, frame) for frame in frames], frames)
        return camera, _within_masks(capture, camera, tracks)

    yield from _side_by_side(track, ((camera,) for camera in cameras), len(cameras), workers)


def look_again_at_views(
    capture: Capture,
    tracks: Sequence[tuple[int, DenseTracks]],
    predict: Callable[[int], Sequence[Prediction]],
    *,
    drifting: bool = False,
    workers: int | None = None,
) -> Iterator[tuple[int, DenseTracks]]:
    """Yields ``(camera, corrected tracks)`` for the ``(camera, tracks)`` of several views as they finish, in any order.

    ``predict`` gives a view's predictions, one per target; it is called in this thread, shortly before they are needed. ``drifting``
    is told to `look_again`; the rest is as in `track_views`.
    """

    def look(camera: int, before: DenseTracks, predictions: Sequence[Prediction]) -> tuple[int, DenseTracks]:
        found = [
            look_again(before.only([target]), capture.image(camera, target), predicted, drifting=drifting)
            for target, predicted in zip(before.targets, predictions, strict=True)
        ]
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(one, name) for one in found]) for name in ("positions", "visibility", "confidence")
        }
        return camera, _within_masks(capture, camera, replace(before, **joined))

    yield from _side_by_side(look, ((camera, before, predict(camera)) for camera, before in tracks), len(tracks), workers)


def direct_views(
    capture: Capture, cameras: Sequence[int], base: int, target: int, *, workers: int | None = None
) -> Iterator[tuple[int, DenseTracks]]:
    """Yields ``(camera, tracks from frame base to the target)`` by `direct_tracks` as views finish, in any order; the rest is as in
    `track_views`."""

    def track(camera: int) -> tuple[int, DenseTracks]:
        images = capture.image(camera, base), capture.image(camera, target)
        return camera, _within_masks(capture, camera, direct_tracks(*images, (base, target)))

    yield from _side_by_side(track, ((camera,) for camera in cameras), len(cameras), workers)


def _within_masks(capture: Capture, camera: int, tracks: DenseTracks) -> DenseTracks:
    base, *targets = (capture.mask(camera, frame) for frame in (tracks.base, *tracks.targets))
    return distrust_crossings(tracks, base, targets)


def _side_by_side(work: Callable[..., T], jobs: Iterator[tuple[Any, ...]], number: int, workers: int | None) -> Iterator[T]:
    """What ``work`` makes of each job, as it is done; a job is taken when a worker is free for it."""
    count = max(1, min(workers or os.cpu_count() or 1, number))
    with _opencv_threads(1 if count > 1 else None), ThreadPoolExecutor(count, thread_name_prefix="track") as pool:
        running: set[Future[T]] = {pool.submit(work, *job) for job in islice(jobs, count)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    if (job := next(jobs, None)) is not None:
                        running.add(pool.submit(work, *job))
                    yield future.result()
        finally:
            for future in running:
                future.cancel()


@contextmanager
def _opencv_threads(count: int | None) -> Iterator[None]:
    """Views in parallel are worth more than OpenCV's threads inside one view: together they run at half the speed."""
    before = cv2.getNumThreads()
    if count is not None:
        cv2.setNumThreads(count)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
