from __future__ import annotations

import shutil
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


def test_missing_frames_are_said(scene: Path):
    (scene / "frame2").rename(scene / "frame9")
    capture = open_capture(scene)
    assert capture.frame_count == 3
    np.testing.assert_array_equal(capture.image(0, 2), tiny_capture.render(capture.cameras[0], 1))  # frame9 was frame2
    assert "Folders are missing (frame2, frame4 to frame8): the frames are numbered without gaps." in capture.warnings


def test_a_folder_of_a_huge_number_costs_no_memory_and_one_without_any_image_is_named_as_left_out(scene: Path):
    (scene / "frame3").rename(scene / "frame999999999")
    shutil.rmtree(scene / "frame2" / "images")
    capture = open_capture(scene)
    assert capture.frame_count == 2
    said = (
        "Folders are missing (frame3 to frame999999998)",
        "1 frame is left out because a camera has no image of it; the first is frame2 (",
    )
    assert all(any(warning.startswith(each) for warning in capture.warnings) for each in said)
    assert not any("evenly spaced" in warning for warning in capture.warnings)


def test_a_frame_that_one_camera_lost_is_left_out_of_all_and_said(scene: Path):
    (scene / "frame2" / "images" / "cam01.png").unlink()
    capture = open_capture(scene)
    assert capture.frame_count == 2
    for index in range(3):
        np.testing.assert_array_equal(capture.image(index, 1), tiny_capture.render(capture.cameras[index], 2))
    assert "1 frame is left out because a camera has no image of it; the first is frame2 (cam01 lacks it)." in capture.warnings


def test_a_camera_without_any_image_is_named(scene: Path):
    for frame in range(1, 4):
        (scene / f"frame{frame}" / "images" / "cam01.png").unlink()
    with pytest.raises(InputError, match=r"frame1/images/cam01\.png is missing"):
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


def without_blank_lines(path: Path, keep: tuple[int, ...] = ()) -> None:
    """Drops the lines of 2D observations, as scripts do, except those of some images."""
    lines = path.read_text().splitlines()
    images, observations = lines[1::2], lines[2::2]
    kept = [line for index, image in enumerate(images) for line in (image, *([observations[index]] if index in keep else []))]
    path.write_text("\n".join([lines[0], *kept]) + "\n")


@pytest.mark.parametrize("keep", [(), (0,), (1,), (0, 2)])
def test_a_text_model_without_lines_of_observations_has_all_its_images(scene: Path, keep: tuple[int, ...]):
    for frame in (1, 2, 3):
        without_blank_lines(scene / f"frame{frame}" / "sparse" / "0" / "images.txt", keep)
    assert [camera.name for camera in open_capture(scene).cameras] == ["cam00", "cam01", "cam02"]


def test_a_text_model_saved_by_an_editor_of_windows_is_read(scene: Path):
    for path in scene.glob("frame*/sparse/0/*.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    capture = open_capture(scene)
    assert len(capture.cameras) == 3
    assert capture.points is not None


def one_model(folder: Path, pattern: str, frames: range = range(3), registered: range | None = None) -> Path:
    """One workspace with all images of all frames, named ``pattern`` of camera and frame; the model has ``registered`` frames."""
    cameras = shifted_cameras()
    for camera in cameras:
        for frame in frames:
            path = folder / "images" / pattern.format(camera=camera.name, frame=frame)
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.ascontiguousarray(tiny_capture.render(camera, frame)[..., ::-1]))
    named = [
        replace(camera, name=pattern.format(camera=camera.name, frame=frame).removesuffix(".png"))
        for camera in cameras
        for frame in registered or frames
    ]
    write_text_model(folder / "sparse" / "0", named)
    return folder


def test_images_of_one_pose_without_numbers_of_frames_are_cameras_and_that_is_said(tmp_path: Path):
    capture = open_capture(one_model(tmp_path / "scene", "{camera}_{frame:c}.png", range(ord("a"), ord("d"))))
    assert (len(capture.cameras), capture.frame_count) == (9, 1)
    assert any("each is taken as a camera" in warning for warning in capture.warnings)


@pytest.mark.parametrize(
    "pattern", ["{camera}/{frame:04d}.png", "{camera}_{frame:04d}.png", "{frame:03d}/{camera}.png", "{frame:04d}_{camera}.png"]
)
def test_images_of_one_pose_are_frames_of_one_camera(tmp_path: Path, pattern: str):
    capture = open_capture(one_model(tmp_path / "scene", pattern))
    assert ([camera.name for camera in capture.cameras], capture.frame_count) == (["cam00", "cam01", "cam02"], 3)
    assert any("3 cameras x 3 frames" in warning for warning in capture.warnings)
    for frame in range(3):
        np.testing.assert_array_equal(capture.image(1, frame), tiny_capture.render(shifted_cameras()[1], frame))


def test_a_model_of_the_first_frame_alone_gives_the_poses_of_all_frames(tmp_path: Path):
    capture = open_capture(one_model(tmp_path / "scene", "{camera}/{frame:04d}.png", registered=range(1)))
    assert (len(capture.cameras), capture.frame_count) == (3, 3)


def test_a_lost_image_leaves_its_frame_out_and_shifts_none(tmp_path: Path):
    folder = one_model(tmp_path / "scene", "{camera}/{frame:04d}.png", range(4), registered=range(1, 3))
    (folder / "images" / "cam02" / "0000.png").unlink()
    capture = open_capture(folder)
    assert capture.frame_count == 3
    np.testing.assert_array_equal(capture.image(0, 0), tiny_capture.render(shifted_cameras()[0], 1))
    np.testing.assert_array_equal(capture.image(2, 0), tiny_capture.render(shifted_cameras()[2], 1))
    assert any("the first has the number 0 (cam02 lacks it)" in warning for warning in capture.warnings)


def test_images_without_a_pose_are_said(scene: Path):
    for frame in (1, 2, 3):
        path = scene / f"frame{frame}" / "sparse" / "0" / "images.txt"
        path.write_text("\n".join(path.read_text().splitlines()[:5]) + "\n")
    capture = open_capture(scene)
    assert len(capture.cameras) == 2
    assert "The COLMAP model has no pose of 1 images, which are left out: cam02.png." in capture.warnings


def test_images_of_another_size_than_the_models_scale_the_cameras_and_are_said(tmp_path: Path):
    (tmp_path / "scene").mkdir()
    folder = write_workspace(tmp_path / "scene", shifted_cameras(), 0)
    for path in (folder / "images").iterdir():
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (32, 24), interpolation=cv2.INTER_AREA))
    capture = open_capture(folder)
    assert [(camera.width, camera.height) for camera in capture.cameras] == [(32, 24)] * 3
    for ours, written in zip(capture.cameras, shifted_cameras(), strict=True):
        np.testing.assert_allclose(2 * ours.project(POINT)[0], written.project(POINT)[0])
    assert any("32x24 pixels (the model: 64x48); the cameras are scaled" in warning for warning in capture.warnings)
    cv2.imwrite(str(folder / "images" / "cam01.png"), np.zeros((48, 48, 3), np.uint8))
    with pytest.raises(InputError, match=r"cam01\.png has 48x48 pixels, but its camera has 64x48"):
        open_capture(folder)


@pytest.mark.parametrize("place", ["sparse", "sparse_", "sparse_3/0"])
def test_a_model_is_found_where_other_tools_put_it(tmp_path: Path, place: str):
    (tmp_path / "scene").mkdir()
    folder = write_workspace(tmp_path / "scene", shifted_cameras(), 0)
    (folder / "sparse" / "0").rename(folder / "model")
    (folder / "sparse").rmdir()
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / "model").rename(folder / place)
    assert len(open_capture(folder).cameras) == 3


def test_other_models_of_the_same_images_are_said(tmp_path: Path):
    (tmp_path / "scene").mkdir()
    folder = write_workspace(tmp_path / "scene", shifted_cameras(), 0)
    (folder / "sparse" / "1").mkdir()
    assert any("several models" in warning for warning in open_capture(folder).warnings)


def test_any_file_name_is_the_name_of_a_camera(tmp_path: Path):
    names = ["IMG_0001 (1)", "DSC#2", "\u673a\u4f4d+3"]
    cameras = [replace(camera, name=name) for camera, name in zip(shifted_cameras(), names, strict=True)]
    (tmp_path / "scene").mkdir()
    capture = open_capture(write_workspace(tmp_path / "scene", cameras, 1))
    assert [camera.name for camera in capture.cameras] == sorted(names)
    index = capture.camera_index("DSC#2")
    np.testing.assert_array_equal(capture.image(index, 0), tiny_capture.render(capture.cameras[index], 1))
