from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from colmap_files import write_text_model
from filmed_point import brightest, point_at
from making_captures import RH20T_SERIALS as SERIALS
from making_captures import RH20T_SIZE as SIZE
from making_captures import RH20T_START as START
from making_captures import rh20t_cameras, save_object, write_rh20t

from trackersplat.captures.layouts.rh20t import IN_HAND
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rh20t(tmp_path_factory.mktemp("RH20T_cfg5"))


@pytest.fixture
def folder(valid: Path, tmp_path: Path) -> Path:
    shutil.copytree(valid.parent, tmp_path / "cfg")
    return tmp_path / "cfg" / valid.name


def test_frames_are_matched_by_time_and_the_point_lights_up_in_each(valid: Path):
    capture = open_capture(valid)
    assert [camera.name for camera in capture.cameras] == list(SERIALS)
    assert (capture.layout, capture.frame_count, capture.fps) == ("rh20t", 3, 10.0)
    for index, camera in enumerate(capture.cameras):
        assert (camera.width, camera.height) == SIZE
        for number, frame in enumerate((0, 1, 3)):
            uv = camera.project(point_at(frame)[None])[0][0]
            np.testing.assert_allclose(brightest(capture.image(index, number)), uv, atol=0.15)
    said = [w for w in capture.warnings if "held out" not in w]
    assert said[0] == f"{IN_HAND[1]} is left out: it is on the robot's hand and moves."
    assert "lie up to 43 ms apart" in said[1]
    assert said[2].startswith("2 frames are left out because a camera has no image of them")


def test_a_camera_that_saw_too_little_is_left_out(folder: Path):
    place = folder / f"cam_{SERIALS[2]}"
    save_object(place / "timestamps.npy", {"color": [START + 100, START + 5000, START + 9000]})
    capture = open_capture(folder)
    assert [camera.name for camera in capture.cameras] == list(SERIALS[:2])
    assert capture.frame_count == 4
    assert [w for w in capture.warnings if w == f"{SERIALS[2]} is left out: it has images of only 20 % of the frames."]


def test_a_colmap_model_named_after_the_serials_needs_no_calibration(folder: Path):
    (folder / "metadata.json").unlink()
    named = [replace(filming.camera, name=serial) for serial, filming in zip(SERIALS, rh20t_cameras(), strict=True)]
    write_text_model(folder / "sparse" / "0", named)
    capture = open_capture(folder)
    assert [camera.name for camera in capture.cameras] == list(SERIALS)
    uv = capture.cameras[2].project(point_at(3)[None])[0][0]
    np.testing.assert_allclose(brightest(capture.image(2, 2)), uv, atol=0.15)


def test_a_missing_calibration_is_named(folder: Path):
    shutil.rmtree(folder.parent / "calib")
    with pytest.raises(InputError, match="calib/1689000000000 is missing: copy the dataset's calib folder beside the scene"):
        open_capture(folder)
    (folder / "metadata.json").write_text('{"calib": -1}')
    with pytest.raises(InputError, match="names no calibration"):
        open_capture(folder)
    (folder / "metadata.json").unlink()
    with pytest.raises(InputError, match=r"metadata\.json is missing"):
        open_capture(folder)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ({"color": [START, START + 100]}, r"timestamps\.npy has 2 times, but .*color\.mp4 has 4 frames"),
        ({"color": [START, START + 200, START + 100, START + 300]}, "times that do not ascend"),
        ({"color": ["a"] * 4}, "has no list 'color'"),
        ({"depth": [1]}, "has no list 'color'"),
        ([1, 2, 3, 4], "has no list 'color'|does not hold the plain data"),
    ],
)
def test_wrong_times_are_named(folder: Path, times: object, message: str):
    save_object(folder / f"cam_{SERIALS[0]}" / "timestamps.npy", times)
    with pytest.raises(InputError, match=message):
        open_capture(folder)


@pytest.mark.parametrize(
    ("file", "value", "message"),
    [
        ("intrinsics.npy", np.eye(3), "must be a 3x4 matrix"),
        ("intrinsics.npy", np.full((3, 4), np.nan), "must be a 3x4 matrix of finite numbers"),
        ("extrinsics.npy", [np.eye(3)], "must be a 4x4 matrix"),
        ("extrinsics.npy", [np.diag([2.0, 1, 1, 1])], "not a rotation"),
    ],
)
def test_a_damaged_calibration_is_named(folder: Path, file: str, value: object, message: str):
    save_object(folder.parent / "calib" / "1689000000000" / file, {SERIALS[0]: value})
    with pytest.raises(InputError, match=message):
        open_capture(folder)
