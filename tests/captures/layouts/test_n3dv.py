from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_capture
import trimesh

from trackersplat.captures.capture import Capture
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError

POINT = np.array([[0.31, -0.17, 0.53]])  # different in x, y and z, off every axis


@pytest.fixture
def folder(small_capture_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(small_capture_folder, tmp_path / "scene"))


def rewrite_poses(folder: Path, rows: np.ndarray) -> None:
    np.save(folder / "poses_bounds.npy", rows)


def test_an_asymmetric_point_projects_to_the_pixel_computed_by_hand(tmp_path: Path):
    # A camera at (1, 2, 3) that looks along world +y with world +z up: right is +x, down is -z, backwards is -y.
    row = np.zeros((3, 5))
    row[:, 0], row[:, 1], row[:, 2], row[:, 3], row[:, 4] = (0, 0, -1), (1, 0, 0), (0, -1, 0), (1, 2, 3), (48, 64, 50)
    folder = tmp_path / "by-hand"
    folder.mkdir()
    tiny_capture.encode(folder / "cam00.mp4", np.zeros((2, 48, 64, 3), np.uint8))
    rewrite_poses(folder, np.concatenate([row.reshape(-1), (0.5, 9.0)])[None])
    camera = open_capture(folder).cameras[0]
    # The point (1.4, 6, 3.2) is 0.4 to the right, 0.2 up and 4 in front.
    uv, depth = camera.project(np.array([[1.4, 6.0, 3.2]]))
    np.testing.assert_allclose(depth, [4.0])
    np.testing.assert_allclose(uv, [[32 + 50 * 0.4 / 4, 24 - 50 * 0.2 / 4]])


def test_an_asymmetric_point_projects_as_in_the_cameras_that_were_written(small_capture: Capture):
    for ours, written in zip(small_capture.cameras, tiny_capture.cameras(), strict=True):
        assert ours.name == written.name
        for got, expected in zip(ours.project(POINT), written.project(POINT), strict=True):
            np.testing.assert_allclose(got, expected, atol=1e-9)


def test_the_images_are_those_that_were_filmed(small_capture: Capture):
    for index, camera in enumerate(small_capture.cameras):
        for frame in (4, 0, 5):
            error = small_capture.image(index, frame).astype(float) - tiny_capture.render(camera, frame)
            assert np.abs(error).mean() < 4, f"{camera.name}, frame {frame}"


def test_the_facts_of_the_capture_are_read(small_capture: Capture):
    assert small_capture.layout == "n3dv"
    assert small_capture.frame_count == tiny_capture.FRAMES
    assert small_capture.fps == tiny_capture.FPS
    assert small_capture.held_out == ("cam00",)
    assert small_capture.training_cameras == (1, 2, 3)
    assert small_capture.points is None
    assert small_capture.warnings == ()
    np.testing.assert_array_equal(small_capture.depth_bounds, np.tile((tiny_capture.NEAR, tiny_capture.FAR), (4, 1)))


def test_half_resolution_videos_scale_the_calibration(folder: Path):
    rows = np.load(folder / "poses_bounds.npy")
    rows.reshape(4, 17)[:, [4, 9, 14]] *= 2  # height, width and focal length of the full-resolution originals
    rewrite_poses(folder, rows)
    capture = open_capture(folder)
    assert capture.cameras[2].fx == pytest.approx(64.0)
    assert capture.cameras[2].fy == pytest.approx(64.0)
    assert capture.warnings == ()


def test_another_aspect_ratio_stretches_the_calibration_with_a_warning(folder: Path):
    rows = np.load(folder / "poses_bounds.npy")
    rows[1, 9] *= 2  # width
    rewrite_poses(folder, rows)
    capture = open_capture(folder)
    assert (capture.cameras[1].fx, capture.cameras[1].fy) == (pytest.approx(31.0), pytest.approx(62.0))
    assert [w for w in capture.warnings if "cam01" in w and "aspect" in w]


def test_capture_json_says_name_rate_and_held_out_cameras(folder: Path):
    (folder / "capture.json").write_text(json.dumps({"name": "Tiny", "fps": 12.5, "held_out": ["cam02", "cam03"]}))
    capture = open_capture(folder)
    assert (capture.name, capture.fps, capture.held_out) == ("Tiny", 12.5, ("cam02", "cam03"))


def test_without_a_held_out_camera_there_is_a_warning(folder: Path):
    (folder / "capture.json").write_text('{"held_out": []}')
    capture = open_capture(folder)
    assert capture.held_out == ()
    assert [w for w in capture.warnings if "training cameras only" in w]


def test_points_beside_the_videos_are_read(folder: Path):
    trimesh.PointCloud(POINT, colors=[[10, 20, 30, 255]]).export(folder / "points3D.ply")
    points = open_capture(folder).points
    assert points is not None
    np.testing.assert_allclose(points.xyz, POINT, atol=1e-6)
    np.testing.assert_array_equal(points.rgb, [[10, 20, 30]])


@pytest.mark.parametrize("count", [3, 5])
def test_a_wrong_number_of_rows_is_named_with_both_numbers(folder: Path, count: int):
    rewrite_poses(folder, np.resize(np.load(folder / "poses_bounds.npy"), (count, 17)))
    with pytest.raises(InputError, match=rf"poses_bounds\.npy has {count} rows, but there are 4 videos"):
        open_capture(folder)


def test_a_wrong_shape_is_named(folder: Path):
    rewrite_poses(folder, np.zeros((4, 15)))
    with pytest.raises(InputError, match=r"shape \(cameras, 17\), but has shape \(4, 15\)"):
        open_capture(folder)


def test_a_value_that_is_not_finite_is_named_with_its_row(folder: Path):
    rows = np.load(folder / "poses_bounds.npy")
    rows[2, 5] = np.nan
    rewrite_poses(folder, rows)
    with pytest.raises(InputError, match=r"Row 3 of .*poses_bounds\.npy has a value that is not a finite number"):
        open_capture(folder)


def test_axes_that_are_not_orthonormal_are_named_with_the_camera(folder: Path):
    rows = np.load(folder / "poses_bounds.npy")
    rows[1, [0, 5, 10]] *= 1.1
    rewrite_poses(folder, rows)
    with pytest.raises(InputError, match=r"cam01 axes that are off from orthonormal by 0\.21"):
        open_capture(folder)


def test_left_handed_axes_are_refused(folder: Path):
    rows = np.load(folder / "poses_bounds.npy")
    rows[0, [1, 6, 11]] *= -1
    rewrite_poses(folder, rows)
    with pytest.raises(InputError, match="cam00 axes that are left-handed"):
        open_capture(folder)


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'shape': (9999999999999, 17)"])
def test_a_file_that_is_no_array_is_named(folder: Path, content: bytes):
    (folder / "poses_bounds.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"poses_bounds\.npy"):
        open_capture(folder)


def test_an_array_that_promises_more_than_the_file_holds_is_refused(folder: Path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 17), }".ljust(117) + b"\n"
    (folder / "poses_bounds.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InputError, match=r"poses_bounds\.npy is not a NumPy array file"):
        open_capture(folder)


def test_pickled_objects_are_refused(folder: Path):
    np.save(folder / "poses_bounds.npy", np.array([{"a": 1}] * 4), allow_pickle=True)
    with pytest.raises(InputError, match=r"poses_bounds\.npy is not a NumPy array file"):
        open_capture(folder)


def test_depth_bounds_that_make_no_sense_are_ignored_with_a_warning(folder: Path):
    rows = np.load(folder / "poses_bounds.npy")
    rows[0, 15:] = 5.0, 1.0
    rewrite_poses(folder, rows)
    capture = open_capture(folder)
    assert capture.depth_bounds is None
    assert [w for w in capture.warnings if "depth bounds" in w]


def test_a_video_that_is_no_video_is_named(folder: Path):
    (folder / "cam02.mp4").write_text("not a video")
    with pytest.raises(InputError, match=r"cam02\.mp4 is not a video"):
        open_capture(folder)


def test_a_video_shorter_than_the_others_is_named(folder: Path):
    tiny_capture.encode(folder / "cam01.mp4", np.zeros((4, 48, 64, 3), np.uint8))
    with pytest.raises(InputError, match=r"cam01\.mp4 has 4 frames, but the longest video \(cam00\.mp4\) has 6"):
        open_capture(folder)


def test_unpadded_camera_numbers_are_warned_about(folder: Path):
    (folder / "cam02.mp4").rename(folder / "cam10.mp4")
    (folder / "cam03.mp4").rename(folder / "cam9.mp4")
    assert [w for w in open_capture(folder).warnings if "alphabetical" in w]
