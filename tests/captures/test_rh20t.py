from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_capture
from colmap_files import write_text_model
from filmed_point import Filming, brightest, point_at, rig

from trackersplat.captures.registry import open_capture
from trackersplat.captures.rh20t import CALIBRATED_SIZE, IN_HAND
from trackersplat.errors import InputError

SERIALS = ("036422060909", "037522062165", "f0461559")
START = 1_690_000_000_000  # ms
SIZE = (320, 180)  # a quarter of the calibrated size
# The second camera starts a frame earlier, the third dropped frame 2; all are some milliseconds off.
TAKEN = {SERIALS[0]: [0, 1, 2, 3], SERIALS[1]: [-1, 0, 1, 2, 3], SERIALS[2]: [0, 1, 3]}
OFFSET = {SERIALS[0]: 0, SERIALS[1]: 12, SERIALS[2]: -31}


def cameras() -> list[Filming]:
    """Seen at 320x180, pixels as wide as high."""
    return [replace(f, camera=replace(f.camera, width=SIZE[0], height=SIZE[1], K=np.diag((2.0, 2.0, 1.0)) @ f.camera.K)) for f in rig(3)]


def save(path: Path, value: object) -> None:
    np.save(path, np.array(value, dtype=object), allow_pickle=True)


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("RH20T_cfg5")
    folder = root / "task_0001_user_0001_scene_0001_cfg_0005"
    (root / "calib" / "1689000000000").mkdir(parents=True)
    intrinsics, extrinsics = {}, {}
    for serial, filming in zip(SERIALS, cameras(), strict=True):
        place = folder / f"cam_{serial}"
        frames = TAKEN[serial]
        place.mkdir(parents=True)
        tiny_capture.encode(place / "color.mp4", np.stack([filming.film(frame) for frame in frames]), fps=10)
        save(place / "timestamps.npy", {"color": [START + 100 * frame + OFFSET[serial] for frame in frames], "depth": []})
        scale = CALIBRATED_SIZE[0] / SIZE[0]
        K = np.diag((scale, scale, 1.0)) @ filming.camera.K
        K[:2, 2] -= 0.5  # centres at whole numbers, at the calibrated size
        intrinsics[serial] = np.concatenate([K, np.zeros((3, 1))], axis=1)
        extrinsics[serial] = [filming.camera.world_to_camera]
    hand = folder / f"cam_{IN_HAND[1]}"
    shutil.copytree(folder / f"cam_{SERIALS[0]}", hand)
    save(root / "calib" / "1689000000000" / "intrinsics.npy", intrinsics)
    save(root / "calib" / "1689000000000" / "extrinsics.npy", extrinsics)
    (folder / "metadata.json").write_text(json.dumps({"calib": 1689000000000, "rating": 9}))
    return folder


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
    save(place / "timestamps.npy", {"color": [START + 100, START + 5000, START + 9000]})
    capture = open_capture(folder)
    assert [camera.name for camera in capture.cameras] == list(SERIALS[:2])
    assert capture.frame_count == 4
    assert [w for w in capture.warnings if w == f"{SERIALS[2]} is left out: it has images of only 20 % of the frames."]


def test_a_colmap_model_named_after_the_serials_needs_no_calibration(folder: Path):
    (folder / "metadata.json").unlink()
    named = [replace(filming.camera, name=serial) for serial, filming in zip(SERIALS, cameras(), strict=True)]
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
    save(folder / f"cam_{SERIALS[0]}" / "timestamps.npy", times)
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
    save(folder.parent / "calib" / "1689000000000" / file, {SERIALS[0]: value})
    with pytest.raises(InputError, match=message):
        open_capture(folder)
