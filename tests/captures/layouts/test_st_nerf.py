from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from colmap_files import write_text_model
from filmed_point import HEIGHT, WIDTH, assert_the_point_lights_up, rig
from making_captures import ST_NERF_NUMBERS, write_st_nerf

from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError

CAMERAS = rig(3)
LENS = (-0.2, 0.03, 0.002, -0.001)


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_st_nerf(tmp_path_factory.mktemp("stnerf") / "walking", CAMERAS)


@pytest.fixture
def folder(valid: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(valid, tmp_path / "walking"))


def test_an_asymmetric_point_lights_up_the_pixel_where_the_camera_projects_it(valid: Path):
    capture = open_capture(valid)
    assert_the_point_lights_up(capture)
    assert (capture.layout, capture.points, capture.held_out) == ("st_nerf", None, ())
    assert [camera.name for camera in capture.cameras] == ["8", "9", "10"]
    assert [w for w in capture.warnings if "poses of these scenes are poor" in w and "sparse/0" in w]


def test_clouds_of_the_background_and_the_layers_are_the_first_points(folder: Path):
    for place, x in (("background/0.ply", 1.0), ("frame1/pointclouds/1.ply", 2.0), ("frame2/pointclouds/1.ply", 9.0)):
        (folder / place).parent.mkdir(exist_ok=True)
        trimesh.PointCloud([[x, 0.5, 0.25]]).export(folder / place)
    points = open_capture(folder).points
    assert points is not None
    assert points.xyz.tolist() == [[1.0, 0.5, 0.25], [2.0, 0.5, 0.25]]


def test_a_colmap_model_of_the_first_frame_replaces_the_poses(tmp_path: Path):
    filmed = [replace(filming, distortion=LENS) for filming in CAMERAS]
    filmed = [replace(f, camera=replace(f.camera, K=CAMERAS[0].camera.K)) for f in filmed]
    folder = write_st_nerf(tmp_path / "walking", filmed)
    (folder / "pose" / "RT_c2w.txt").write_text("not even numbers")
    K = CAMERAS[0].camera.K
    lens = f"OPENCV {WIDTH} {HEIGHT} {K[0, 0]} {K[1, 1]} {K[0, 2]} {K[1, 2]} {' '.join(map(str, LENS))}"
    named = [replace(f.camera, name=f"{number}") for number, f in zip(ST_NERF_NUMBERS, filmed, strict=True)]
    write_text_model(folder / "sparse" / "0", named[:2], lens)
    capture = open_capture(folder)
    assert [camera.name for camera in capture.cameras] == ["8", "9"]
    assert_the_point_lights_up(capture)
    assert [w for w in capture.warnings if w.startswith("10 is left out")]
    assert not [w for w in capture.warnings if "poor" in w]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("pose/K.txt", "1 0 0 0 1 0 0 0\n" * 3, r"K\.txt must have 9 numbers a line"),
        ("pose/K.txt", "1 0 0 0 1 0 0 0 x\n" * 3, r"K\.txt must have 9 numbers a line"),
        ("pose/K.txt", "1 0 0 0 nan 0 0 0 1\n" * 3, "a number is not finite"),
        ("pose/K.txt", "1 0 0 0 1 0 0 0 1\n" * 2, r"K\.txt has 2 lines, but a frame has 3 images"),
        ("pose/K.txt", "1 0 0 0 1 0 0 1 1\n" * 3, r"line 1 of .*K\.txt must be fx 0 cx 0 fy cy 0 0 1"),
        ("pose/RT_c2w.txt", "1 0 0 0 0 2 0 0 0 0 1 0\n" * 3, r"line 1 of .*RT_c2w\.txt is no rotation"),
        ("pose/RT_c2w.txt", "1 0 0 0 0 1 0 0 0 0 -1 0\n" * 3, r"line 1 of .*RT_c2w\.txt is no rotation"),
        ("pose/RT_c2w.txt", "", r"RT_c2w\.txt has 0 lines"),
    ],
)
def test_damaged_poses_are_named(folder: Path, file: str, text: str, message: str):
    (folder / file).write_text(text)
    with pytest.raises(InputError, match=message):
        open_capture(folder)


def test_a_lost_image_or_folder_leaves_its_frame_out_of_all_cameras_and_is_said(folder: Path):
    (folder / "frame3" / "images" / "9.png").unlink()
    capture = open_capture(folder)
    assert_the_point_lights_up(capture, frames=(0, 1, 3))
    assert "1 frame is left out because a camera has no image of it; the first is frame3 (9 lacks it)." in capture.warnings
    shutil.rmtree(folder / "frame3")
    capture = open_capture(folder)
    assert_the_point_lights_up(capture, frames=(0, 1, 3))
    assert "Folders are missing (frame3): the frames are numbered without gaps." in capture.warnings


def test_an_image_lost_in_the_first_frame_costs_that_frame_and_no_camera(folder: Path):
    (folder / "frame1" / "images" / "9.png").unlink()
    for image in (folder / "frame3" / "images").iterdir():
        image.unlink()
    capture = open_capture(folder)
    assert_the_point_lights_up(capture, frames=(1, 3))
    assert "2 frames are left out because a camera has no image of them; the first is frame1 (9 lacks it)." in capture.warnings


def test_an_image_of_another_size_is_named_when_it_is_read(folder: Path):
    cv2.imwrite(str(folder / "frame2" / "images" / "9.png"), np.zeros((60, 80, 3), np.uint8))
    capture = open_capture(folder)
    with pytest.raises(InputError, match=r"frame2/images/9\.png has 80x60 pixels, but its camera has 160x120"):
        capture.image(1, 1)


def test_two_images_of_one_number_are_refused(folder: Path):
    shutil.copy(folder / "frame1" / "images" / "9.png", folder / "frame1" / "images" / "09.png")
    with pytest.raises(InputError, match="has the number of another image"):
        open_capture(folder)
