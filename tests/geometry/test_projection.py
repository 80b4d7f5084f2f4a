"""World points in the pixels of cameras, against the pinhole written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_capture import look_at

from trackersplat.captures.camera import Camera
from trackersplat.geometry.projection import project


def test_points_are_where_the_camera_matrix_puts_them() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(20, 3))
    matrices = [np.array([[90.0, 0, 31], [0, 120, 22], [0, 0, 1]]), np.array([[50.0, 0, 40], [0, 45, 35], [0, 0, 1]])]
    poses = [look_at((0.0, -1.0, -6.0)), look_at((5.0, 0.5, -4.0))]
    cameras = [Camera(f"cam{i}", 64, 48, K, pose) for i, (K, pose) in enumerate(zip(matrices, poses, strict=True))]
    pixels, depths = project(cameras, torch.from_numpy(points))
    for index, camera in enumerate(cameras):
        local = points @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
        seen = local @ camera.K.T
        assert depths[index].numpy() == pytest.approx(local[:, 2])
        assert pixels[index].numpy() == pytest.approx(seen[:, :2] / seen[:, 2:])
