from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_capture import cameras

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError, ShapeError
from trackersplat.metrics.points import has_point_truth, point_errors, read_point_truth


class NoImages:
    def read(self, camera: int, frame: int) -> np.ndarray:
        raise AssertionError("truth needs no images")

    def prefetch(self, wanted: object) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    return Capture("made", tmp_path, "made", tuple(cameras()), 3, 30.0, NoImages(), held_out=("cam00",))


def write(capture: Capture, **changes: np.ndarray) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    arrays = {
        "xyz": random.normal(size=(3, 7, 3)).astype(np.float32),
        "dynamic": random.random(7) < 0.5,
        "vis": random.random((4, 3, 7)) < 0.4,
    }
    arrays.update(changes)
    (capture.root / "gt").mkdir(exist_ok=True)
    np.savez(capture.root / "gt" / "tracks.npz", **arrays)  # type: ignore[arg-type]
    return arrays


def test_median_and_nine_of_ten_of_known_distances() -> None:
    truth = np.random.default_rng(0).normal(size=(11, 3))
    directions = np.random.default_rng(1).normal(size=(11, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    errors = point_errors(truth + directions * np.arange(11.0)[:, None], truth)
    assert (errors.count, errors.median, errors.p90) == (11, pytest.approx(5.0), pytest.approx(9.0))


def test_no_points_have_no_error() -> None:
    errors = point_errors(np.zeros((0, 3)), np.zeros((0, 3)))
    assert (errors.count, errors.median, errors.p90) == (0, None, None)
    with pytest.raises(ShapeError):
        point_errors(np.zeros((2, 3)), np.zeros((3, 3)))


def test_seen_are_points_that_one_of_the_cameras_sees_in_that_frame(capture: Capture) -> None:
    assert not has_point_truth(capture)
    written = write(capture)
    assert has_point_truth(capture)
    truth = read_point_truth(capture)
    assert np.array_equal(truth.positions, written["xyz"].astype(np.float64))
    expected = [any(written["vis"][camera, 1, point] for camera in (1, 2, 3)) for point in range(7)]
    assert truth.seen(1, capture.training_cameras).tolist() == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"xyz": np.zeros((4, 7, 3), np.float32)},  # another number of frames
        {"vis": np.zeros((3, 3, 7), bool)},  # of cameras
        {"dynamic": np.zeros(6, bool)},  # of points
        {"xyz": np.full((3, 7, 3), np.nan, np.float32)},
    ],
)
def test_truth_of_another_capture_is_one_sentence(capture: Capture, changes: dict[str, np.ndarray]) -> None:
    write(capture, **changes)
    with pytest.raises(InputError, match=r"tracks\.npz"):
        read_point_truth(capture)
