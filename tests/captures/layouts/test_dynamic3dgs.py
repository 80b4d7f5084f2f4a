from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import dynamic3dgs_files as files
import numpy as np
import pytest

from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError

POINT = np.array([[0.31, -0.17, 0.53]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return files.write(tmp_path / "scene")


def change(folder: Path, edit: Callable[[dict[str, Any]], object], name: str = "train_meta.json") -> None:
    data = json.loads((folder / name).read_text())
    edit(data)
    (folder / name).write_text(json.dumps(data))


def test_the_published_split_holds_out_the_test_cameras_and_names_sort_like_numbers(folder: Path):
    capture = open_capture(folder)
    assert (capture.layout, capture.frame_count, capture.fps) == ("dynamic3dgs", 3, 30.0)
    assert [c.name for c in capture.cameras] == ["cam00", "cam01", "cam02", "cam07", "cam10", "cam11"]
    assert capture.held_out == ("cam01", "cam11")
    assert capture.warnings == ()


def test_an_asymmetric_point_projects_as_in_the_cameras_that_were_written(folder: Path):
    for camera in open_capture(folder).cameras:
        expected, depth = files.ring()[int(camera.name[3:])].project(POINT)
        np.testing.assert_allclose(camera.project(POINT)[0], expected, atol=1e-9)
        assert depth > 0
        assert camera.near == 0.8


def test_every_camera_gets_its_own_images_and_masks(folder: Path):
    capture = open_capture(folder)
    for index, camera in enumerate(capture.cameras):
        i = int(camera.name[3:])
        assert np.abs(capture.image(index, 2).astype(int) - files.image(i, 2)).mean() < 3  # JPEG
        if i in files.UNMASKED:
            assert capture.mask(index, 2) is None
            assert not capture.has_masks(index)
        else:
            np.testing.assert_array_equal(capture.mask(index, 2), files.mask(i, 2))
    with pytest.raises(IndexError):
        capture.mask(0, 3)


def test_capture_json_scales_the_images_the_masks_and_the_cameras(folder: Path):
    full = open_capture(folder)
    (folder / "capture.json").write_text('{"scale": 0.5}')
    half = open_capture(folder)
    for index, (camera, before) in enumerate(zip(half.cameras, full.cameras, strict=True)):
        assert (camera.width, camera.height) == (before.width // 2, before.height // 2)
        np.testing.assert_allclose(camera.project(POINT)[0], before.project(POINT)[0] / 2, atol=1e-9)
        blocks = full.image(index, 1).astype(float).reshape(camera.height, 2, camera.width, 2, 3).mean(axis=(1, 3))
        assert np.abs(half.image(index, 1) - blocks).max() <= 1
        if (mask := full.mask(index, 1)) is None:
            assert half.mask(index, 1) is None
        else:
            covered = mask.reshape(camera.height, 2, camera.width, 2).mean(axis=(1, 3))
            np.testing.assert_array_equal(half.mask(index, 1), covered > 0.5)
            assert covered.any()


def test_first_points_come_with_their_colours(folder: Path):
    data = np.array([[0.1, 0.2, 0.3, 1.0, 0.5, 0.0, 1.0], [-0.1, 0.0, 0.2, 0.0, 0.2, 1.0, 0.0]])
    np.savez(folder / "init_pt_cld.npz", data=data)
    points = open_capture(folder).points
    np.testing.assert_allclose(points.xyz, data[:, :3], rtol=1e-6)
    np.testing.assert_array_equal(points.rgb, [[255, 128, 0], [0, 51, 255]])


def test_a_copy_of_the_first_frames_opens_with_those_that_all_cameras_have(folder: Path):
    for i in files.POSITIONS:
        (folder / "ims" / str(i) / "000002.jpg").unlink()
    (folder / "ims" / "7" / "000001.jpg").unlink()
    capture = open_capture(folder)
    assert capture.frame_count == 1
    assert capture.warnings == ("3 frames are promised, but cam07 has only 1: the first is used.",)


def test_without_test_meta_nothing_is_held_out(folder: Path):
    (folder / "test_meta.json").unlink()
    capture = open_capture(folder)
    assert (len(capture.cameras), capture.held_out) == (4, ())
    assert "No camera is held out" in capture.warnings[0]


def test_the_folders_of_the_images_name_the_cameras_where_the_file_does_not(folder: Path):
    change(folder, lambda data: data.pop("cam_id"))
    assert [c.name for c in open_capture(folder).cameras] == ["cam00", "cam01", "cam02", "cam07", "cam10", "cam11"]


def test_a_camera_that_moves_a_little_is_said_and_stands_as_in_its_first_frame(folder: Path):
    change(folder, lambda data: data["k"][2][3][0].__setitem__(2, data["k"][2][3][0][2] + 0.5))
    capture = open_capture(folder)
    assert "cam07 moves by up to 0.5 px" in capture.warnings[0]
    np.testing.assert_allclose(capture.cameras[3].K, files.ring()[7].K)


def test_a_missing_mask_is_said_and_the_frame_used_without(folder: Path):
    (folder / "seg" / "7" / "000001.png").unlink()
    capture = open_capture(folder)
    assert capture.mask(3, 1) is None
    assert capture.mask(3, 0) is not None
    assert "Masks are missing (1, the first is" in capture.warnings[0]


def test_poses_that_are_camera_to_world_are_noticed(folder: Path):
    for name in ("train_meta.json", "test_meta.json"):
        change(folder, lambda data: data.update(w2c=np.linalg.inv(np.array(data["w2c"])).tolist()), name)
    with pytest.raises(InputError, match="looks like camera-to-world"):
        open_capture(folder)
    np.savez(folder / "init_pt_cld.npz", data=np.random.default_rng(0).normal(0, 0.3, (100, 7)))
    with pytest.raises(InputError, match="looks like camera-to-world"):
        open_capture(folder)


def rotate_one_frame(data: dict[str, Any]) -> None:
    w2c = np.array(data["w2c"])
    w2c[1, 0, :3] = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]) @ w2c[1, 0, :3]
    data["w2c"] = w2c.tolist()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d.pop("k"), "'k' must hold a 3x3 matrix"),
        (lambda d: d["k"].pop(), "for each of 4 cameras and 3 frames"),
        (lambda d: d["w2c"][1].pop(), "'w2c' must hold a 4x4 matrix"),
        (lambda d: d["k"][0][0].__setitem__(0, ["1", 0, 2]), "'k' must hold"),
        (lambda d: d["w2c"][0][1][0].__setitem__(3, float("nan")), "finite"),
        (lambda d: d["w2c"][0][1][0].__setitem__(3, 10**400), "'w2c' must hold"),
        (lambda d: d["k"][2][0][0].__setitem__(1, 3.0), r"cam00: 'k' must be \[\[fx"),
        (lambda d: d["k"][0][0][0].__setitem__(0, -60.0), "cam00: focal|focal lengths must be positive|moves"),
        (lambda d: d["w2c"][2][0][0].__setitem__(0, 3.0), "'w2c' is not a rotation"),
        (lambda d: d["w2c"][2][0][3].__setitem__(0, 3.0), "last row of 'w2c'"),
        (rotate_one_frame, "cam00 moves"),
        (lambda d: d.update(w=0), "'w' must be an integer"),
        (lambda d: d.update(h=10**6), "'h' must be an integer"),
        (lambda d: d.update(fn=[]), "'fn' must be a list of 1 to"),
        (lambda d: d["fn"].__setitem__(1, []), "every frame of 'fn' must list 4 images"),
        (lambda d: d["fn"][0].__setitem__(0, "../../secret.jpg"), "plain name"),
        (lambda d: d["fn"][0].__setitem__(0, "/etc/passwd"), "plain name"),
        (lambda d: d["fn"][0].__setitem__(0, 7), "'fn' must list image files"),
        (lambda d: d["cam_id"].__setitem__(0, [0, 2, 10, -7]), "'cam_id' must list"),
        (lambda d: d["cam_id"].__setitem__(0, "0123"), "'cam_id' must list"),
        (lambda d: d.update(cam_id=[[0, 2, 10, 11]] * 3), "train_meta.json and test_meta.json list cam11 twice"),
    ],
)
def test_a_damaged_meta_file_gives_one_sentence(folder: Path, edit: Callable[[dict[str, Any]], object], message: str):
    change(folder, edit)
    with pytest.raises(InputError, match=message) as error:
        open_capture(folder)
    assert "\n" not in str(error.value)


def test_a_lost_image_leaves_its_frame_out_of_all_cameras_and_is_said(folder: Path):
    whole = open_capture(folder)
    (folder / "ims" / "10" / "000001.jpg").unlink()
    capture = open_capture(folder)
    assert capture.frame_count == 2
    for index in range(len(capture.cameras)):
        np.testing.assert_array_equal(capture.image(index, 1), whole.image(index, 2))
    left_out = "1 frame is left out because a camera has no image of it; the first is frame 2 of the meta files (cam10 lacks it)."
    assert capture.warnings == (left_out,)
    (folder / "ims" / "0" / "000002.jpg").unlink()
    assert open_capture(folder).warnings == (left_out.replace("1 frame is", "2 frames are").replace("of it;", "of them;"),)
    shutil.rmtree(folder / "ims" / "10")
    with pytest.raises(InputError, match=r"10/000000.jpg is missing"):
        open_capture(folder)


def test_a_mask_of_another_size_or_no_image_is_said_when_it_is_read(folder: Path):
    cv2.imwrite(str(folder / "seg" / "0" / "000000.png"), np.zeros((5, 6), np.uint8))
    (folder / "seg" / "0" / "000001.png").write_bytes(b"")
    capture = open_capture(folder)
    with pytest.raises(InputError, match="has 6x5 pixels, but its camera has 64x48"):
        capture.mask(0, 0)
    with pytest.raises(InputError, match="not a mask that can be decoded"):
        capture.mask(0, 1)


@pytest.mark.parametrize("data", [np.zeros((0, 7)), np.full((3, 7), np.nan), np.zeros((3, 6)), np.array([["a"] * 7])])
def test_damaged_first_points_are_said(folder: Path, data: np.ndarray):
    np.savez(folder / "init_pt_cld.npz", data=data)
    with pytest.raises(InputError, match=r"init_pt_cld\.npz"):
        open_capture(folder)
