"""Exact tracks, written for a made capture and read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_capture import write_tiny_capture
from tiny_truth import write_tiny_truth

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError, ShapeError
from trackersplat.tracking.sources import reachable_targets, track_source
from trackersplat.tracking.trackers.exact import StoredTracks

SIZE = (5, 4)
CPU = torch.device("cpu")


class NoImages:
    def read(self, camera: int, frame: int) -> np.ndarray:
        raise AssertionError("exact tracks need no images")

    def prefetch(self, wanted: object) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def made(tmp_path: Path) -> tuple[Capture, dict[str, dict[str, np.ndarray]]]:
    """A capture of two cameras with random tracks to frames 1, 4 and 6, and the arrays written."""
    cameras = tuple(Camera(f"cam{i}", *SIZE, np.diag((20.0, 20.0, 1.0)), np.eye(4)) for i in range(2))
    capture = Capture("made", tmp_path, "made", cameras, 8, 30.0, NoImages())
    random = np.random.default_rng(1)
    (tmp_path / "gt").mkdir()
    written = {}
    for camera in cameras:
        arrays = {
            "frames": np.array([1, 4, 6]),
            "flow": random.normal(size=(3, 4, 5, 2)).astype(np.float16),
            "visible": random.random((3, 4, 5)) < 0.7,
            "valid": random.random((4, 5)) < 0.8,
        }
        np.savez_compressed(tmp_path / "gt" / f"flow_{camera.name}.npz", **arrays)
        written[camera.name] = arrays
    return capture, written


def test_stored_tracks_come_back_for_the_targets_asked_in_their_order(made: tuple[Capture, dict[str, dict[str, np.ndarray]]]) -> None:
    capture, written = made
    found = list(track_source("exact", capture, "cpu")([1, 0], 0, [6, 1]))
    assert [camera for camera, _ in found] == [1, 0]
    for camera, tracks in found:
        arrays = written[f"cam{camera}"]
        assert (tracks.base, tracks.targets, tracks.hidden_weight) == (0, (6, 1), 1.0)
        assert (tracks.provenance.tracker, tracks.provenance.size) == ("exact", SIZE)
        assert {values.dtype for values in (tracks.positions, tracks.visibility, tracks.confidence)} == {torch.float32}
        for at, which in ((0, 2), (1, 0)):
            for row in range(4):
                for column in range(5):
                    valid = arrays["valid"][row, column]
                    x, y = arrays["flow"][which, row, column].tolist() if valid else (0.0, 0.0)
                    assert tracks.positions[at, row, column].tolist() == pytest.approx((column + 0.5 + x, row + 0.5 + y), abs=1e-6)
                    assert tracks.visibility[at, row, column] == (valid and arrays["visible"][which, row, column])
                    assert tracks.confidence[at, row, column] == valid  # the position of a hidden point is exact too


def test_only_frames_common_to_all_cameras_and_within_the_clip_are_offered(
    made: tuple[Capture, dict[str, dict[str, np.ndarray]]],
) -> None:
    capture, written = made
    assert reachable_targets("exact", capture, [0, 1], 0) == (1, 4, 6)
    assert reachable_targets("exact", replace(capture, frame_count=5), [0], 0) == (1, 4)
    np.savez(capture.root / "gt" / "flow_cam1.npz", **{**written["cam1"], "frames": np.array([2, 4, 7])})  # type: ignore[arg-type]
    assert reachable_targets("exact", capture, [0, 1], 0) == (4,)


def test_what_is_not_there_is_one_sentence(made: tuple[Capture, dict[str, dict[str, np.ndarray]]]) -> None:
    capture, _ = made
    with pytest.raises(InputError, match=r"to frames 2, 5, 7, not to 3"):
        list(StoredTracks(capture, CPU)([0], 0, [1, 2]))
    with pytest.raises(InputError, match="start from frame 1, not 2"):
        list(StoredTracks(capture, CPU)([0], 1, [4]))
    with pytest.raises(InputError, match="start from frame 1, not 4"):
        reachable_targets("exact", capture, [0], 3)
    with pytest.raises(ShapeError, match="at least one camera"):
        list(StoredTracks(capture, CPU)([], 0, [1]))
    (capture.root / "gt" / "flow_cam1.npz").unlink()
    with pytest.raises(InputError, match=r"flow_cam1\.npz is missing"):
        list(StoredTracks(capture, CPU)([0, 1], 0, [1]))


def test_tracks_of_another_size_than_the_camera_are_refused(made: tuple[Capture, dict[str, dict[str, np.ndarray]]]) -> None:
    capture, _ = made
    larger = replace(capture, cameras=tuple(camera.resized(10, 8) for camera in capture.cameras))
    with pytest.raises(InputError, match=r"flow is float16 \(3, 4, 5, 2\), expected .* \(3, 8, 10, 2\)"):
        list(StoredTracks(larger, CPU)([0], 0, [1]))


def test_the_tiny_truth_follows_the_pictures(tmp_path: Path) -> None:
    """The files that other tests rely on: what a track says is seen has the colour it started with."""
    from trackersplat.captures.registry import open_capture

    capture = open_capture(write_tiny_truth(write_tiny_capture(tmp_path / "tiny")))
    for camera, tracks in StoredTracks(capture, CPU)(range(4), 0, [3]):
        start, end = capture.image(camera, 0).astype(float), capture.image(camera, 3).astype(float)
        at = np.floor(tracks.positions[0].numpy()).astype(int)
        rows, columns = np.mgrid[: start.shape[0], : start.shape[1]]
        moving = (tracks.visibility[0].numpy() > 0) & (np.hypot(at[..., 0] - columns, at[..., 1] - rows) > 2)
        assert moving.sum() > 200
        followed = np.abs(end[at[moving][:, 1], at[moving][:, 0]] - start[moving]).max(axis=-1)
        stayed = np.abs(end - start)[moving].max(axis=-1)
        assert np.median(followed) < 0.4 * np.median(stayed)
    capture.close()
