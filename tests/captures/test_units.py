"""Captures in any units, and far from zero."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dome_scene import dome_capture
from filmed_point import rig
from making_captures import write_image_folder
from quad_scene import quad_capture

from trackersplat.captures.camera import DEFAULT_NEAR
from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.captures.registry import open_capture
from trackersplat.captures.units import NEAR, rig_size, with_units_of_the_rig
from trackersplat.geometry.projection import centers


def _scaled(capture: Capture, factor: float, shift: np.ndarray) -> Capture:
    """The same capture in other units and with another zero."""
    cameras = []
    for camera in capture.cameras:
        pose = np.array(camera.world_to_camera)
        pose[:3, 3] = -pose[:3, :3] @ (factor * camera.center + shift)
        cameras.append(replace(camera, world_to_camera=pose, near=DEFAULT_NEAR))
    points = capture.points
    if points is not None:
        points = PointCloud(factor * points.xyz.astype(np.float64) + shift, points.rgb)
    return replace(capture, cameras=tuple(cameras), points=points)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1.0, 1e5])
def test_the_near_plane_follows_the_units(factor: float) -> None:
    plain = with_units_of_the_rig(_scaled(dome_capture(), 1.0, np.zeros(3)))
    other = with_units_of_the_rig(_scaled(dome_capture(), factor, np.zeros(3)))
    size = rig_size(dome_capture().cameras)
    for one, two in zip(plain.cameras, other.cameras, strict=True):
        assert one.near == pytest.approx(NEAR * size)
        assert two.near == pytest.approx(factor * one.near, rel=1e-9)
    assert other.origin is None
    assert other.warnings == plain.warnings


def test_a_near_plane_that_a_layout_has_set_stays() -> None:
    capture = dome_capture()
    capture = replace(capture, cameras=tuple(replace(camera, near=0.8) for camera in capture.cameras))
    assert {camera.near for camera in with_units_of_the_rig(capture).cameras} == {0.8}


def test_a_rig_far_from_zero_is_moved_there_and_projects_as_before() -> None:
    near_zero = quad_capture()
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3)) + np.array([0.0, 0.0, 3.0])
    near_zero = replace(near_zero, points=PointCloud(points, np.zeros((50, 3), dtype=np.uint8)))
    far = with_units_of_the_rig(_scaled(near_zero, 1.0, np.array([4.5e6, -2e6, 123.0])))
    assert far.origin is not None
    assert np.linalg.norm(centers(far.cameras).mean(axis=0)) < 1.0
    assert far.points is not None
    assert far.points.xyz.dtype == np.float32
    for one, two in zip(near_zero.cameras, far.cameras, strict=True):
        assert np.abs(one.project(points)[0] - two.project(far.points.xyz.astype(np.float64))[0]).max() < 1e-3
    assert f"relative to ({far.origin[0]:.12g}, {far.origin[1]:.12g}, {far.origin[2]:.12g})" in far.warnings[-1]


def test_opening_a_capture_far_from_zero_says_so(tmp_path: Path) -> None:
    folder = write_image_folder(tmp_path / "c", rig())
    path = folder / "cameras.json"
    data = json.loads(path.read_text())
    for camera in data["cameras"]:
        pose = np.array(camera["w2c"])
        pose[:3, 3] -= pose[:3, :3] @ (1e7, 0.0, 0.0)
        camera["w2c"] = pose.tolist()
    assert open_capture(folder).origin is None
    path.write_text(json.dumps(data))
    capture = open_capture(folder)
    assert capture.origin is not None
    assert abs(capture.origin[0] - 1e7) < 100
    assert any("too far for single precision" in warning for warning in capture.warnings)


def test_all_cameras_at_one_point_have_a_size() -> None:
    camera = quad_capture().cameras[0]
    assert rig_size((camera,)) == 1.0
    assert rig_size((camera, replace(camera, name="two"))) == 1.0
