"""Tracks of all views of a capture, several views at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice

import cv2

from trackersplat.captures.capture import Capture
from trackersplat.errors import ShapeError
from trackersplat.tracking.masks import distrust_crossings
from trackersplat.tracking.tracker import DenseTracks, Tracker


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
    count = max(1, min(workers or os.cpu_count() or 1, len(cameras)))

    def track(camera: int) -> tuple[int, DenseTracks]:
        tracks = tracker.track([capture.image(camera, frame) for frame in frames], frames)
        base_mask, *target_masks = (capture.mask(camera, frame) for frame in frames)
        return camera, distrust_crossings(tracks, base_mask, target_masks)

    remaining = iter(cameras)
    with _opencv_threads(1 if count > 1 else None), ThreadPoolExecutor(count, thread_name_prefix="track") as pool:
        running: set[Future[tuple[int, DenseTracks]]] = {pool.submit(track, camera) for camera in islice(remaining, count)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    if (camera := next(remaining, None)) is not None:
                        running.add(pool.submit(track, camera))
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
