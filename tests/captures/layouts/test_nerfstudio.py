from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from filmed_point import FRAMES, HEIGHT, WIDTH, Filming, assert_the_point_lights_up, rig, write_image
from making_captures import NERFSTUDIO_LENS, opengl_pose, transforms_json, write_nerfstudio

from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError

CAMERAS = rig(3, (tuple(NERFSTUDIO_LENS.values()),))


def description() -> dict[str, Any]:
    return transforms_json(CAMERAS)


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nerfstudio(tmp_path_factory.mktemp("nerfstudio") / "scene", CAMERAS)


def described(valid: Path, tmp_path: Path, data: Any) -> Path:
    folder = tmp_path / "scene"
    folder.mkdir()
    (folder / "images").symlink_to(valid / "images")
    (folder / "transforms.json").write_text(data if isinstance(data, str) else json.dumps(data))
    return folder


def test_an_asymmetric_point_lights_up_the_pixel_where_the_camera_projects_it(valid: Path):
    capture = open_capture(valid)
    assert_the_point_lights_up(capture)
    assert (capture.layout, capture.fps) == ("nerfstudio", 30.0)
    assert [camera.name for camera in capture.cameras] == ["cam00", "cam01", "cam02"]


def test_a_point_projects_to_the_pixel_computed_by_hand(valid: Path, tmp_path: Path):
    # A camera at (1, 2, 3) without rotation looks along world -z with world y up: (1.4, 2.2, -1) is 0.4 right, 0.2 up and 4 away.
    data = description()
    data["frames"] = [data["frames"][1]]
    matrix = np.eye(4)
    matrix[:3, 3] = 1, 2, 3
    data["frames"][0].update(transform_matrix=matrix.tolist(), fl_x=100, fl_y=100, cx=80, cy=60)
    data.update(dict.fromkeys(NERFSTUDIO_LENS, 0))
    camera = open_capture(described(valid, tmp_path, data)).cameras[0]
    uv, depth = camera.project(np.array([[1.4, 2.2, -1.0]]))
    np.testing.assert_allclose(depth, [4.0])
    np.testing.assert_allclose(uv, [[80 + 10.0, 60 - 5.0]])


def test_test_files_and_rate_and_points_are_read(valid: Path, tmp_path: Path):
    data = description()
    data["test_filenames"] = [f"images/cam01/{frame:04d}.png" for frame in range(FRAMES)]
    data.update(fps=24, ply_file_path="points.ply")
    folder = described(valid, tmp_path, data)
    trimesh.PointCloud([[1.0, 2.0, 3.0]]).export(folder / "points.ply")
    capture = open_capture(folder)
    assert (capture.held_out, capture.fps, capture.warnings) == (("cam01",), 24.0, ())
    assert capture.points is not None
    assert capture.points.xyz.tolist() == [[1.0, 2.0, 3.0]]


def test_split_files_hold_out_the_cameras_of_the_test_file(valid: Path, tmp_path: Path):
    data = description()
    folder = described(valid, tmp_path, data)
    (folder / "transforms.json").unlink()
    for name, wanted in (("train", ("cam00", "cam02")), ("test", ("cam01",))):
        frames = [frame for frame in data["frames"] if frame["file_path"].split("/")[1] in wanted]
        (folder / f"transforms_{name}.json").write_text(json.dumps({**data, "frames": frames}))
    capture = open_capture(folder)
    assert capture.held_out == ("cam01",)
    assert_the_point_lights_up(capture)


def test_names_sizes_and_endings_may_be_missing(tmp_path: Path):
    # As Blender's exporters write: a field of view, no size, no ending; cameras told apart by their pose only.
    centred = np.array([[150.0, 0, WIDTH / 2], [0, 150.0, HEIGHT / 2], [0, 0, 1]])
    filmed = [Filming(replace(f.camera, K=centred)) for f in rig(2)]
    frames = []
    for number, (frame, index) in enumerate((frame, index) for frame in range(FRAMES) for index in (0, 1)):
        write_image(tmp_path / "train" / f"r_{number}.png", filmed[index], frame)
        frames.append({"file_path": f"./train/r_{number}", "time": float(frame), "transform_matrix": opengl_pose(filmed[index])})
    (tmp_path / "transforms.json").write_text(json.dumps({"camera_angle_x": 2 * np.arctan(WIDTH / 300), "frames": frames}))
    capture = open_capture(tmp_path)
    assert [camera.name for camera in capture.cameras] == ["cam00", "cam01"]
    assert_the_point_lights_up(capture)


def test_without_times_all_images_are_of_one_frame(valid: Path, tmp_path: Path):
    data = description()
    data["frames"] = [{k: v for k, v in frame.items() if k != "time"} for frame in data["frames"] if "0002" in frame["file_path"]]
    assert_the_point_lights_up(open_capture(described(valid, tmp_path, data)), range(2, 3))


def change(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    data = copy.deepcopy(description())
    target: Any = data
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("frames",), [], "'frames' must be a list of 1 to"),
        (("frames", 0), 3, "frame 1 must be an object"),
        (("frames", 0, "time"), None, "'time' is missing in frame 1"),
        (("frames", 0, "time"), "now", "'time' must be a finite number"),
        (("frames", 0, "time"), 1 / 3, "two images of the camera cam01 at time 0.333"),
        (("frames", 0, "file_path"), "../secret.png", "each part of the path must be a plain name"),
        (("frames", 0, "transform_matrix"), [[1, 0], [0, 1]], "'transform_matrix' must be a 4x4 matrix"),
        (("frames", 0, "transform_matrix", 0, 0), 5.0, "no time has an image of every camera|is no rotation"),
        (("frames", 0, "transform_matrix", 3, 0), 5.0, "last row of 'transform_matrix'"),
        (("frames", 0, "fl_x"), "50", "'fl_x' must be a finite number"),
        (("frames", 0, "fl_x"), -50, "the focal lengths must be positive"),
        (("w",), 0, "the size 'w', 'h' must be an integer"),
        (("camera_model",), "EQUIRECTANGULAR", "camera model 'EQUIRECTANGULAR' is not supported"),
        (("k4",), 0.5, "a radial coefficient 'k4' is not supported"),
        (("k1",), 10**400, "'k1' must be a finite number"),
        (("ply_file_path",), "a.ply", r"a\.ply is missing"),
    ],
)
def test_every_wrong_value_is_named(valid: Path, tmp_path: Path, path: tuple[Any, ...], value: Any, message: str):
    with pytest.raises(InputError, match=message):
        open_capture(described(valid, tmp_path, change(path, value)))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_a_file_that_is_no_json_object_is_named(valid: Path, tmp_path: Path, text: str):
    with pytest.raises(InputError, match=r"transforms\.json"):
        open_capture(described(valid, tmp_path, text))


def test_a_moving_camera_is_refused(valid: Path, tmp_path: Path):
    data = description()
    data["frames"] = data["frames"][::4]
    for number, frame in enumerate(data["frames"]):
        frame["time"] = number
        frame["transform_matrix"] = opengl_pose(CAMERAS[number])
    with pytest.raises(InputError, match=r"each of the 3 poses has one image, each of another time\. Either one camera moves"):
        open_capture(described(valid, tmp_path, data))


def test_of_cameras_with_one_image_each_the_one_of_another_time_is_named(valid: Path, tmp_path: Path):
    data = description()
    frames = data["frames"] = [next(f for f in data["frames"] if f"cam{number:02d}" in f["file_path"]) for number in range(3)]
    for number, frame in enumerate(frames):
        frame["time"] = 0 if number == 1 else 5
    with pytest.raises(InputError, match=r"no time has an image of every camera \(cam01 has none at 5\): the cameras must film together"):
        open_capture(described(valid, tmp_path, data))
    for frame in frames:
        del frame["time"]
    (tmp_path / "together").mkdir()
    assert open_capture(described(valid, tmp_path / "together", data)).frame_count == 1


def test_an_emptied_image_is_named_when_it_is_read(valid: Path, tmp_path: Path):
    folder = Path(shutil.copytree(valid, tmp_path / "scene"))
    (folder / "images" / "cam01" / "0001.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"cam01/0001\.png is not an image"):
        open_capture(folder).image(1, 1)


def edited(edit: Any) -> dict[str, Any]:
    """The description with every frame changed by ``edit(entry, camera, frame)``."""
    data = description()
    for entry in data["frames"]:
        _, camera, file = entry["file_path"].split("/")
        edit(entry, int(camera.removeprefix("cam")), int(file.removesuffix(".png")))
    return data


def noise(entry: dict[str, Any], camera: int, frame: int) -> None:
    rng = np.random.default_rng(10 * camera + frame)
    pose = np.array(entry["transform_matrix"])
    pose[:3] += rng.normal(0, 1e-7, (3, 4))
    entry["transform_matrix"] = pose.tolist()


@pytest.mark.parametrize(
    "edit",
    [
        lambda entry, camera, frame: entry.update(time=1718000000123456789 + frame * 33333333),
        lambda entry, camera, frame: entry.update(time=1718000000123.5 + frame * 33.333),
        lambda entry, camera, frame: entry.update(time=1718000000 + frame / 30),
        lambda entry, camera, frame: entry.update(time=round(frame / 30 + 1e-7 * camera, 9)),
        lambda entry, camera, frame: entry.update(time=round(frame / 30 + 0.0005 * camera, 6)),
        lambda entry, camera, frame: entry.update(fl_x=entry["fl_x"] * (1 + 1e-6 * frame), fl_y=entry["fl_y"] * (1 + 1e-6 * frame)),
        noise,
        lambda entry, camera, frame: entry.update(file_path=entry["file_path"].replace("/", "\\")),
        lambda entry, camera, frame: entry.update(file_path="./" + entry["file_path"]),
        lambda entry, camera, frame: entry.update(file_path="/home/me/data/" + entry["file_path"]),
        lambda entry, camera, frame: entry.update(file_path="C:\\data\\" + entry["file_path"].replace("/", "\\")),
        lambda entry, camera, frame: entry.pop("time"),
    ],
    ids=["ns", "ms", "s since 1970", "noise", "half ms", "focal", "pose", "backslash", "dot", "absolute", "drive", "no time"],
)
def test_what_writers_round_away_or_write_in_another_way_is_read(valid: Path, tmp_path: Path, edit: Any):
    capture = open_capture(described(valid, tmp_path, edited(edit)))
    assert [camera.name for camera in capture.cameras] == ["cam00", "cam01", "cam02"]
    assert_the_point_lights_up(capture)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_read(valid: Path, tmp_path: Path, encoding: str):
    folder = described(valid, tmp_path, "")
    (folder / "transforms.json").write_bytes(json.dumps(description()).encode(encoding))
    assert_the_point_lights_up(open_capture(folder))


def test_an_applied_transform_is_not_undone(valid: Path, tmp_path: Path):
    # Poses and points of the file are in one world already; the key only tells how to get back to COLMAP's.
    data = description()
    data["applied_transform"] = [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0]]
    assert_the_point_lights_up(open_capture(described(valid, tmp_path, data)))


def test_differences_that_are_more_than_rounding_are_said(valid: Path, tmp_path: Path):
    assert any("differ a little" in warning for warning in open_capture(described(valid, tmp_path, edited(noise))).warnings)


def test_cameras_that_film_by_turns_are_not_put_into_one_frame(valid: Path, tmp_path: Path):
    data = edited(lambda entry, camera, frame: entry.update(time=frame / 30 + (1 / 60 if camera == 1 else 0)))
    with pytest.raises(InputError, match=r"no time has an image of every camera \(cam01 has none at 0\.0\)"):
        open_capture(described(valid, tmp_path, data))


def test_clearly_different_times_of_one_frame_are_said(valid: Path, tmp_path: Path):
    data = edited(lambda entry, camera, frame: entry.update(time=frame / 30 + 0.006 * (camera == 1)))
    capture = open_capture(described(valid, tmp_path, data))
    assert capture.frame_count == FRAMES
    assert "The cameras' images of one frame lie up to 0.18 frames apart." in capture.warnings


def test_frames_without_time_are_matched_by_their_numbers_and_not_by_their_order(valid: Path, tmp_path: Path):
    data = edited(lambda entry, camera, frame: entry.pop("time"))
    data["frames"] = [entry for entry in data["frames"] if entry["file_path"] != "images/cam01/0000.png"]
    capture = open_capture(described(valid, tmp_path, data))
    assert capture.frame_count == FRAMES - 1
    assert_the_point_lights_up(capture, frames=range(1, FRAMES))
    assert "1 frame is left out because a camera has no image of it; the first has the number 0 (cam01 lacks it)." in capture.warnings


def test_a_time_that_one_camera_lacks_is_left_out_of_all_and_said(valid: Path, tmp_path: Path):
    data = description()
    gone = next(entry for entry in data["frames"] if entry["file_path"] == "images/cam01/0002.png")
    data["frames"].remove(gone)
    capture = open_capture(described(valid, tmp_path, data))
    assert_the_point_lights_up(capture, frames=[frame for frame in range(FRAMES) if frame != 2])
    said = f"1 frame is left out because a camera has no image of it; the first has the time {gone['time']} (cam01 lacks it)."
    assert said in capture.warnings


@pytest.mark.parametrize("file", ["/etc/passwd", "images/cam01/9999.png"])
def test_an_image_that_is_not_there_is_said_and_none_outside_of_the_folder_is_read(valid: Path, tmp_path: Path, file: str):
    data = edited(lambda entry, camera, frame: entry.update(file_path=file) if (camera, frame) == (1, 2) else None)
    capture = open_capture(described(valid, tmp_path, data))
    assert_the_point_lights_up(capture, frames=[frame for frame in range(FRAMES) if frame != 2])
    assert f"Images that transforms.json names are missing: {file.removeprefix('/')}." in capture.warnings
    assert any(warning.startswith("1 frame is left out because a camera has no image of it") for warning in capture.warnings)


def test_images_that_the_file_does_not_name_are_said(valid: Path, tmp_path: Path):
    data = description()
    data["frames"] = [entry for entry in data["frames"] if not entry["file_path"].endswith("0003.png")]
    capture = open_capture(described(valid, tmp_path, data))
    assert capture.frame_count == FRAMES - 1
    said = (
        "transforms.json has no pose of 3 images, which are left out: images/cam00/0003.png, images/cam01/0003.png, images/cam02/0003.png."
    )
    assert said in capture.warnings
