from __future__ import annotations

import copy
import json
import unicodedata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_capture
from filmed_point import assert_the_point_lights_up, rig
from making_captures import write_image_folder

from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError

POINT = np.array([[0.31, -0.17, 0.53]])


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder of 2 cameras x 3 frames numbered from 0, and what its cameras.json says."""
    folder = tmp_path_factory.mktemp("images") / "scene"
    cameras = tiny_capture.cameras()[1:3]
    for camera in cameras:
        (folder / "images" / camera.name).mkdir(parents=True)
        for frame in range(3):
            cv2.imwrite(str(folder / "images" / camera.name / f"{frame:04d}.png"), tiny_capture.render(camera, frame)[..., ::-1])
    entries = [{"name": c.name, "K": c.K.tolist(), "w2c": c.world_to_camera.tolist(), "dist": [0, 0, 0, 0, 0]} for c in cameras]
    data = {"width": 64, "height": 48, "fps": 25, "frames": 3, "cameras": entries, "held_out": ["cam02"]}
    (folder / "cameras.json").write_text(json.dumps(data))
    return folder, data


def with_description(valid: tuple[Path, dict[str, Any]], tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "scene"
    folder.mkdir()
    (folder / "images").symlink_to(valid[0] / "images")
    (folder / "cameras.json").write_text(text)
    return folder


def test_an_asymmetric_point_projects_as_in_the_cameras_that_were_written(valid):
    capture = open_capture(valid[0])
    for ours, written in zip(capture.cameras, tiny_capture.cameras()[1:3], strict=True):
        np.testing.assert_allclose(ours.project(POINT)[0], written.project(POINT)[0])


def test_images_and_facts_are_read(valid):
    capture = open_capture(valid[0])
    assert (capture.layout, capture.frame_count, capture.fps, capture.held_out) == ("image_folder", 3, 25.0, ("cam02",))
    np.testing.assert_array_equal(capture.image(1, 2), tiny_capture.render(capture.cameras[1], 2))


def test_frames_may_be_numbered_from_one(valid, tmp_path: Path):
    folder = tmp_path / "scene"
    for name in ("cam01", "cam02"):
        (folder / "images" / name).mkdir(parents=True)
        for frame in range(3):
            (folder / "images" / name / f"{frame + 1}.png").write_bytes((valid[0] / "images" / name / f"{frame:04d}.png").read_bytes())
    (folder / "cameras.json").write_text(json.dumps(valid[1]))
    np.testing.assert_array_equal(open_capture(folder).image(0, 1), open_capture(valid[0]).image(0, 1))


def test_capture_json_overrides_name_rate_and_held_out_cameras(valid, tmp_path: Path):
    folder = with_description(valid, tmp_path, json.dumps(valid[1]))
    (folder / "capture.json").write_text('{"name": "Mine", "fps": 5, "held_out": ["cam01"]}')
    capture = open_capture(folder)
    assert (capture.name, capture.fps, capture.held_out) == ("Mine", 5.0, ("cam01",))


def test_distorted_images_are_undistorted(tmp_path: Path):
    write_image_folder(tmp_path, rig(2, ((-0.25, 0.05, 0.003, -0.002, 0.01), (0.2, -0.05, 0.004, -0.001))))
    assert_the_point_lights_up(open_capture(tmp_path))
    (tmp_path / "capture.json").write_text('{"scale": 0.5}')
    assert_the_point_lights_up(open_capture(tmp_path))


def change(data: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(data)
    target = changed
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("frames",), 0, "'frames' must be an integer from 1"),
        (("frames",), 10**400, "'frames' must be an integer from 1"),
        (("frames",), True, "'frames' must be an integer from 1"),
        (("fps",), "30", "'fps' must be a number above 0"),
        (("fps",), -1, "'fps' must be a number above 0"),
        (("width",), 2.5, "'width' of cam01 must be an integer"),
        (("cameras",), [], "'cameras' must be a list of 1 to"),
        (("cameras",), [7], "every entry of 'cameras' must be an object"),
        (("cameras", 0, "name"), "../../etc", "name must be a plain name"),
        (("cameras", 0, "name"), "..", "name must be a plain name"),
        (("cameras", 0, "name"), "/etc", "name must be a plain name"),
        (("cameras", 0, "name"), "cam02", "names a camera twice"),
        (("cameras", 0, "name"), "cam77", "cam77 is missing"),
        (("cameras", 0, "K"), [[1, 0], [0, 1]], "'K' of cam01 must be a 3x3 matrix"),
        (("cameras", 0, "K"), [[50, 3, 32], [0, 50, 24], [0, 0, 1]], r"must be \[\[fx, 0, cx\]"),
        (("cameras", 0, "K", 0, 0), "50", "'K' of cam01 must be a 3x3 matrix of numbers"),
        (("cameras", 0, "K", 0, 0), 10**400, "'K' of cam01 has a number that is not finite"),
        (("cameras", 0, "w2c", 0, 0), 7.0, "not a rotation"),
        (("cameras", 0, "w2c", 3, 0), 1.0, "last row of 'w2c' of cam01"),
        (("cameras", 0, "dist"), [0.1, 0, 0], "cam01: the distortion must be 0 or 4 or 5 or 8 or 12 or 14 finite numbers"),
        (("cameras", 0, "dist"), [True, 0, 0, 0], "cam01: the distortion must be a list of numbers"),
        (("cameras", 0, "dist"), [-30.0, 0, 0, 0], "cam01 has a lens distortion that no pinhole image"),
        (("cameras", 0, "fisheye"), 1, "'fisheye' of cam01 must be true or false"),
        (("cameras", 0, "fisheye"), True, "cam01: the fisheye distortion must be 4 finite numbers"),
        (("held_out",), ["cam09"], "holds out the camera 'cam09', but the cameras are cam01, cam02"),
        (("held_out",), ["cam01", "cam02"], "holds out all 2 cameras"),
        (("held_out",), "cam01", "'held_out' must be a list"),
    ],
)
def test_every_wrong_value_is_named(valid, tmp_path: Path, path, value, message: str):
    folder = with_description(valid, tmp_path, json.dumps(change(valid[1], path, value)))
    with pytest.raises(InputError, match=message):
        open_capture(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"frames": NaN}', "[" * 100_000])
def test_a_description_that_is_no_json_object_is_named(valid, tmp_path: Path, text: str):
    with pytest.raises(InputError, match=r"cameras\.json"):
        open_capture(with_description(valid, tmp_path, text))


def test_the_path_traced_stage_opens_with_its_points_and_its_truth_fits(shared_data: Path):
    capture = open_capture(shared_data / "stage")
    assert (len(capture.cameras), capture.frame_count, capture.held_out) == (12, 16, ("cam08",))
    assert capture.points is not None
    assert len(capture.points.xyz) == 2782
    with np.load(shared_data / "stage" / "gt" / "tracks.npz", allow_pickle=False) as truth:
        for index in (0, 7):
            visible = truth["vis"][index, 3]
            uv, depth = capture.cameras[index].project(truth["xyz"][3][visible].astype(np.float64))
            assert (depth > 0).all()
            np.testing.assert_allclose(uv, truth["uv"][index, 3][visible], atol=2e-3)


def written(tmp_path: Path, numbers: dict[str, range], frames: int, more: Any = ()) -> Path:
    """Cameras with images of these numbers; the picture shows the frame of its number."""
    folder = tmp_path / "scene"
    for camera in tiny_capture.cameras()[: len(numbers)]:
        (folder / "images" / camera.name).mkdir(parents=True)
        for number in numbers[camera.name]:
            cv2.imwrite(str(folder / "images" / camera.name / f"{number:04d}.png"), tiny_capture.render(camera, number)[..., ::-1])
    entries = [{"name": c.name, "K": c.K.tolist(), "w2c": c.world_to_camera.tolist()} for c in tiny_capture.cameras()[: len(numbers)]]
    data = {"width": 64, "height": 48, "fps": 25, "frames": frames, "cameras": entries, "held_out": ["cam00"]}
    (folder / "cameras.json").write_text(json.dumps(data))
    return folder


def test_a_camera_that_lost_its_first_image_is_not_shifted_against_the_others(tmp_path: Path):
    capture = open_capture(written(tmp_path, {"cam00": range(4), "cam01": range(1, 4), "cam02": range(4)}, 3))
    for index in range(3):
        np.testing.assert_array_equal(capture.image(index, 0), tiny_capture.render(capture.cameras[index], 1))
    assert capture.warnings == ("1 frame is left out because a camera has no image of it; the first has the number 0 (cam01 lacks it).",)


def test_an_image_lost_in_between_leaves_its_frame_out_of_all_cameras_and_is_said(tmp_path: Path):
    folder = written(tmp_path, {"cam00": range(4), "cam01": range(4), "cam02": range(4)}, 4)
    (folder / "images" / "cam01" / "0002.png").unlink()
    capture = open_capture(folder)
    assert capture.frame_count == 3
    for index in range(3):
        np.testing.assert_array_equal(capture.image(index, 2), tiny_capture.render(capture.cameras[index], 3))
    assert capture.warnings == (
        "cameras.json promises 4 frames, but only 3 have an image of every camera.",
        "1 frame is left out because a camera has no image of it; the first has the number 2 (cam01 lacks it).",
    )


def test_cameras_whose_images_share_no_number_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no number is in the names of all cameras' images"):
        open_capture(written(tmp_path, {"cam00": range(2), "cam01": range(2, 4)}, 2))


def test_what_cameras_json_does_not_know_is_said(tmp_path: Path):
    folder = written(tmp_path, {"cam00": range(4), "cam01": range(4)}, 3)
    (folder / "images" / "cam07").mkdir()
    cv2.imwrite(str(folder / "images" / "cam01" / "cover.png"), np.zeros((9, 9, 3), np.uint8))
    assert open_capture(folder).warnings == (
        "Images of cam01 without a number in their names are left out: cover.png.",
        "cameras.json promises 3 frames; later images are left out, 1 of a camera at most.",
        "Folders of images without a camera in cameras.json are left out: cam07.",
    )


@pytest.mark.parametrize("name", ["B\u00fchne 1 (copy)", "\u673a\u4f4d#1", "[red]x", "-o", "a,b", "100%"])
def test_any_name_of_a_folder_is_the_name_of_a_camera(tmp_path: Path, name: str):
    folder = written(tmp_path, {"cam00": range(2), "cam01": range(2)}, 2)
    (folder / "images" / "cam01").rename(folder / "images" / unicodedata.normalize("NFD", name))
    (folder / "cameras.json").write_text((folder / "cameras.json").read_text().replace('"cam01"', json.dumps(name)))
    capture = open_capture(folder)
    assert capture.cameras[1].name == name
    np.testing.assert_array_equal(capture.image(1, 1), tiny_capture.render(capture.cameras[1], 1))


def test_opening_decodes_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = written(tmp_path, {"cam00": range(5), "cam01": range(5)}, 5)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("an image was decoded"))
    assert open_capture(folder).frame_count == 5


@pytest.mark.parametrize(("suffix", "name"), [(".tiff", "TIFF"), (".webp", "WebP")])
def test_images_in_a_format_that_is_not_read_are_refused_by_its_name(valid, tmp_path: Path, suffix: str, name: str):
    folder = tmp_path / "scene"
    for camera in ("cam01", "cam02"):
        (folder / "images" / camera).mkdir(parents=True)
        for frame in range(3):
            cv2.imwrite(str(folder / "images" / camera / f"{frame:04d}{suffix}"), np.zeros((48, 64, 3), np.uint8))
    (folder / "cameras.json").write_text(json.dumps(valid[1]))
    with pytest.raises(InputError, match=rf"images/cam01 has images in the format {name}, which is not read: convert them to PNG"):
        open_capture(folder)
