from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from cards import shifted, texture
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError, ShapeError
from trackersplat.tracking import views
from trackersplat.tracking.registry import create_matcher
from trackersplat.tracking.tracker import Clip, PointMotion, TrackerFacts
from trackersplat.tracking.tracks import DenseTracks, Provenance
from trackersplat.tracking.views import correct_views, correct_views_together, match_views, track_views

THREADS = cv2.getNumThreads()
CPU = torch.device("cpu")
MATCHER = create_matcher("dis", "cpu")


class NumberedSource:
    """Images whose every pixel is 10 * camera + frame."""

    def read(self, camera: int, frame: int) -> np.ndarray:
        if camera == 3:
            raise InputError("cam3.mp4 cannot be decoded.")
        return np.full((16, 16, 3), 10 * camera + frame, dtype=np.uint8)

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None: ...

    def close(self) -> None: ...


class RecordingTracker:
    """Reports a hundredth of the pixel values it was given as visibility, and how many views it held at once."""

    device = CPU
    provenance = Provenance("recording")

    def __init__(self, together: bool = False) -> None:
        self.facts = TrackerFacts("recording", "", "", batch="views" if together else "view")
        self.lock, self.now, self.most, self.calls = threading.Lock(), 0, 0, 0

    def track_dense(self, clip: Clip) -> PointMotion:
        with self.lock:
            self.now, self.calls = self.now + 1, self.calls + 1
            self.most = max(self.most, self.now)
        visibility = clip.images[:, 1:, ..., 0] / 100
        with self.lock:
            self.now -= 1
        return PointMotion(torch.zeros(*visibility.shape, 2), visibility, torch.ones(visibility.shape))


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    cameras = tuple(Camera(f"cam{i}", 16, 16, np.diag((20.0, 20.0, 1.0)), np.eye(4)) for i in range(4))
    return Capture("numbers", tmp_path, "test", cameras, 9, 30.0, NumberedSource())


@pytest.mark.parametrize("workers", [1, 2, 8, None])
@pytest.mark.parametrize("together", [False, True])
def test_every_view_comes_once_with_the_frames_asked_for(capture: Capture, workers: int | None, together: bool) -> None:
    tracker = RecordingTracker(together)
    result = dict(track_views(tracker, capture, (0, 2, 1), 4, (5, 8), workers=workers))
    assert sorted(result) == [0, 1, 2]
    for camera, tracks in result.items():
        assert (tracks.base, tracks.targets) == (4, (5, 8))
        np.testing.assert_allclose(tracks.visibility[:, 0, 0], (0.1 * camera + 0.05, 0.1 * camera + 0.08), atol=1e-6)
    assert tracker.calls == (1 if together else 3)
    assert tracker.most <= (workers or 64)


@pytest.mark.parametrize("together", [False, True])
def test_an_image_that_cannot_be_decoded_is_reported(capture: Capture, together: bool) -> None:
    with pytest.raises(InputError, match=r"cam3\.mp4"):
        list(track_views(RecordingTracker(together), capture, (0, 1, 3), 0, (1,)))
    assert cv2.getNumThreads() == THREADS


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


@pytest.mark.parametrize("together", [False, True])
def test_tracks_across_the_border_of_a_mask_are_not_trusted(capture: Capture, together: bool) -> None:
    masked = replace(capture, masks=HalfMasks())
    found = dict(track_views(RecordingTracker(together), masked, [0, 1, 2], 0, [1, 2]))
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
    """Tracks of a ShiftedSource without any confidence."""
    shape = (len(targets), 24, 32)
    return DenseTracks(0, targets, torch.full((*shape, 2), torch.nan), torch.ones(shape), torch.zeros(shape), 0.1, Provenance("lost"))


def predicted(camera: int, target: int) -> Tensor:
    """The image of the target, before it shifts on by a pixel to the right."""
    return torch.from_numpy(shifted(texture(camera, 24, 32), 1.5 * target - 1, -target))


def correct(before: DenseTracks, image: Tensor, prediction: Tensor) -> DenseTracks:
    """Where a pixel of the prediction is in the image."""
    assert len(before.targets) == 1
    assert image.dtype == torch.uint8
    found = MATCHER.match(prediction, image)
    return replace(before, positions=found.positions[0], visibility=found.visibility[0], confidence=found.confidence[0])


def corrected(capture: Capture, cameras: Iterable[int], predict: Any, targets: tuple[int, ...] = (1,), **how: Any) -> Any:
    return correct_views(capture, [(camera, lost(targets)) for camera in cameras], predict, correct, CPU, **how)


@pytest.mark.parametrize("workers", [1, 2, 8, None])
def test_every_view_is_corrected_with_its_own_predictions(shifts: Capture, workers: int | None) -> None:
    def predict(camera: int) -> list[Tensor]:
        return [predicted(camera, target) for target in (1, 3)]

    found = dict(corrected(shifts, (2, 0, 1), predict, (1, 3), workers=workers))
    assert sorted(found) == [0, 1, 2]
    for camera, tracks in found.items():
        assert (tracks.base, tracks.targets, tracks.provenance.tracker) == (0, (1, 3), "lost")
        for index, target in enumerate((1, 3)):
            alone = correct(lost((target,)), torch.tensor(shifts.image(camera, target)), predicted(camera, target))
            for name in ("positions", "visibility", "confidence"):
                np.testing.assert_array_equal(getattr(tracks, name)[index], getattr(alone, name)[0])
            np.testing.assert_allclose(tracks.positions[index, 12, 16], (17.5, 12.5), atol=0.1)


def test_views_corrected_together_are_those_corrected_one_by_one(shifts: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def many(tracks: list[DenseTracks], images: list[Tensor], wanted: list[Tensor]) -> list[DenseTracks]:
        calls.append(len(tracks))
        return [correct(one, image, prediction) for one, image, prediction in zip(tracks, images, wanted, strict=True)]

    def predict(camera: int) -> list[Tensor]:
        return [predicted(camera, target) for target in (1, 3)]

    before = [(camera, lost((1, 3))) for camera in (2, 0, 1)]
    expected = dict(corrected(shifts, (2, 0, 1), predict, (1, 3)))
    height, width = before[0][1].positions.shape[1:3]
    monkeypatch.setattr(views, "_PIXELS_TOGETHER", 5 * height * width)  # two views of two targets
    found = dict(correct_views_together(shifts, before, lambda cameras: [predict(camera) for camera in cameras], many, CPU))
    assert calls == [4, 2]
    assert sorted(found) == [0, 1, 2]
    for camera, tracks in found.items():
        for name in ("positions", "visibility", "confidence"):
            assert torch.equal(getattr(tracks, name), getattr(expected[camera], name))


def test_views_are_corrected_side_by_side(shifts: Capture) -> None:
    together = threading.Barrier(2)

    class Meeting(ShiftedSource):
        def read(self, camera: int, frame: int) -> np.ndarray:
            together.wait(timeout=20)  # for the other view
            return super().read(camera, frame)

    found = corrected(replace(shifts, source=Meeting()), range(2), lambda camera: [predicted(camera, 1)], workers=2)
    assert sorted(camera for camera, _ in found) == [0, 1]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_predictions_are_made_in_the_calling_thread_no_sooner_than_needed(shifts: Capture, workers: int) -> None:
    called: list[int] = []
    threads = set()

    def predict(camera: int) -> list[Tensor]:
        called.append(camera)
        threads.add(threading.get_ident())
        return [predicted(camera, 1)]

    numbers = [camera % 4 for camera in range(9)]
    views = corrected(shifts, numbers, predict, workers=workers)
    assert called == []
    for yielded in range(1, 10):
        next(views)
        assert len(called) <= yielded + workers  # those that are worked at, beside what was yielded
    assert next(views, None) is None
    assert called == numbers
    assert threads == {threading.get_ident()}


def test_closing_early_corrects_no_further_views(shifts: Capture) -> None:
    called: list[int] = []

    def predict(camera: int) -> list[Tensor]:
        called.append(camera)
        return [predicted(camera, 1)]

    views = corrected(shifts, range(4), predict, workers=1)
    next(views)
    views.close()
    assert called == [0, 1]
    assert cv2.getNumThreads() == THREADS


def test_a_prediction_that_fails_ends_the_correction_with_its_error(shifts: Capture) -> None:
    def predict(camera: int) -> list[Tensor]:
        if camera == 2:
            raise InputError("Nothing to render.")
        return [predicted(camera, 1)]

    with pytest.raises(InputError, match="Nothing to render"):
        list(corrected(shifts, range(4), predict, workers=2))
    assert cv2.getNumThreads() == THREADS


def test_every_target_needs_its_prediction(shifts: Capture) -> None:
    with pytest.raises(ValueError, match="shorter"):
        list(corrected(shifts, [0], lambda camera: [predicted(camera, 1)], (1, 3)))


class WideMasks:
    """The left half is foreground in the first frame, the right half in all others; camera 1 has no masks."""

    def has(self, camera: int) -> bool:
        return camera != 1

    def read(self, camera: int, frame: int) -> np.ndarray | None:
        return np.broadcast_to((np.arange(32) < 16) == (frame == 0), (24, 32)) if camera != 1 else None

    def close(self) -> None: ...


def require_masked(plain: dict[int, DenseTracks], masked: dict[int, DenseTracks]) -> None:
    """Asserts that confidence is lost across the border of `WideMasks`, and only there."""
    at = plain[0].positions[0].numpy()
    agree = (at[..., 0] >= 16) == (np.arange(32) < 16)  # only what crosses the middle stays foreground, or background
    inside = (at >= 0).all(-1) & (at < (32, 24)).all(-1)
    before = plain[0].confidence[0].numpy()
    assert (before[agree] > 0.5).any()
    assert (before[~agree] > 0.5).any()
    np.testing.assert_array_equal(masked[0].confidence[0], np.where(inside & ~agree, 0, before))
    np.testing.assert_array_equal(masked[1].confidence, plain[1].confidence)
    assert plain[1].confidence.max() > 0.9


def test_a_correction_across_the_border_of_a_mask_is_not_trusted(shifts: Capture) -> None:
    plain, masked = (
        dict(corrected(capture, (0, 1), lambda camera: [predicted(camera, 1)])) for capture in (shifts, replace(shifts, masks=WideMasks()))
    )
    require_masked(plain, masked)


@pytest.mark.parametrize("workers", [1, None])
def test_views_are_matched_over_nothing_in_between_and_within_their_masks(shifts: Capture, workers: int | None) -> None:
    plain, masked = (
        dict(match_views(MATCHER, capture, [2, 0, 1], 0, 1, workers=workers)) for capture in (shifts, replace(shifts, masks=WideMasks()))
    )
    for camera in range(3):
        alone = MATCHER.match(torch.tensor(shifts.image(camera, 0)), torch.tensor(shifts.image(camera, 1)))
        assert (plain[camera].base, plain[camera].targets) == (0, (1,))
        np.testing.assert_array_equal(plain[camera].positions, alone.positions[0])
        np.testing.assert_array_equal(plain[camera].confidence, alone.confidence[0])
        np.testing.assert_allclose(plain[camera].positions[0, 12, 16], (18.0, 11.5), atol=0.1)
    require_masked(plain, masked)


def test_a_matcher_of_many_pairs_finds_in_all_views_what_it_finds_in_one(shifts: Capture) -> None:
    matcher = create_matcher("dis-gpu", "cpu")
    for camera, tracks in match_views(matcher, shifts, [2, 0], 0, 1):
        alone = matcher.match(torch.tensor(shifts.image(camera, 0)), torch.tensor(shifts.image(camera, 1)))
        assert (tracks.base, tracks.targets) == (0, (1,))
        for name in ("positions", "visibility", "confidence"):
            torch.testing.assert_close(getattr(tracks, name), getattr(alone, name)[0])
