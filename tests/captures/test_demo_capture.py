from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trackersplat.captures.demo import demo_capture
from trackersplat.captures.media.decode import read_image
from trackersplat.captures.media.video import VideoFile
from trackersplat.captures.registry import open_capture

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_is_twelve_cameras_of_thirty_frames_with_cam08_held_out():
    capture = open_capture("demo")
    assert [camera.name for camera in capture.cameras] == [f"cam{i:02d}" for i in range(12)]
    assert {(camera.width, camera.height) for camera in capture.cameras} == {(320, 240)}
    assert (capture.name, capture.layout, capture.frame_count, capture.fps) == ("demo", "n3dv", 30, 30.0)
    assert capture.held_out == ("cam08",)
    assert capture.points is None, "the demo reconstructs from its videos alone"
    assert capture.warnings == ()


def test_the_demo_has_at_most_8_megabytes():
    assert sum(path.stat().st_size for path in demo_capture().rglob("*") if path.is_file()) <= 8_000_000


def test_opening_the_demo_decodes_no_frame(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(VideoFile, "_grab", lambda video: pytest.fail(f"{video.path} is decoded"))
    open_capture("demo").close()


def test_every_decoded_camera_keeps_38_db_against_the_renders():
    source = ROOT.parent / "shared" / "scene" / "demo" / "images"
    if not source.is_dir():
        pytest.skip("the renders the demo was made from (../shared/scene/demo) are not on this machine")
    capture = open_capture("demo")
    for index, camera in enumerate(capture.cameras):
        for frame in (0, 13, 29):
            image = read_image(source / camera.name / f"{frame:04d}.png")
            error = np.mean((capture.image(index, frame).astype(np.float64) - image) ** 2)
            assert 10 * np.log10(255**2 / error) > 38, f"{camera.name}, frame {frame}"


def test_the_track_truth_lies_on_surfaces_of_constant_colour_over_time():
    # A truth of another scene, order of cameras or frame offset would not follow the textures.
    capture = open_capture("demo")
    with np.load(demo_capture() / "gt" / "tracks.npz", allow_pickle=False) as truth:
        xyz, visible, dynamic = truth["xyz"].astype(np.float64), truth["vis"], truth["dynamic"]
    assert xyz.shape == (30, 2000, 3)
    assert visible.shape == (12, 30, 2000)
    for index in (0, 5, 8):

        def colours(frame: int, index: int = index) -> np.ndarray:
            uv, _ = capture.cameras[index].project(xyz[frame])
            column, row = np.clip(np.floor(uv).astype(int), 0, (319, 239)).T
            return capture.image(index, frame)[row, column].astype(np.float64)

        tracked = dynamic & visible[index, 10] & visible[index, 14]
        moved = np.abs(colours(10)[tracked] - colours(14)[tracked]).mean()
        shuffled = np.abs(colours(10)[tracked] - np.roll(colours(14)[tracked], 17, axis=0)).mean()
        assert tracked.sum() > 100
        assert moved < 0.4 * shuffled
