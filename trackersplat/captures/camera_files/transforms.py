"""``transforms.json`` of nerfstudio: poses camera to world in OpenGL's axes. Images are called images/CAMERA.png."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.camera_files.registry import CameraFiles
from trackersplat.captures.capture import PointCloud
from trackersplat.captures.formats.ply_points import write_points
from trackersplat.captures.layouts.nerfstudio import read_poses
from trackersplat.files import write_json

FILE, POINTS = "transforms.json", "points.ply"
_TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # x right, y up, z backward


def write_transforms(cameras: Sequence[Camera], points: PointCloud, folder: Path) -> None:
    """See `camera_files.registry.WriteCameras`."""
    frames = [
        {
            "file_path": f"images/{camera.name}.png",
            "w": camera.width,
            "h": camera.height,
            "fl_x": camera.fx,
            "fl_y": camera.fy,
            "cx": camera.cx,
            "cy": camera.cy,
            "transform_matrix": (_inverse(camera.world_to_camera) @ _TO_OPENGL).tolist(),
        }
        for camera in cameras
    ]
    write_json(folder / FILE, {"camera_model": "OPENCV", "ply_file_path": POINTS, "frames": frames})
    write_points(folder / POINTS, points)


def read_back(folder: Path) -> tuple[Camera, ...]:
    """See `camera_files.registry.ReadCameras`."""
    return tuple(
        Camera(file.stem, lens.width, lens.height, lens.K, _inverse(camera_to_world)) for file, lens, camera_to_world in read_poses(folder)
    )


def _inverse(pose: np.ndarray) -> np.ndarray:
    """Of a rigid motion."""
    inverse = np.eye(4)
    inverse[:3, :3] = pose[:3, :3].T
    inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return inverse


TRANSFORMS = CameraFiles(write_transforms, read_back)
