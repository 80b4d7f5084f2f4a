from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError, ShapeError
from trackersplat.tracking.registry import tracker_info
from trackersplat.tracking.tracker import DenseTracks
from trackersplat.tracking.views import track_views


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
