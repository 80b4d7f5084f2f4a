"""Where the page starts to look from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture, PointCloud
from viewer.stage.framing import frame_capture


def looking(name: str, center: np.ndarray, target: np.ndarray, up: np.ndarray) -> Camera:
    forward = (target - center) / np.linalg.norm(target - center)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack((right, np.cross(forward, right), forward))
    pose[:3, 3] = -pose[:3, :3] @ center
    return Camera(name, 100, 80, np.array([[90.0, 0, 50], [0, 90.0, 40], [0, 0, 1]]), pose)


@pytest.fixture
def arc() -> Capture:
    """Five cameras on an arc of radius 4 around (1, 2, 3), z up, all looking at its middle."""
    target, up = np.array([1.0, 2, 3]), np.array([0.0, 0, 1])
    angles = np.linspace(-0.6, 0.6, 5)
    centers = [target + 4 * np.array([np.cos(a), np.sin(a), 0.0]) for a in angles]
    cameras = tuple(looking(f"c{i}", center, target, up) for i, center in enumerate(centers))
    return Capture("arc", Path("nowhere"), "test", cameras, 3, 30.0, SimpleNamespace(close=lambda: None))


def test_the_focus_is_where_the_optical_axes_meet(arc: Capture) -> None:
    framing = frame_capture(arc)
    assert np.allclose(framing.focus, (1, 2, 3))
    assert np.allclose(framing.up, (0, 0, 1))
    assert framing.home == 2  # the central one
    assert framing.extent == pytest.approx(4.0)
    assert framing.frustum == pytest.approx(0.12 * 4)  # below half the spacing


def test_the_held_out_camera_is_home(arc: Capture) -> None:
    assert frame_capture(replace(arc, held_out=("c4",))).home == 4


def test_points_or_depth_bounds_tell_the_distance(arc: Capture) -> None:
    towards = arc.cameras[2].rotation[2]
    xyz = (arc.cameras[2].center + np.array([[2.0], [3.0], [9.0]]) * towards).astype(np.float32)
    with_points = replace(arc, points=PointCloud(xyz, np.zeros((3, 3), np.uint8)))
    assert np.allclose(frame_capture(with_points).focus, arc.cameras[2].center + 3 * towards, atol=1e-5)
    with_bounds = replace(arc, depth_bounds=np.tile([[1.0, 9.0]], (5, 1)))
    assert np.allclose(frame_capture(with_bounds).focus, arc.cameras[2].center + 3 * towards)


def test_one_camera_alone_still_has_a_scene(arc: Capture) -> None:
    framing = frame_capture(replace(arc, cameras=arc.cameras[:1]))
    assert framing.extent > 0
    assert framing.frustum > 0
    assert framing.home == 0
