"""Cameras written for other programs are read back as they were, by our readers and by pycolmap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_capture

from trackersplat.captures.camera import Camera
from trackersplat.captures.camera_files.registry import CAMERA_FILES
from trackersplat.captures.capture import PointCloud
from trackersplat.captures.formats.colmap_model import read_model_points
from trackersplat.captures.formats.ply_points import read_points

POINTS = PointCloud(np.array([[0.25, -1.5, 3.0], [1e-3, 2.0, -7.125]], np.float32), np.array([[10, 20, 30], [255, 0, 128]], np.uint8))


@pytest.fixture(scope="module")
def cameras() -> list[Camera]:
    """Of unequal focal lengths and an asymmetric principal point."""
    made = tiny_capture.cameras()
    intrinsics = np.array([[61.5, 0, 30.25], [0, 64.75, 25.5], [0, 0, 1]])
    return [*made[:3], Camera(made[3].name, 70, 50, intrinsics, made[3].world_to_camera)]


@pytest.mark.parametrize("name", CAMERA_FILES.names())
def test_cameras_and_points_come_back(tmp_path: Path, cameras: list[Camera], name: str) -> None:
    CAMERA_FILES.load(name).write(cameras, POINTS, tmp_path)
    back = CAMERA_FILES.load(name).read(tmp_path)
    points = read_points(tmp_path / "points.ply") if name == "transforms" else read_model_points(tmp_path / "sparse" / "0")
    assert [(one.name, one.width, one.height) for one in back] == [(one.name, one.width, one.height) for one in cameras]
    for ours, theirs in zip(cameras, back, strict=True):
        np.testing.assert_array_equal(theirs.K, ours.K)
        np.testing.assert_allclose(theirs.world_to_camera, ours.world_to_camera, atol=1e-14, rtol=0)
    assert points is not None
    np.testing.assert_array_equal(points.xyz, POINTS.xyz)
    np.testing.assert_array_equal(points.rgb, POINTS.rgb)


@pytest.mark.parametrize("name", ["colmap", "colmap-text"])
def test_pycolmap_reads_the_same_cameras(tmp_path: Path, cameras: list[Camera], name: str) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    CAMERA_FILES.load(name).write(cameras, POINTS, tmp_path)
    model = pycolmap.Reconstruction(str(tmp_path / "sparse" / "0"))
    point = np.array([0.3, -0.2, 0.7])
    assert model.num_points3D() == 2
    np.testing.assert_array_equal(model.points3D[2].xyz, POINTS.xyz[1])
    for number, camera in enumerate(cameras, start=1):
        image = model.images[number]
        assert image.name == f"{camera.name}.png"
        place = model.cameras[image.camera_id].img_from_cam(image.cam_from_world() * point)
        np.testing.assert_allclose(place, camera.project(point[None])[0][0], atol=1e-10)
