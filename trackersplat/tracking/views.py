"""Tracks of all views of a capture, several views at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast

import cv2
import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.errors import ShapeError
from trackersplat.rendering.device_images import device_image, device_mask, is_on_device
from trackersplat.tracking.grid import interpolate_grid, query_grid
from trackersplat.tracking.masks import distrust_crossings
from trackersplat.tracking.parts import follow
from trackersplat.tracking.settings import GridSettings
from trackersplat.tracking.track_cache import TrackCache
from trackersplat.tracking.tracker import BatchMatcher, Clip, DenseTracker, Matcher, PointMotion, QueryTracker, Tracker
from trackersplat.tracking.tracks import DenseTracks

_PIXELS_TOGETHER = 1 << 25  # of views and targets whose predictions are held at once (bound): about 30 bytes each

T = TypeVar("T")
P = TypeVar("P")


def track_views(
    tracker: Tracker,
    capture: Capture,
    cameras: Sequence[int],
    base: int,
    targets: Sequence[int],
    *,
    workers: int | None = None,
    grid: GridSettings | None = None,
    cache: TrackCache | None = None,
) -> Iterator[tuple[int, DenseTracks]]:
    """Yields ``(camera, tracks from frame base to every target)`` as views finish, in any order, on the tracker's device.

    A tracker that follows chosen points only is asked for a ``grid`` of them, and its tracks are interpolated between. Where the capture
    has masks, tracks that cross their border get confidence 0 (`masks.distrust_crossings`).

    Images are decoded, and single views tracked, in ``workers`` threads (default: one per processor; OpenCV and NumPy let go of the
    interpreter). A tracker of single views holds at most ``workers`` views beside the one being yielded; a tracker of several gets all
    views of one size at once. Code of others is asked for one view after another, in parts (`parts`), and what it answers is kept in
    the ``cache``, if there is one. Closing the iterator early drops what has not started and waits for the rest.

    Raises TrackerFailed if the code of others fails.
    Raises ShapeError if there is nothing to track, or the tracker's answer is not as its contract says; InputError if an image cannot be
    decoded.
    """
    if not cameras or not targets:
        raise ShapeError(f"Tracking needs at least one camera and one target frame, got {len(cameras)} and {len(targets)}.")
    frames = (base, *targets)
    spacing = grid or GridSettings()
    if tracker.facts.upstream is not None:
        yield from _one_by_one(tracker, capture, cameras, frames, spacing, cache)
        return
    if tracker.facts.batch == "views":
        yield from _track_together(tracker, capture, cameras, frames, spacing, workers)
        return

    def track(camera: int) -> tuple[int, DenseTracks]:
        images = torch.from_numpy(np.stack([capture.image(camera, frame) for frame in frames])[None])
        return _answers(tracker, capture, [camera], images, frames, spacing)[0]

    yield from _side_by_side(track, ((camera,) for camera in cameras), len(cameras), workers)


def match_views(
    matcher: Matcher, capture: Capture, cameras: Sequence[int], base: int, target: int, *, workers: int | None = None
) -> Iterator[tuple[int, DenseTracks]]:
    """Yields ``(camera, tracks from frame base to the target)`` by plain flow, over nothing in between, on the matcher's device.

    They hold for what has not moved far, and only there are they certain: nothing is searched for. Masks, threads and errors are
    as in `track_views`; a matcher of many pairs gets all views of one size at once.
    """
    if matcher.facts.batch == "views":
        for group in _of_one_size(capture, cameras):
            sources, sinks = _images_together(capture, group, (base, target), matcher.device, workers).unbind(1)
            together = cast(BatchMatcher, matcher).match_together(sources, sinks)
            for view, camera in enumerate(group):
                yield camera, _tracks(together, view, (base, target), capture, camera, matcher)
        return

    def track(camera: int) -> tuple[int, DenseTracks]:
        source, sink = (_image(capture, camera, frame, matcher.device) for frame in (base, target))
        motion = matcher.match(source, sink)
        return camera, _tracks(motion, 0, (base, target), capture, camera, matcher)

    yield from _side_by_side(track, ((camera,) for camera in cameras), len(cameras), workers)


def correct_views(
    capture: Capture,
    tracks: Sequence[tuple[int, DenseTracks]],
    predict: Callable[[int], Sequence[P]],
    correct: Callable[[DenseTracks, Tensor, P], DenseTracks],
    device: torch.device,
    *,
    workers: int | None = None,
) -> Iterator[tuple[int, DenseTracks]]:
    """Yields ``(camera, corrected tracks)`` for the ``(camera, tracks)`` of several views as they finish, in any order.

    ``predict`` gives what the camera should see, one prediction per target; it is called in this thread, shortly before it is needed.
    ``correct(tracks to one target, its image, its prediction)`` is called in other threads; the image is (H, W, 3) uint8 on the
    ``device``. Masks, threads and errors are as in `track_views`.
    """

    def work(camera: int, before: DenseTracks, predictions: Sequence[P]) -> tuple[int, DenseTracks]:
        parts = [
            correct(before.only([target]), _image(capture, camera, target, device), predicted)
            for target, predicted in zip(before.targets, predictions, strict=True)
        ]
        after = replace(
            before,
            positions=torch.cat([part.positions for part in parts]),
            visibility=torch.cat([part.visibility for part in parts]),
            confidence=torch.cat([part.confidence for part in parts]),
        )
        return camera, within_masks(capture, camera, after)

    yield from _side_by_side(work, ((camera, before, predict(camera)) for camera, before in tracks), len(tracks), workers)


def _one_by_one(
    tracker: Tracker, capture: Capture, cameras: Sequence[int], frames: tuple[int, ...], grid: GridSettings, cache: TrackCache | None
) -> Iterator[tuple[int, DenseTracks]]:
    """Views in this thread: code of others shares random states, modules and the memory of a GPU with everything else."""
    for camera in cameras:
        images = torch.from_numpy(np.stack([capture.image(camera, frame) for frame in frames])[None])
        height, width = images.shape[2:4]
        points = None if tracker.facts.dense else query_grid(width, height, grid, torch.device("cpu"))
        queries = None if points is None else points.reshape(-1, 2)
        key = None if cache is None else cache.key(tracker, images, queries, grid)
        answer = None if cache is None or key is None else cache.read(key)
        if answer is None:
            clip = Clip(images.to(tracker.device), frames)
            answer = follow(tracker, clip, None if queries is None else queries.to(tracker.device), grid)
            if cache is not None and key is not None:
                cache.write(key, answer)
        motion = answer.motion.to(tracker.device)
        if points is not None:
            motion = interpolate_grid(motion, points.to(tracker.device), width, height)
        yield camera, replace(_tracks(motion, 0, frames, capture, camera, tracker), remarks=answer.remarks)


def correct_views_together(
    capture: Capture,
    tracks: Sequence[tuple[int, DenseTracks]],
    predict: Callable[[list[int]], Sequence[Sequence[P]]],
    correct: Callable[[list[DenseTracks], list[Tensor], list[P]], Sequence[DenseTracks]],
    device: torch.device,
) -> Iterator[tuple[int, DenseTracks]]:
    """As `correct_views`, but ``predict`` and ``correct`` are called in this thread for many views (and targets) of one size at once.

    It is given one list each of the tracks to one target, the images and the predictions; views go together as far as
    `_PIXELS_TOGETHER` reaches.
    """
    for group in _of_one_size(capture, [camera for camera, _ in tracks]):
        chosen = [(camera, before) for camera, before in tracks if camera in group]
        height, width = chosen[0][1].positions.shape[1:3]
        count = max(1, _PIXELS_TOGETHER // (height * width * max(1, len(chosen[0][1].targets))))
        for first in range(0, len(chosen), count):
            part = chosen[first : first + count]
            single = [(camera, before.only([target])) for camera, before in part for target in before.targets]
            images = _images(capture, [(camera, one.targets[0]) for camera, one in single], device)
            predicted = [prediction for of_view in predict([camera for camera, _ in part]) for prediction in of_view]
            found = iter(correct([one for _, one in single], images, predicted))
            for camera, before in part:
                after = before
                for _ in before.targets:
                    after = after.with_part(next(found))
                yield camera, within_masks(capture, camera, after)


def _of_one_size(capture: Capture, cameras: Sequence[int]) -> list[list[int]]:
    sizes: dict[tuple[int, int], list[int]] = {}
    for camera in cameras:
        sizes.setdefault((capture.cameras[camera].height, capture.cameras[camera].width), []).append(camera)
    return list(sizes.values())


def _decode(capture: Capture, camera: int, frame: int, device: torch.device | None = None) -> None:
    """Has the image in the memory of the capture, or of the device."""
    if device is None:
        capture.image(camera, frame)
    else:
        device_image(capture, camera, frame, device)


def _track_together(
    tracker: Tracker, capture: Capture, cameras: Sequence[int], frames: tuple[int, ...], grid: GridSettings, workers: int | None
) -> Iterator[tuple[int, DenseTracks]]:
    """All views of one size in one call. Images go to a GPU one by one as they are decoded, and are kept there."""
    for group in _of_one_size(capture, cameras):
        yield from _answers(tracker, capture, group, _images_together(capture, group, frames, tracker.device, workers), frames, grid)


def _images_together(capture: Capture, cameras: Sequence[int], frames: Sequence[int], device: torch.device, workers: int | None) -> Tensor:
    """(V, F, H, W, 3) uint8 of cameras of one size, as `_images`."""
    images = _images(capture, [(camera, frame) for camera in cameras for frame in frames], device, workers)
    return torch.stack(images).unflatten(0, (len(cameras), len(frames)))


def _images(capture: Capture, wanted: Sequence[tuple[int, int]], device: torch.device, workers: int | None = None) -> list[Tensor]:
    """Of these cameras and frames, on the device. Those that are not there yet are decoded in threads."""
    missing = [(camera, frame) for camera, frame in wanted if not is_on_device(capture, camera, frame, device)]
    for _ in _side_by_side(partial(_decode, capture, device=device), iter(missing), len(missing), workers):
        continue
    return [device_image(capture, camera, frame, device) for camera, frame in wanted]


def _answers(
    tracker: Tracker, capture: Capture, cameras: Sequence[int], images: Tensor, frames: tuple[int, ...], grid: GridSettings
) -> list[tuple[int, DenseTracks]]:
    """The tracks of these cameras from one call; ``images`` (V, 1 + F, H, W, 3)."""
    clip = Clip(images.to(tracker.device), frames)
    height, width = images.shape[2:4]
    if tracker.facts.dense:
        motion = cast(DenseTracker, tracker).track_dense(clip)
        return [(camera, _tracks(motion, view, frames, capture, camera, tracker)) for view, camera in enumerate(cameras)]
    points = query_grid(width, height, grid, tracker.device)
    motions = cast(QueryTracker, tracker).track_queries(clip, [points.reshape(-1, 2)] * len(cameras))
    return [
        (camera, _tracks(interpolate_grid(motion, points, width, height), 0, frames, capture, camera, tracker))
        for camera, motion in zip(cameras, motions, strict=True)
    ]


def _tracks(
    motion: PointMotion, view: int, frames: tuple[int, ...], capture: Capture, camera: int, maker: Tracker | Matcher
) -> DenseTracks:
    """The dense tracks of one view of the ``motion``, within its masks."""
    height, width = capture.cameras[camera].height, capture.cameras[camera].width
    if tuple(motion.positions.shape[2:4]) != (height, width):
        shape = tuple(motion.positions.shape)
        raise ShapeError(f"{maker.facts.name} answered {shape} about a view of {width}x{height} pixels.")
    tracks = DenseTracks(
        base=frames[0],
        targets=frames[1:],
        positions=motion.positions[view],
        visibility=motion.visibility[view],
        confidence=motion.confidence[view],
        hidden_weight=maker.facts.hidden_weight,
        provenance=replace(maker.provenance, size=maker.provenance.size or (width, height)),
    )
    return within_masks(capture, camera, tracks)


def within_masks(capture: Capture, camera: int, tracks: DenseTracks) -> DenseTracks:
    """See `masks.distrust_crossings`, with the camera's masks."""
    if not capture.has_masks(camera):
        return tracks
    base, *targets = (device_mask(capture, camera, frame, tracks.positions.device) for frame in (tracks.base, *tracks.targets))
    return distrust_crossings(tracks, base, targets)


def _image(capture: Capture, camera: int, frame: int, device: torch.device) -> Tensor:
    return device_image(capture, camera, frame, device)


def _side_by_side(work: Callable[..., T], jobs: Iterator[tuple[Any, ...]], number: int, workers: int | None) -> Iterator[T]:
    """What ``work`` makes of each job, as it is done; a job is taken when a worker is free for it."""
    if not number:
        return
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
