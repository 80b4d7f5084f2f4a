from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from cards import shifted, texture

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError, ShapeError
from trackersplat.motion.render_and_match import Prediction, look_again
from trackersplat.tracking.registry import tracker_info
from trackersplat.tracking.trackers.dis.direct import direct_tracks
from trackersplat.tracking.tracks import DenseTracks
from trackersplat.tracking.views import direct_views, look_again_at_views, track_views

THREADS = cv2.getNumThreads()


class NumberedSource:
    """Images whose every pixel is 10 * camera + frame."""

    def read(self, camera: int, frame: int) -> np.ndarray:
        if camera == 3:
            raise InputError("cam3.mp4 cannot be decoded.")
        return np.full((16, 16, 3), 10 * camera + frame, dtype=np.uint8)

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None: ...

    def close(self) -> None: ...


class RecordingTracker:
    """Reports the pixel values it was given as visibility, and how many views it held at once."""

    info = tracker_info("dis")

    def __init__(self) -> None:
        self.lock, self.now, self.most, self.calls = threading.Lock(), 0, 0, 0

    def track(self, images: Sequence[np.ndarray], frames: Sequence[int]) -> DenseTracks:
        with self.lock:
            self.now, self.calls = self.now + 1, self.calls + 1
            self.most = max(self.most, self.now)
        values = np.array([image[0, 0, 0] for image in images[1:]], dtype=np.float32)
        shape = (len(values), 16, 16)
        with self.lock:
            self.now -= 1
        return DenseTracks(
            frames[0],
            tuple(frames[1:]),
            np.zeros((*shape, 2), np.float32),
            np.broadcast_to(values[:, None, None], shape),
            np.ones(shape),
            self.info,
        )


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    cameras = tuple(Camera(f"cam{i}", 16, 16, np.diag((20.0, 20.0, 1.0)), np.eye(4)) for i in range(4))
    return Capture("numbers", tmp_path, "test", cameras, 9, 30.0, NumberedSource())


@pytest.mark.parametrize("workers", [1, 2, 8, None])
def test_every_view_comes_once_with_the_frames_asked_for(capture: Capture, workers: int | None) -> None:
    tracker = RecordingTracker()
    result = dict(track_views(tracker, capture, (0, 2, 1), 4, (5, 8), workers=workers))
    assert sorted(result) == [0, 1, 2]
    for camera, tracks in result.items():
        assert (tracks.base, tracks.targets) == (4, (5, 8))
        assert tracks.visibility[:, 0, 0].tolist() == [10 * camera + 5, 10 * camera + 8]
    assert tracker.calls == 3
    assert tracker.most <= (workers or 64)


def test_an_image_that_cannot_be_decoded_is_reported(capture: Capture) -> None:
    with pytest.raises(InputError, match=r"cam3\.mp4"):
        list(track_views(RecordingTracker(), capture, (0, 1, 3), 0, (1,)))


def test_closing_early_starts_no_further_views(capture: Capture) -> None:
    tracker = RecordingTracker()
    views = track_views(tracker, capture, (0, 1, 2), 0, (1,), workers=1)
    next(views)
    views.close()
    assert tracker.calls <= 2


@pytest.mark.parametrize(("cameras", "targets"), [((), (1,)), ((0,), ())])
def test_nothing_to_track_is_refused(capture: Capture, cameras: tuple[int, ...], targets: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError):
        list(track_views(RecordingTracker(), capture, cameras, 0, targets))


class HalfMasks:
    """The left half is foreground in even frames, the right half in odd ones; camera 1 has no masks."""

    def has(self, camera: int) -> bool:
        return camera != 1

    def read(self, camera: int, frame: int) -> np.ndarray | None:
        half = (np.arange(16) < 8) == (frame % 2 == 0)
        return np.broadcast_to(half, (16, 16)) if camera != 1 else None

    def close(self) -> None: ...


def test_tracks_across_the_border_of_a_mask_are_not_trusted(capture):
    masked = replace(capture, masks=HalfMasks())
    found = dict(track_views(RecordingTracker(), masked, [0, 1, 2], 0, [1, 2]))
    # every track ends on the pixel (0, 0): background in frame 1, foreground in frame 2
    np.testing.assert_array_equal(found[0].confidence[:, 5], [np.arange(16) >= 8, np.arange(16) < 8])
    np.testing.assert_array_equal(found[1].confidence, 1.0)


class ShiftedSource:
    """A texture of every camera that shifts by a pixel and a half each frame."""

    def read(self, camera: int, frame: int) -> np.ndarray:
        return shifted(texture(camera, 24, 32), 1.5 * frame, -frame)

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def shifts(capture: Capture) -> Capture:
    cameras = tuple(replace(camera, width=32, height=24) for camera in capture.cameras)
    return replace(capture, cameras=cameras, source=ShiftedSource())


def lost(targets: tuple[int, ...] = (1, 3)) -> DenseTracks:
    """Tracks of a ShiftedSource that are sure of the place of the first pixel alone."""
    shape = (len(targets), 24, 32)
    positions, confidence = np.full((*shape, 2), np.nan, np.float32), np.zeros(shape, np.float32)
    positions[:, 0, 0, 0], positions[:, 0, 0, 1], confidence[:, 0, 0] = targets, 5, 1
    return DenseTracks(0, targets, positions, np.ones(shape, np.float32), confidence, tracker_info("dis"))


def predicted(capture: Capture, camera: int, target: int) -> Prediction:
    """Right but for a pixel."""
    way = np.broadcast_to(np.array((1.5 * target - 1, -target), np.float32), (24, 32, 2))
    return Prediction(shifted(texture(camera, 24, 32), 1.5 * target - 1, -target), way, -way)


@pytest.mark.parametrize("workers", [1, 2, 8, None])
def test_every_view_is_looked_at_again_with_its_own_predictions(shifts: Capture, workers: int | None) -> None:
    def predict(camera: int) -> list[Prediction]:
        return [predicted(shifts, camera, target) for target in (1, 3)]

    found = dict(look_again_at_views(shifts, [(camera, lost()) for camera in (2, 0, 1)], predict, workers=workers))
    assert sorted(found) == [0, 1, 2]
    for camera, tracks in found.items():
        assert (tracks.base, tracks.targets) == (0, (1, 3))
        for index, target in enumerate((1, 3)):
            alone = look_again(lost((target,)), shifts.image(camera, target), predicted(shifts, camera, target))
            for name in ("positions", "visibility", "confidence"):
                np.testing.assert_array_equal(getattr(tracks, name)[index], getattr(alone, name)[0])
            assert np.median(alone.confidence) > 0.9
            assert tracks.positions[index, 0, 0].tolist() == [target, 5]
            middle = tracks.positions[index, 12, 16]
            np.testing.assert_allclose(middle, (16.5 + 1.5 * target, 12.5 - target), atol=0.1)


def test_views_are_looked_at_side_by_side(shifts: Capture) -> None:
    together = threading.Barrier(2)

    class Meeting(ShiftedSource):
        def read(self, camera: int, frame: int) -> np.ndarray:
            together.wait(timeout=20)  # for the other view
            return super().read(camera, frame)

    def predict(camera: int) -> list[Prediction]:
        return [predicted(shifts, camera, 1)]

    capture = replace(shifts, source=Meeting())
    looks = look_again_at_views(capture, [(camera, lost((1,))) for camera in range(2)], predict, workers=2)
    assert sorted(camera for camera, _ in looks) == [0, 1]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_predictions_are_made_in_the_calling_thread_no_sooner_than_needed(shifts: Capture, workers: int) -> None:
    called: list[int] = []
    threads = set()

    def predict(camera: int) -> list[Prediction]:
        called.append(camera)
        threads.add(threading.get_ident())
        return [predicted(shifts, camera % 4, 1)]

    numbers = [camera % 4 for camera in range(9)]
    looks = look_again_at_views(shifts, [(camera, lost((1,))) for camera in numbers], predict, workers=workers)
    assert called == []
    for yielded in range(1, 10):
        next(looks)
        assert len(called) <= yielded + workers  # those that are worked at, beside what was yielded
    assert next(looks, None) is None
    assert called == numbers
    assert threads == {threading.get_ident()}


def test_closing_early_looks_at_no_further_views(shifts: Capture) -> None:
    called: list[int] = []

    def predict(camera: int) -> list[Prediction]:
        called.append(camera)
        return [predicted(shifts, camera, 1)]

    looks = look_again_at_views(shifts, [(camera, lost((1,))) for camera in range(4)], predict, workers=1)
    next(looks)
    looks.close()
    assert called == [0, 1]
    assert cv2.getNumThreads() == THREADS


def test_a_prediction_that_fails_ends_the_looks_with_its_error(shifts: Capture) -> None:
    def predict(camera: int) -> list[Prediction]:
        if camera == 2:
            raise InputError("Nothing to render.")
        return [predicted(shifts, camera, 1)]

    with pytest.raises(InputError, match="Nothing to render"):
        list(look_again_at_views(shifts, [(camera, lost((1,))) for camera in range(4)], predict, workers=2))
    assert cv2.getNumThreads() == THREADS


def test_every_target_needs_its_prediction(shifts: Capture) -> None:
    with pytest.raises(ValueError, match="shorter"):
        list(look_again_at_views(shifts, [(0, lost())], lambda camera: [predicted(shifts, camera, 1)]))


class WideMasks:
    """The left half is foreground in the first frame, the right half in all others; camera 1 has no masks."""

    def has(self, camera: int) -> bool:
        return camera != 1

    def read(self, camera: int, frame: int) -> np.ndarray | None:
        return np.broadcast_to((np.arange(32) < 16) == (frame == 0), (24, 32)) if camera != 1 else None

    def close(self) -> None: ...


def test_what_a_second_look_finds_across_the_border_of_a_mask_is_not_trusted(shifts: Capture) -> None:
    def found(capture: Capture) -> dict[int, DenseTracks]:
        predict = partial(predicted, capture, target=1)
        return dict(look_again_at_views(capture, [(0, lost((1,))), (1, lost((1,)))], lambda camera: [predict(camera)]))

    plain, masked = found(shifts), found(replace(shifts, masks=WideMasks()))
    at = plain[0].positions[0]
    agree = (at[..., 0] >= 16) == (np.arange(32) < 16)  # only what crosses the middle stays foreground, or background
    assert (plain[0].confidence[0][agree] > 0.5).any()
    inside = (at >= 0).all(-1) & (at < (32, 24)).all(-1)
    np.testing.assert_array_equal(masked[0].confidence[0], np.where(inside & ~agree, 0, plain[0].confidence[0]))
    np.testing.assert_array_equal(masked[1].confidence, plain[1].confidence)
    assert plain[1].confidence.max() > 0.9


@pytest.mark.parametrize("workers", [1, None])
def test_direct_tracks_are_those_of_every_view_and_of_no_use_across_the_border_of_a_mask(shifts: Capture, workers: int | None) -> None:
    plain, masked = (
        dict(direct_views(capture, [2, 0, 1], 0, 1, workers=workers)) for capture in (shifts, replace(shifts, masks=WideMasks()))
    )
    for camera in range(3):
        alone = direct_tracks(shifts.image(camera, 0), shifts.image(camera, 1), (0, 1))
        np.testing.assert_array_equal(plain[camera].positions, alone.positions)
        np.testing.assert_array_equal(plain[camera].confidence, alone.confidence)
        np.testing.assert_allclose(alone.positions[0, 12, 16], (18.0, 11.5), atol=0.1)
    at = plain[0].positions[0]
    agree = (at[..., 0] >= 16) == (np.arange(32) < 16)
    assert (masked[0].confidence[0][~agree & (at >= 0).all(-1) & (at < (32, 24)).all(-1)] == 0).all()
    assert plain[0].confidence[0][~agree].max() > 0.5
    np.testing.assert_array_equal(masked[1].confidence, plain[1].confidence)
