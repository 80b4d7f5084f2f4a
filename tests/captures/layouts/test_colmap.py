from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_capture
from colmap_files import write_text_model, write_workspace

from trackersplat.captures.camera import Camera
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError

POINT = np.array([[0.31, -0.17, 0.53]])


def shifted_cameras() -> list[Camera]:
    """Principal points off the centre, different on both axes."""
    return [replace(camera, K=camera.K + np.array([[0, 0, 3.5], [0, 2, -1.25], [0, 0, 0]])) for camera in tiny_capture.cameras()[:3]]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """frame1 to frame3 of three cameras."""
    folder = tmp_path / "scene"
    for frame in range(3):
        (folder / f"frame{frame + 1}").mkdir(parents=True)
        write_workspace(folder / f"frame{frame + 1}", shifted_cameras(), frame)
    return folder


def test_an_asymmetric_point_projects_as_in_the_cameras_that_were_written(scene: Path):
    for ours, written in zip(open_capture(scene).cameras, shifted_cameras(), strict=True):
        np.testing.assert_allclose(ours.project(POINT)[0], written.project(POINT)[0], atol=1e-9)


def test_an_asymmetric_point_projects_to_the_pixel_computed_by_hand(scene: Path):
    # Half a turn about (1, 1, 0) swaps x and y and negates z; then the camera steps back by 5 and aside.
    for frame in (1, 2, 3):
        model = scene / f"frame{frame}" / "sparse" / "0"
        half = repr(float(np.sqrt(0.5)))
        (model / "cameras.txt").write_text("1 SIMPLE_PINHOLE 64 48 50 30 20\n")
        (model / "images.txt").write_text(f"1 0 {half} {half} 0 0.5 -0.25 5 1 cam00.png\n\n")
    uv, depth = open_capture(scene).cameras[0].project(np.array([[0.1, 0.2, 1.0]]))
    np.testing.assert_allclose(depth, [4.0])
    np.testing.assert_allclose(uv, [[30 + 50 * 0.7 / 4, 20 + 50 * -0.15 / 4]])


def test_frames_images_and_points_are_read(scene: Path):
    capture = open_capture(scene)
    assert (capture.layout, capture.frame_count, capture.fps) == ("colmap", 3, 30.0)
    for frame in range(3):
        np.testing.assert_array_equal(capture.image(1, frame), tiny_capture.render(capture.cameras[1], frame))
    assert capture.points is not None
    assert capture.points.xyz.tolist() == [[0.25, -1.5, 3.0], [1.0, 2.0, 3.0]]
    assert capture.points.rgb.tolist() == [[10, 20, 30], [255, 0, 128]]


def test_frames_are_ordered_by_number_not_by_name(tmp_path: Path):
    for frame in range(11):
        (tmp_path / f"frame{frame + 1}").mkdir()
        write_workspace(tmp_path / f"frame{frame + 1}", tiny_capture.cameras()[:1], frame % 6)
    capture = open_capture(tmp_path)
    np.testing.assert_array_equal(capture.image(0, 1), tiny_capture.render(capture.cameras[0], 1))
    np.testing.assert_array_equal(capture.image(0, 9), tiny_capture.render(capture.cameras[0], 3))


def test_a_single_workspace_is_a_capture_of_one_frame(tmp_path: Path):
    (tmp_path / "single").mkdir()
    capture = open_capture(write_workspace(tmp_path / "single", shifted_cameras(), 2))
    assert (capture.frame_count, len(capture.cameras)) == (1, 3)
    np.testing.assert_array_equal(capture.image(2, 0), tiny_capture.render(capture.cameras[2], 2))


def test_nothing_held_out_is_a_warning_and_capture_json_ends_it(scene: Path):
    assert [w for w in open_capture(scene).warnings if "training cameras only" in w]
    (scene / "capture.json").write_text('{"held_out": ["cam01"], "fps": 15}')
    capture = open_capture(scene)
    assert (capture.held_out, capture.fps, capture.warnings) == (("cam01",), 15.0, ())


def test_another_calibration_in_a_later_frame_is_a_warning(scene: Path):
    (scene / "capture.json").write_text('{"held_out": ["cam01"], "fps": 15}')
    cameras = shifted_cameras()
    cameras[2] = replace(cameras[2], world_to_camera=tiny_capture.look_at((1.25, 0.3, -2.7)))
    write_text_model(scene / "frame3" / "sparse" / "0", cameras)
    warnings = open_capture(scene).warnings
    assert len(warnings) == 1
    assert "frame3 has another calibration than frame1 (for cam02.png)" in warnings[0]


def test_later_frames_need_no_model(scene: Path):
    for name in ("cameras", "images", "points3D"):
        (scene / "frame2" / "sparse" / "0" / f"{name}.txt").unlink()
    assert open_capture(scene).frame_count == 3


def test_a_missing_frame_is_named(scene: Path):
    (scene / "frame2").rename(scene / "frame9")
    with pytest.raises(InputError, match="has frame1 to frame9, but frame2 is missing"):
        open_capture(scene)


def test_a_missing_image_is_named(scene: Path):
    (scene / "frame3" / "images" / "cam01.png").unlink()
    with pytest.raises(InputError, match=r"frame3/images/cam01\.png is missing"):
        open_capture(scene)


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "a/../../b.png", "a//b.png"])
def test_image_names_that_lead_out_of_the_folder_are_refused(scene: Path, name: str):
    path = scene / "frame1" / "sparse" / "0" / "images.txt"
    path.write_text(path.read_text().replace("cam00.png", name))
    with pytest.raises(InputError, match="plain name"):
        open_capture(scene)


def test_images_in_subfolders_get_the_folder_into_their_name(tmp_path: Path):
    (tmp_path / "single").mkdir()
    folder = write_workspace(tmp_path / "single", tiny_capture.cameras()[:1], 0)
    (folder / "images" / "rig").mkdir()
    (folder / "images" / "cam00.png").rename(folder / "images" / "rig" / "cam00.png")
    path = folder / "sparse" / "0" / "images.txt"
    path.write_text(path.read_text().replace("cam00.png", "rig/cam00.png"))
    capture = open_capture(folder)
    assert capture.cameras[0].name == "rig_cam00"
    assert capture.image(0, 0).shape == (48, 64, 3)


def test_lens_distortion_without_pycolmap_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    (tmp_path / "single").mkdir()
    folder = write_workspace(tmp_path / "single", tiny_capture.cameras()[:1], 0, lens="FOV 64 48 60 61 33 23 0.2")
    with pytest.raises(InputError, match=r"pip install '\.\[colmap\]'"):
        open_capture(folder)


@pytest.mark.parametrize("lens", ["SIMPLE_RADIAL 64 48 60 32 24 0", "OPENCV 64 48 60 60 32 24 0 0 0 0", "RADIAL 64 48 60 32 24 0 0"])
def test_a_distorted_model_without_distortion_needs_no_pycolmap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lens: str):
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    (tmp_path / "single").mkdir()
    capture = open_capture(write_workspace(tmp_path / "single", tiny_capture.cameras()[:1], 0, lens=lens))
    np.testing.assert_allclose(capture.cameras[0].K, tiny_capture.cameras()[0].K)


def test_points_filmed_through_a_lens_lie_where_the_undistorted_camera_projects_them(tmp_path: Path):
    # White dots are drawn where OpenCV's own distortion model puts the points; the capture's pinhole camera must find them.
    pytest.importorskip("pycolmap")
    camera = replace(tiny_capture.cameras()[1], width=640, height=480, K=np.array([[600.0, 0, 330], [0, 610, 230], [0, 0, 1]]))
    lens = np.array([-0.2, 0.03, 0.002, -0.001])
    points = np.random.default_rng(3).uniform((-1.0, -0.7, 0.0), (0.9, 0.6, 1.2), (40, 3))
    vector = cv2.Rodrigues(camera.rotation)[0]
    # OpenCV's pixel centres lie on whole numbers: half a pixel less than COLMAP's.
    K = camera.K - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    dots = cv2.projectPoints(points, vector, camera.translation, K, lens)[0][:, 0]
    rows, columns = np.mgrid[:480, :640]
    folder = tmp_path / "single"
    write_text_model(folder / "sparse" / "0", [camera], lens="OPENCV 640 480 600 610 330 230 -0.2 0.03 0.002 -0.001")
    (folder / "images").mkdir()
    checked = 0
    for dot, point in zip(dots, points, strict=True):
        if not (20 < dot[0] < 620 and 20 < dot[1] < 460):
            continue
        blob = 255 * np.exp(-((columns - dot[0]) ** 2 + (rows - dot[1]) ** 2) / (2 * 2.0**2))
        cv2.imwrite(str(folder / "images" / "cam01.png"), np.repeat(blob[..., None], 3, axis=2).astype(np.uint8))
        capture = open_capture(folder)
        ours = capture.cameras[0]
        image = capture.image(0, 0)[..., 0].astype(float)
        assert image.shape == (ours.height, ours.width)
        uv = ours.project(point[None])[0][0]
        if not (10 < uv[0] < ours.width - 10 and 10 < uv[1] < ours.height - 10):
            continue
        y, x = np.mgrid[: ours.height, : ours.width] + 0.5
        center = np.array([(image * x).sum(), (image * y).sum()]) / image.sum()
        np.testing.assert_allclose(center, uv, atol=0.1)
        checked += 1
        if checked == 6:
            break
    assert checked == 6
