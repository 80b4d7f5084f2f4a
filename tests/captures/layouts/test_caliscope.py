from __future__ import annotations

import csv
import shutil
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_capture
from filmed_point import FRAMES, HEIGHT, WIDTH, assert_the_point_lights_up, brightest, point_at, rig
from making_captures import caliscope_section, write_caliscope, write_timestamps

from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError

CAMERAS = rig(3, ((-0.3, 0.05, 0.003, -0.002, 0.01), (0.15, -0.05, -0.002, 0.001, 0.0)))


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return write_caliscope(tmp_path / "session", CAMERAS)


def test_an_asymmetric_point_lights_up_the_pixel_where_the_camera_projects_it(session: Path):
    capture = open_capture(session)
    assert_the_point_lights_up(capture)
    assert (capture.layout, capture.fps) == ("caliscope", 6.0)
    assert [camera.name for camera in capture.cameras] == ["cam_0", "cam_2", "cam_10"]
    assert [w for w in capture.warnings if "held out" not in w] == []


def test_an_older_calibration_with_rotation_vectors_and_ports_opens(session: Path):
    (session / "camera_array.toml").unlink()
    text = ""
    for number, filming in zip((0, 2, 10), CAMERAS, strict=True):
        vector = cv2.Rodrigues(filming.camera.rotation)[0].reshape(3).tolist()
        text += (
            caliscope_section(number, filming, rotation=vector).replace(f"[cameras.{number}]", f"[cam_{number}]").replace("cam_id", "port")
        )
        (session / "calibration" / "extrinsic" / f"cam_{number}.mp4").rename(session / "calibration" / "extrinsic" / f"port_{number}.mp4")
    (session / "config.toml").write_text(text + "[charuco]\ncolumns = 4\n")
    assert_the_point_lights_up(open_capture(session))


def test_a_frame_that_one_camera_dropped_is_left_out_of_all(session: Path):
    place = session / "calibration" / "extrinsic"
    frames = [f for f in range(FRAMES) if f != 1]
    (place / "cam_2.mp4").unlink()
    tiny_capture.encode(place / "cam_2.mp4", np.stack([CAMERAS[1].film(frame) for frame in frames]), fps=6)
    write_timestamps(place, {0: [35, 36, 37, 38], 2: [35, 37, 38], 10: [35, 36, 37, 38]})
    capture = open_capture(session)
    assert capture.frame_count == 3
    for index, camera in enumerate(capture.cameras):
        for number, frame in enumerate(frames):
            uv = camera.project(point_at(frame)[None])[0][0]
            np.testing.assert_allclose(brightest(capture.image(index, number)), uv, atol=0.15)
    assert [w for w in capture.warnings if w == "1 frame is left out because a camera has no image of it (timestamps.csv)."]


def test_a_recording_opens_by_itself_and_before_the_calibration(session: Path):
    shutil.copytree(session / "calibration" / "extrinsic", session / "recordings" / "walk")
    shutil.copytree(session / "calibration" / "extrinsic", session / "recordings" / "jump")
    by_itself = open_capture(session / "recordings" / "walk")
    assert_the_point_lights_up(by_itself)
    assert by_itself.name == "walk"
    warnings = open_capture(session).warnings
    assert [w for w in warnings if w.startswith("recordings/jump is opened") and "recordings/walk" in w]


def test_cameras_that_are_ignored_or_not_placed_are_left_out(session: Path):
    text = caliscope_section(0, CAMERAS[0]) + caliscope_section(2, CAMERAS[1], "ignore = true")
    unplaced = "\n".join(line for line in caliscope_section(10, CAMERAS[2]).splitlines() if "rotation" not in line)
    (session / "camera_array.toml").write_text(text + unplaced)
    capture = open_capture(session)
    assert [camera.name for camera in capture.cameras] == ["cam_0"]
    assert [w for w in capture.warnings if "cam_2 is left out" in w]
    assert [w for w in capture.warnings if "cam_10 is left out" in w]


def test_cameras_far_apart_in_time_are_warned_about(session: Path):
    write_timestamps(session / "calibration" / "extrinsic", {number: [35, 36, 37, 38] for number in (0, 2, 10)}, offset=0.009)
    assert [w for w in open_capture(session).warnings if "up to 90 ms apart, 0.54 frames" in w]


def test_without_timestamps_the_videos_start_together(session: Path):
    (session / "calibration" / "extrinsic" / "timestamps.csv").unlink()
    assert_the_point_lights_up(open_capture(session))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("camera_array.toml", "cam_id = 2", "cam_id = 0", "two cameras of one 'cam_id'"),
        ("camera_array.toml", "cam_id = 2", "cam_id = x", r"camera_array\.toml is not valid TOML"),
        ("camera_array.toml", f"[{WIDTH}, {HEIGHT}]", f"[{WIDTH}]", r"'size' must be \[width, height\]"),
        (
            "camera_array.toml",
            f"[{WIDTH}, {HEIGHT}]",
            f"[{HEIGHT}, {WIDTH}]",
            r"has 160x120 pixels, but its camera was calibrated at 120x160",
        ),
        ("camera_array.toml", "distortions = [-0.3,", "distortions = [nan,", "distortion must be"),
        ("camera_array.toml", "translation = [", "translation = [1.0, ", "'translation' must be a 1x3 matrix"),
        ("camera_array.toml", "rotation = [[", "rotation = [[9", "not a rotation"),
        ("calibration/extrinsic/timestamps.csv", "38,10,", "38,x,", r"Line 13 of .*timestamps\.csv does not have"),
        ("calibration/extrinsic/timestamps.csv", "cam_id", "camera", r"Line 2 of .*timestamps\.csv does not have"),
        ("calibration/extrinsic/timestamps.csv", "38,10,", "38,11,", "3 rows of camera 10, but cam_10.mp4 has 4 frames"),
        ("calibration/extrinsic/timestamps.csv", "30.833333333333332", "inf", "time that is not finite"),
    ],
)
def test_damage_is_named(session: Path, file: str, old: str, new: str, message: str):
    text = (session / file).read_text()
    assert old in text
    (session / file).write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        open_capture(session)


def test_a_camera_without_a_video_is_left_out(session: Path):
    (session / "calibration" / "extrinsic" / "cam_2.mp4").unlink()
    capture = open_capture(session)
    assert [camera.name for camera in capture.cameras] == ["cam_0", "cam_10"]
    assert [w for w in capture.warnings if "no video of cam_2" in w]


def test_the_corners_of_a_real_board_project_onto_the_corners_found_in_the_undistorted_images(shared_data: Path):
    folder = shared_data / "board"
    capture = open_capture(folder)
    assert (len(capture.cameras), capture.frame_count, capture.fps) == (4, 57, 6.0)
    assert [w for w in capture.warnings if "exposures" in w]
    corners: dict[int, dict[int, np.ndarray]] = defaultdict(dict)
    with (folder / "calibration" / "extrinsic" / "CHARUCO" / "xyz_CHARUCO.csv").open() as file:
        for row in csv.DictReader(file):
            corners[int(row["sync_index"])][int(row["keypoint_id"])] = np.array([float(row[f"{axis}_coord"]) for axis in "xyz"])
    board = cv2.aruco.CharucoBoard((4, 5), 0.054, 0.0405, cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_1000))
    board.setLegacyPattern(True)
    detector = cv2.aruco.CharucoDetector(board)
    for index, camera in enumerate(capture.cameras):
        errors = []
        for frame in range(0, 57, 6):
            negative = 255 - cv2.cvtColor(capture.image(index, frame), cv2.COLOR_RGB2GRAY)  # the board was printed inverted
            found, ids, _, _ = detector.detectBoard(negative)
            for corner, number in zip(found.reshape(-1, 2), ids.reshape(-1), strict=True) if ids is not None else ():
                if int(number) in corners[35 + frame]:
                    uv = camera.project(corners[35 + frame][int(number)][None])[0][0]
                    errors.append(float(np.linalg.norm(corner + 0.5 - uv)))
        assert len(errors) > 20, camera.name
        assert np.median(errors) < 1.6, camera.name
