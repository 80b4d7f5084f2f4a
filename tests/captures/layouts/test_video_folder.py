from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_capture
from filmed_point import FRAMES, HEIGHT, WIDTH, assert_the_point_lights_up, rig
from making_captures import cameras_json, write_video_folder

from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError

CAMERAS = rig(3, ((-0.3, 0.05, 0.003, -0.002, 0.01), (), (0.15, -0.05, -0.002, 0.001)))


def description() -> dict[str, Any]:
    return cameras_json(CAMERAS, held_out=["cam01"])


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video_folder(tmp_path_factory.mktemp("videos") / "scene", CAMERAS, held_out=["cam01"])


@pytest.fixture
def folder(valid: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(valid, tmp_path / "scene"))


def test_an_asymmetric_point_lights_up_the_pixel_where_the_camera_projects_it(valid: Path):
    capture = open_capture(valid)
    assert_the_point_lights_up(capture)
    assert (capture.layout, capture.fps, capture.held_out, capture.warnings) == ("video_folder", 25.0, ("cam01",), ())
    assert all((camera.width, camera.height) == (WIDTH, HEIGHT) for camera in capture.cameras)
    np.testing.assert_array_equal(capture.cameras[1].K, CAMERAS[1].camera.K)  # the camera without distortion is left alone


def test_videos_may_lie_beside_the_description(folder: Path):
    for video in (folder / "videos").iterdir():
        video.rename(folder / video.name)
    (folder / "videos").rmdir()
    assert_the_point_lights_up(open_capture(folder))


def test_capture_json_scales_the_images_and_the_cameras(folder: Path):
    (folder / "capture.json").write_text('{"scale": 0.5, "fps": 10}')
    capture = open_capture(folder)
    assert {(camera.width, camera.height) for camera in capture.cameras} == {(WIDTH // 2, HEIGHT // 2)}
    assert capture.fps == 10
    assert_the_point_lights_up(capture)


def test_a_calibration_at_another_size_is_scaled(folder: Path):
    data = description()
    data["width"], data["height"] = 2 * WIDTH, 2 * HEIGHT
    for entry in data["cameras"]:
        entry["K"] = (np.diag((2.0, 2.0, 1.0)) @ np.array(entry["K"])).tolist()
    (folder / "cameras.json").write_text(json.dumps(data))
    assert_the_point_lights_up(open_capture(folder))


def test_a_video_without_a_camera_is_left_out_with_a_warning(folder: Path):
    shutil.copy(folder / "videos" / "cam00.mp4", folder / "videos" / "phone.mp4")
    assert [w for w in open_capture(folder).warnings if "phone.mp4" in w]


@pytest.mark.parametrize(("promised", "used"), [(2, 2), (FRAMES + 1, FRAMES)])
def test_another_number_of_frames_than_that_of_the_videos_is_said(folder: Path, promised: int, used: int):
    (folder / "cameras.json").write_text(json.dumps({**description(), "frames": promised}))
    capture = open_capture(folder)
    assert capture.frame_count == used
    said = f"cameras.json promises {promised} frames, but the videos have {FRAMES}: the first {used} are used."
    assert capture.warnings == (said,)


def test_a_missing_video_is_named(folder: Path):
    (folder / "videos" / "cam02.mp4").unlink()
    with pytest.raises(InputError, match=r"cam02\.mp4 is missing: cameras\.json has a camera cam02"):
        open_capture(folder)


def test_another_aspect_ratio_is_refused(folder: Path):
    tiny_capture.encode(folder / "videos" / "cam02.mp4", np.zeros((FRAMES, 120, 120, 3), np.uint8))
    with pytest.raises(InputError, match=r"cam02\.mp4 has 120x120 pixels, but its camera was calibrated at 160x120"):
        open_capture(folder)


def test_an_empty_video_is_named(folder: Path):
    (folder / "videos" / "cam00.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=r"cam00\.mp4 is empty"):
        open_capture(folder)


@pytest.mark.parametrize("suffix", [".MOV", ".m4v", ".MP4"])
def test_an_mp4_may_be_called_otherwise(folder: Path, suffix: str):
    for video in (folder / "videos").iterdir():
        video.rename(video.with_suffix(suffix))
    assert_the_point_lights_up(open_capture(folder))


def test_a_video_of_another_format_is_named_with_how_to_copy_it(folder: Path):
    (folder / "videos" / "cam01.mp4").rename(folder / "videos" / "cam01.mkv")
    with pytest.raises(InputError, match=r"cam01\.mkv is a video in the format MKV.*`ffmpeg -i cam01\.mkv -c copy cam01\.mp4`"):
        open_capture(folder)


def test_a_codec_that_cannot_be_decoded_is_named_at_opening(folder: Path):
    path = folder / "videos" / "cam01.mp4"
    data = path.read_bytes()
    start = data.index(b"stsd")
    path.write_bytes(data[:start] + data[start:].replace(b"avc1", b"av01", 1))
    with pytest.raises(InputError, match=r"cam01\.mp4 is encoded as AV1, which the FFmpeg of this OpenCV .* cannot decode"):
        open_capture(folder)


def test_a_camera_of_twice_the_rate_is_matched_by_time(folder: Path):
    video = folder / "videos" / "cam01.mp4"
    between = np.full((HEIGHT, WIDTH, 3), 99, np.uint8)  # what the others have no frame of
    images = np.stack([image for frame in range(FRAMES) for image in (CAMERAS[1].film(frame), between)])
    tiny_capture.encode(video, images, fps=50.0)
    capture = open_capture(folder)
    assert_the_point_lights_up(capture)
    assert capture.fps == 25.0
    assert any("different frame rates (25, 50)" in warning for warning in capture.warnings)


def test_a_lost_frame_is_not_explained_by_the_rate(folder: Path):
    images = np.stack([CAMERAS[1].film(frame) for frame in range(FRAMES - 1)])
    tiny_capture.encode(folder / "videos" / "cam01.mp4", images, fps=25.0)
    with pytest.raises(InputError, match=r"cam01\.mp4 has 3 frames"):
        open_capture(folder)
