from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import tiny_capture

from trackersplat.captures.still_cameras import (
    camera_names,
    common_numbers,
    frame_number,
    frame_numbers,
    group_by_camera,
    named_as,
    numbered_images,
)
from trackersplat.errors import InputError


@pytest.mark.parametrize(
    ("name", "number"),
    [("0007.png", 7), ("cam03_frame_00012.jpg", 12), ("shot2_010_left.png", 10), ("cover.png", None), ("1718000000123456789.png", None)],
)
def test_the_last_number_in_a_name_is_that_of_the_frame(name: str, number: int | None):
    assert frame_number(name) == (number if number is not None or "1718" not in name else 718000000123456789)


@pytest.mark.parametrize(
    ("cameras", "numbers"),
    [
        ([["cam00_0001.png", "cam00_0003.png"], ["cam01_0001.png"]], [[1, 3], [1]]),
        ([["0001_cam00.png", "0003_cam00.png"], ["0003_cam01.png"]], [[1, 3], [3]]),  # the camera's number is last
        ([["7/a.png", "8/a.png"], ["7/b.png", "8/b.png"]], [[7, 8], [7, 8]]),  # a folder per frame
        ([["s1_7_cam0.png", "s1_8_cam0.png"], ["s1_7_cam1.png", "s1_8_cam1.png"]], [[7, 8], [7, 8]]),
        ([["a.png", "b.png"]], None),
        ([["7_cam0.png", "cam0.png"]], None),
        ([["7_0.png", "7_0.jpg"]], None),
    ],
)
def test_the_number_that_tells_the_images_of_a_camera_apart_is_that_of_the_frame(cameras: list[list[str]], numbers: list[list[int]] | None):
    assert frame_numbers(cameras) == numbers


def test_a_gap_of_one_camera_is_left_out_of_all_and_said():
    common, remarks = common_numbers({"a": [1, 2, 3, 4], "b": [1, 3, 4], "c": [0, 1, 2, 3, 4]})
    assert common == [1, 3, 4]
    assert remarks == ["2 frames are left out because a camera has no image of them; the first has the number 0 (a lacks it)."]
    assert common_numbers({"a": [5, 6], "b": [6, 5]}) == ([5, 6], [])
    assert common_numbers({"a": [5, 6], "b": [7]}) == ([], [])


def test_a_gap_of_all_cameras_is_said_because_time_does_not_pass_evenly():
    assert common_numbers({"a": [0, 10, 20], "b": [0, 10, 20]}) == ([0, 10, 20], [])
    assert common_numbers({"a": [0, 33, 67], "b": [0, 33, 67]}) == ([0, 33, 67], [])  # milliseconds
    common, remarks = common_numbers({"a": [0, 10, 30], "b": [0, 10, 30]})
    assert common == [0, 10, 30]
    assert remarks == ["The numbers of the images are not evenly spaced: 10 is followed by 30, but others are 10 apart."]


def test_a_frame_that_should_be_there_and_that_all_cameras_lack_is_said():
    common, remarks = common_numbers({"a": [0, 2], "b": [0, 2]}, lambda frame: f"is frame {frame + 1}", range(3))
    assert common == [0, 2]
    assert remarks == ["1 frame is left out because a camera has no image of it; the first is frame 2 (a lacks it)."]


def test_two_images_of_one_number_are_an_error(tmp_path: Path):
    for name in ("1.png", "001.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"1\.png has the number of 001\.jpg"):
        numbered_images(tmp_path)


def noisy(poses: list[np.ndarray], noise: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    repeated = np.stack([np.linalg.inv(pose) for pose in poses for _ in range(5)])
    repeated[:, :3] += rng.normal(0, noise, (len(repeated), 3, 4)) if noise else 0.0
    return repeated


@pytest.mark.parametrize(("noise", "differ"), [(0.0, False), (1e-12, False), (1e-7, True), (1e-5, True)])
def test_images_are_of_one_camera_up_to_what_writers_round_away(noise: float, differ: bool):
    poses = [camera.world_to_camera for camera in tiny_capture.cameras()]
    lenses = np.array([[60.0 * (1 + noise * (index % 3)), 32.0] for index in range(20)])
    groups, differs = group_by_camera(noisy(poses, noise), lenses)
    assert groups == [list(range(start, start + 5)) for start in (0, 5, 10, 15)]
    assert differs is differ


def test_cameras_of_one_pose_are_told_apart_by_their_lenses():
    poses = np.stack([np.eye(4)] * 4)
    assert group_by_camera(poses, np.array([[60.0], [60.1], [60.0], [60.1]]))[0] == [[0, 2], [1, 3]]


def test_cameras_far_from_the_origin_are_told_apart():
    poses = [camera.world_to_camera.copy() for camera in tiny_capture.cameras()]
    far = np.stack([np.linalg.inv(pose) for pose in poses])
    far[:, :3, :3] = np.eye(3)  # by their places alone
    far[:, :3, 3] += 1e6
    assert len(group_by_camera(far, np.ones((4, 1)))[0]) == 4


def test_names_are_the_parts_that_differ_between_cameras():
    files = [[PurePosixPath(f"images/{name}/{frame:04d}.png") for frame in range(2)] for name in ("\u673a\u4f4d1", "\u673a\u4f4d2")]
    assert camera_names(files) == ["\u673a\u4f4d1", "\u673a\u4f4d2"]


def test_an_umlaut_is_found_however_it_is_composed(tmp_path: Path):
    (tmp_path / unicodedata.normalize("NFD", "B\u00fchne")).mkdir()
    assert named_as(tmp_path, "B\u00fchne").is_dir()
    assert named_as(tmp_path, "other") == tmp_path / "other"
