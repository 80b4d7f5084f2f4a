from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_capture
from filmed_point import FRAMES, HEIGHT, WIDTH, assert_the_point_lights_up, rig, write_video
from making_captures import write_qualisys

from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError

CAMERAS = rig(3, ((-0.1, 0.05, 0.003, -0.002), (0.05, -0.05, -0.002, 0.001)))


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_qualisys(tmp_path_factory.mktemp("qualisys") / "session", CAMERAS)


@pytest.fixture
def folder(valid: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(valid, tmp_path / "session"))


def test_an_asymmetric_point_lights_up_the_pixel_where_the_camera_projects_it(valid: Path):
    capture = open_capture(valid)
    assert_the_point_lights_up(capture)
    assert (capture.layout, capture.fps, [camera.name for camera in capture.cameras]) == ("qualisys", 60.0, ["21001", "21002"])
    np.testing.assert_allclose(capture.cameras[1].center, CAMERAS[1].camera.center, atol=1e-9)  # metres
    assert [w for w in capture.warnings if "held out" not in w] == []


def test_calibration_and_videos_may_lie_in_folders_of_their_own(folder: Path):
    (folder / "calibration").mkdir()
    (folder / "videos").mkdir()
    for path in list(folder.iterdir()):
        if path.is_file():
            path.rename(folder / ("videos" if path.suffix == ".mp4" else "calibration") / path.name)
    assert_the_point_lights_up(open_capture(folder))


def test_a_padded_copy_of_another_size_is_recognised_and_its_bars_are_not_shown(folder: Path):
    # The whole picture scaled to 144 columns, 108 rows of it, with 6 black rows above and below.
    name = "Walk_Miqus_1_21002.mp4"
    shrunk = [cv2.resize(CAMERAS[1].film(frame), (144, 108), interpolation=cv2.INTER_AREA) for frame in range(FRAMES)]
    tiny_capture.encode(folder / name, np.stack([np.pad(image, ((6, 6), (0, 0), (0, 0))) for image in shrunk]), fps=60)
    capture = open_capture(folder)
    assert (capture.cameras[1].width, capture.cameras[1].height) == (144, 120)
    assert [w for w in capture.warnings if name in w and "taken as scaled by 0.9000 about its centre" in w]
    assert_the_point_lights_up(capture)


def test_a_turned_video_is_refused(folder: Path):
    turned = replace(CAMERAS[1].camera, width=HEIGHT, height=WIDTH)
    write_video(folder / "Walk_Miqus_1_21002.mp4", replace(CAMERAS[1], camera=turned))
    with pytest.raises(InputError, match="has 120x160 pixels, but its camera was calibrated at 160x120: the video was turned"):
        open_capture(folder)


def test_two_videos_of_a_camera_are_refused(folder: Path):
    shutil.copy(folder / "Walk_Miqus_1_21002.mp4", folder / "Jump_Miqus_1_21002.mp4")
    with pytest.raises(InputError, match="several videos of the camera 21002"):
        open_capture(folder)


def test_videos_that_no_serial_names_are_refused(folder: Path):
    for index, path in enumerate(sorted(folder.glob("*.mp4"))):
        path.rename(folder / f"view{index}.mp4")
    with pytest.raises(InputError, match=r"no video that is named after the serial number of a camera in Walk\.qca\.txt"):
        open_capture(folder)


@pytest.mark.parametrize(
    ("pattern", "new", "message"),
    [
        ("</cameras>", "", r"Walk\.qca\.txt is not valid XML"),
        (r"<\?xml", "<!DOCTYPE a><?xml", "declares a document type"),
        ('focalLengthU="[^"]*"', "", "camera 21001 has no number as its intrinsic focalLengthU"),
        ('focalLengthU="[^"]*"', 'focalLengthU="nan"', "camera 21001 has no number as its intrinsic focalLengthU"),
        ('focalLengthU="[^"]*"', 'focalLengthU="-5"', "focal length that is not positive"),
        ('right="[^"]*"', 'right="1e300"', "camera 21001 has no number as its fov_video right"),
        ('right="[^"]*"', 'right="0"', "picture of -7x120 pixels"),
        ('r11="[^"]*"', 'r11="4"', "not a rotation"),
        ('serial="21001"', 'serial="../a"', "a camera's serial must be a plain name"),
        ('serial="21001"', 'serial="21002"', "two cameras of one serial number"),
        ("(?s)<camera .*</camera>", "", "has no camera"),
    ],
)
def test_damage_is_named(folder: Path, pattern: str, new: str, message: str):
    path = folder / "Walk.qca.txt"
    text = path.read_text()
    changed = re.sub(pattern, new, text, count=1)
    assert changed != text
    path.write_text(changed)
    with pytest.raises(InputError, match=message):
        open_capture(folder)


def test_four_real_cameras_see_a_swimming_cap_in_one_place(shared_data: Path):
    # A blob's centre differs from view to view by a few pixels of its hundred; a wrong axis, sign or scale gives hundreds.
    capture = open_capture(shared_data / "balancing")
    assert [(c.name, c.width, c.height) for c in capture.cameras] == [
        *((name, 1080, 1920) for name in ("cam01", "cam02")),
        *((name, 1088, 1920) for name in ("cam03", "cam04")),
    ]
    heads = []
    for frame in (0, 99):
        seen, rows = [], []
        for index, camera in enumerate(capture.cameras):
            image = capture.image(index, frame)
            assert image.reshape(image.shape[0], -1).mean(axis=1).min() > 20, "bars above and below are not shown"
            teal = cv2.inRange(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), (81, 101, 61), (96, 255, 255))
            _, _, stats, centroids = cv2.connectedComponentsWithStats(teal)
            seen.append(centroids[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))] + 0.5)
            projection = camera.K @ camera.world_to_camera[:3]
            rows += [row / np.linalg.norm(row[:3]) for row in seen[-1][:, None] * projection[2] - projection[:2]]
        solution = np.linalg.svd(np.array(rows))[2][-1]
        heads.append(solution[:3] / solution[3])
        for camera, uv in zip(capture.cameras, seen, strict=True):
            assert np.linalg.norm(camera.project(heads[-1][None])[0][0] - uv) < 25, camera.name
    assert all(1.4 < head[2] < 1.8 for head in heads)  # metres above the floor; z is up
    assert heads[1][0] - heads[0][0] == pytest.approx(0.93, abs=0.15)  # he walks along x


def test_the_two_neighbouring_real_cameras_agree_with_their_epipolar_lines(shared_data: Path):
    capture = open_capture(shared_data / "balancing")
    sift = cv2.SIFT_create(8000, contrastThreshold=0.02)
    first, second = (
        sift.detectAndCompute(cv2.cvtColor(cv2.resize(capture.image(i, 0), None, fx=0.5, fy=0.5), cv2.COLOR_RGB2GRAY), None) for i in (0, 1)
    )
    pairs = cv2.BFMatcher().knnMatch(first[1], second[1], k=2)
    back = cv2.BFMatcher().match(second[1], first[1])
    good = [a for a, b in pairs if a.distance < 0.85 * b.distance and back[a.trainIdx].trainIdx == a.queryIdx]
    a = np.array([first[0][m.queryIdx].pt for m in good]) * 2 + 1
    b = np.array([second[0][m.trainIdx].pt for m in good]) * 2 + 1
    one, two = capture.cameras[:2]
    motion = two.world_to_camera @ np.linalg.inv(one.world_to_camera)
    x, y, z = motion[:3, 3]
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ motion[:3, :3]
    fundamental = np.linalg.inv(two.K).T @ essential @ np.linalg.inv(one.K)
    a, b = np.pad(a, ((0, 0), (0, 1)), constant_values=1), np.pad(b, ((0, 0), (0, 1)), constant_values=1)
    lines, back_lines = a @ fundamental.T, b @ fundamental
    residual = np.abs((b * lines).sum(axis=1)) / np.sqrt((lines[:, :2] ** 2).sum(axis=1) + (back_lines[:, :2] ** 2).sum(axis=1))
    # Most matches across 60 degrees are wrong and spread evenly; the right ones pile up at zero.
    near, beside = (residual < 4).sum(), ((residual >= 8) & (residual < 32)).sum() / 6
    assert near > 12
    assert near > 4 * beside
