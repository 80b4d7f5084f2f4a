"""Pixels without a match get a place behind everything."""

from __future__ import annotations

import numpy as np
import pytest
from quad_scene import look_at

from trackersplat.training.points.backdrop import backdrop, far_radius, shown_at
from trackersplat.training.points.ground import Plane
from trackersplat.training.points.settings import BackdropSettings

SETTINGS = BackdropSettings()
FOCUS = np.array([0.0, 0.0, 3.2])


def test_every_free_pixel_lies_on_the_ground_or_the_sphere_along_its_own_ray() -> None:
    cameras = [look_at("a", (-2.0, -1.0, 0.5), 32, 24, 20.0), look_at("b", (2.0, -1.2, 0.3), 24, 32, 22.0)]
    taken = [np.zeros((24, 32), dtype=bool), np.zeros((32, 24), dtype=bool)]
    taken[0][5:9, 3:11] = True
    ground = Plane(np.array([0.0, -1.0, 0.0]), -0.5)
    radius = 4.5
    found = backdrop(cameras, taken, ground, FOCUS, radius)
    assert len(found.xyz) == 24 * 32 - 32 + 32 * 24
    for view, camera in enumerate(cameras):
        mine = found.view == view
        uv, depth = camera.project(found.xyz[mine])
        assert uv == pytest.approx(found.pixel[mine] + 0.5)
        assert depth == pytest.approx(found.depth[mine])
        assert not taken[view][tuple(found.pixel[mine].T[::-1])].any()
    height, distance = 0.5 - found.xyz[:, 1], np.linalg.norm(found.xyz - FOCUS, axis=1)
    grounded = np.abs(height) < 1e-9
    assert distance[~grounded] == pytest.approx(radius)
    assert (height[~grounded] > 0).all()  # what is on the sphere is above the ground
    assert (distance[grounded] <= radius + 1e-9).all()
    assert 100 < grounded.sum() < len(grounded) - 100


def test_without_a_ground_all_are_on_the_sphere() -> None:
    cameras = [look_at("a", (-0.5, 0.0, 2.2), 8, 6, 8.0), look_at("b", (0.5, 0.0, 2.2), 8, 6, 8.0)]
    found = backdrop(cameras, [np.zeros((6, 8), dtype=bool)] * 2, None, FOCUS, 3.0)
    assert np.linalg.norm(found.xyz - FOCUS, axis=1) == pytest.approx(3.0)
    assert (found.depth > 0).all()


def test_the_scene_goes_on_as_far_as_most_points_and_behind_all_cameras() -> None:
    cameras = [
        look_at("a", (0.0, 0.0, 1.2), 8, 6, 8.0),
        look_at("b", (0.1, 0.0, 1.2), 8, 6, 8.0),
        look_at("c", (0.0, 0.0, -0.8), 8, 6, 8.0),
    ]
    median = np.hypot(2.0, 0.1)  # of the distances 2, 2.0025 and 4
    assert far_radius(cameras, np.zeros((0, 3)), FOCUS, SETTINGS) == pytest.approx(max(SETTINGS.far * median, 1.01 * 4.0))
    assert far_radius(cameras[:2], np.zeros((0, 3)), FOCUS, SETTINGS) == pytest.approx(SETTINGS.far * (2.0 + median) / 2)
    line = FOCUS + np.linspace(0, 10, 1001)[:, None] * np.array([0.6, 0.0, 0.8])
    assert far_radius(cameras, line, FOCUS, SETTINGS) == pytest.approx(SETTINGS.reached / 10)
    assert far_radius(cameras, 0.1 * (line - FOCUS) + FOCUS, FOCUS, SETTINGS) == pytest.approx(1.01 * 4.0)


def test_a_point_takes_the_pixels_around_it() -> None:
    camera = look_at("a", (0.0, 0.0, 0.0), 60, 40, 50.0)
    at = (np.array([[30.5, 20.5]]) - (camera.cx, camera.cy)) / 50.0 * 2.0
    shown = shown_at(np.array([(at[0, 0], at[0, 1], 2.0), (0.0, 0.0, -2.0), (9.0, 0.0, 2.0)]), camera, 3)
    expected = np.zeros((40, 60), dtype=bool)
    expected[17:24, 27:34] = True
    assert np.array_equal(shown, expected)
