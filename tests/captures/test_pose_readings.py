"""Poses in another convention than the one they are read in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_capture
from scipy.spatial.transform import Rotation

from trackersplat.captures.camera import Camera
from trackersplat.captures.layout import Layout
from trackersplat.captures.pose_readings import PREFIX, pose_remarks
from trackersplat.captures.registry import LAYOUTS, open_capture

K = np.array([[160.0, 0, 80], [0, 160, 60], [0, 0, 1]])
OPENGL = np.diag((1.0, -1.0, -1.0))
LLFF = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])
OPENCV_LAYOUT = LAYOUTS.load("image_folder")
COLMAP_LAYOUT = LAYOUTS.load("colmap")
LLFF_LAYOUT = LAYOUTS.load("n3dv")
OPENGL_LAYOUT = LAYOUTS.load("nerfstudio")


def dome(count: int = 12, offset: tuple[float, float, float] = (0.3, -0.2, 0.4)) -> list[np.ndarray]:
    """World to camera of cameras all round and at several heights, none of them aimed exactly at the middle."""
    rng = np.random.default_rng(3)
    poses = []
    for index in range(count):
        angle, height = 2 * np.pi * index / count, (-0.4, -1.1, -1.9)[index % 3]
        position = np.array([3 * np.cos(angle), height, 3 * np.sin(angle)]) + offset
        poses.append(tiny_capture.look_at(tuple(position), tuple(np.add(offset, rng.normal(0, 0.1, 3)))))
    return poses


def cameras(poses: list[np.ndarray]) -> list[Camera]:
    return [Camera(f"cam{index:02d}", 160, 120, K, pose) for index, pose in enumerate(poses)]


def read_with(given: np.ndarray, meant: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What becomes of a camera-to-world matrix that was written with the axes ``meant`` and is read with those ``given``."""

    def misread(world_to_camera: np.ndarray) -> np.ndarray:
        pose = np.linalg.inv(world_to_camera)
        pose[:3, :3] = pose[:3, :3] @ meant.T @ given
        return np.linalg.inv(pose)

    return misread


def position_for_translation(world_to_camera: np.ndarray) -> np.ndarray:
    pose = world_to_camera.copy()
    pose[:3, 3] = np.linalg.inv(world_to_camera)[:3, 3]
    return pose


def quaternion_reordered(world_to_camera: np.ndarray) -> np.ndarray:
    """What becomes of a pose that was written as x y z w and is read as w x y z."""
    pose = world_to_camera.copy()
    pose[:3, :3] = Rotation.from_quat(np.roll(Rotation.from_matrix(pose[:3, :3]).as_quat(), -1)).as_matrix()
    return pose


@pytest.mark.parametrize(
    ("layout", "misread", "words"),
    [
        (OPENCV_LAYOUT, np.linalg.inv, "Read as camera to world, OpenCV's axes"),
        (OPENCV_LAYOUT, read_with(np.eye(3), OPENGL), "Read as world to camera, OpenGL's axes"),
        (OPENCV_LAYOUT, position_for_translation, "Read as rotations from world to camera beside positions of the cameras, OpenCV's axes"),
        (COLMAP_LAYOUT, np.linalg.inv, "Read as camera to world, OpenCV's axes"),
        (LLFF_LAYOUT, read_with(LLFF, np.eye(3)), "Read as camera to world, OpenCV's axes"),
        (LLFF_LAYOUT, read_with(LLFF, OPENGL), "Read as camera to world, OpenGL's axes"),
        (OPENGL_LAYOUT, read_with(OPENGL, np.eye(3)), "Read as camera to world, OpenCV's axes"),
        (OPENGL_LAYOUT, read_with(OPENGL, LLFF), "Read as camera to world, LLFF's axes"),
    ],
)
def test_the_reading_that_would_fit_is_named(layout: Layout, misread: Callable[[np.ndarray], np.ndarray], words: str):
    remarks = pose_remarks(cameras([misread(pose) for pose in dome()]), None, layout)
    assert remarks
    assert remarks[0].startswith(PREFIX)
    assert words in remarks[0]


@pytest.mark.parametrize("layout", [OPENCV_LAYOUT, LLFF_LAYOUT, OPENGL_LAYOUT, COLMAP_LAYOUT])
@pytest.mark.parametrize("count", [2, 3, 12])
def test_poses_that_make_sense_are_left_alone(layout: Layout, count: int):
    assert pose_remarks(cameras(dome(12)[:count]), None, layout) == []


def test_a_row_of_parallel_cameras_and_two_opposite_walls_are_left_alone():
    row = [tiny_capture.look_at((0.4 * x, 0.05 * (x % 2), -3.0), (0.4 * x, 0.0, 0.0)) for x in range(6)]
    walls = [tiny_capture.look_at((0.7 * x - 1, -0.3, 3.0 * side), (0.1 * x, 0.0, 0.0)) for x in range(4) for side in (-1, 1)]
    for poses in (row, walls):
        assert pose_remarks(cameras(poses), None, OPENCV_LAYOUT) == []


def test_points_decide_where_there_are_any():
    points = np.random.default_rng(0).normal((0.3, -0.2, 0.4), 0.3, (200, 3))
    assert pose_remarks(cameras(dome()), points, OPENCV_LAYOUT) == []
    (remark,) = pose_remarks(cameras([np.linalg.inv(pose) for pose in dome()]), points, OPENCV_LAYOUT)[:1]
    assert "the cameras share no view (two cameras see 8% of the points)" in remark
    assert "Read as camera to world, OpenCV's axes (right, down, forward), two cameras see 100% of the points" in remark


def test_quaternions_in_the_other_order_are_named_where_points_tell(shared_data: Path):
    """On some rigs, such as an arc about an axis of the world, cameras misread so all see the points, and nothing tells."""
    stage = open_capture(shared_data / "stage")
    stage.close()
    assert stage.points is not None
    points = stage.points.xyz.astype(np.float64)
    misread = [replace(camera, world_to_camera=quaternion_reordered(camera.world_to_camera)) for camera in stage.cameras]
    (remark,) = pose_remarks(misread, points, COLMAP_LAYOUT)
    assert "two cameras see only 58% of the points, read as world to camera" in remark
    assert "Read as world to camera by quaternions x y z w, OpenCV's axes" in remark
    assert pose_remarks(stage.cameras, points, COLMAP_LAYOUT) == []


def test_a_camera_that_looks_away_is_named():
    poses = dome()
    poses[4] = tiny_capture.look_at((3.3, -20.0, 0.4), (3.3, -40.0, 1.0))
    (remark,) = pose_remarks(cameras(poses), None, OPENCV_LAYOUT)
    assert "cam04 shares no view with any other camera" in remark


def test_a_camera_a_thousand_units_away_is_named():
    poses = dome()
    poses[7][:3, 3] *= 300
    remarks = pose_remarks(cameras(poses), None, OPENCV_LAYOUT)
    advice = 'check the units, or leave it out by {"exclude": ["cam07"]} in capture.json.'
    assert any("cam07 stands " in remark and remark.endswith(advice) for remark in remarks)


def test_two_cameras_of_one_pose_are_named():
    poses = dome()
    poses[5] = poses[4].copy()
    (remark,) = pose_remarks(cameras(poses), None, OPENCV_LAYOUT)
    assert "cam04, cam05 have one pose: check" in remark
    assert remark.endswith('leave it out by {"exclude": ["cam05"]} in capture.json.')
    poses[9], poses[10] = poses[8].copy(), poses[8].copy()
    (remark,) = pose_remarks(cameras(poses), None, OPENCV_LAYOUT)
    assert "cam04, cam05 have one pose, and so has 1 more group of cameras" in remark
    poses = dome()
    poses[5][:3, :3] = poses[4][:3, :3]  # the same direction from elsewhere
    assert not any("one pose" in remark for remark in pose_remarks(cameras(poses), None, OPENCV_LAYOUT))


@pytest.mark.parametrize("at", [0.0, 5000.0])
def test_cameras_that_all_stand_at_one_place_are_said(at: float):
    poses = dome()
    for pose in poses:
        pose[:3, 3] = pose[:3, :3] @ np.full(3, -at)
    remarks = pose_remarks(cameras(poses), None, OPENCV_LAYOUT)
    assert any("all 12 cameras stand at one place" in remark for remark in remarks)


def test_hundreds_of_cameras_take_no_time_to_compare():
    many = [replace(camera, name=str(index)) for index, camera in enumerate(cameras(dome(400)))]
    assert pose_remarks(many, None, OPENCV_LAYOUT) == []
