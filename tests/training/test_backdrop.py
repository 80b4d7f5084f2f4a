"""Pixels without a match get a place behind everything."""

from __future__ import annotations

import numpy as np
import pytest
from quad_scene import look_at

from trackersplat.training.points.backdrop import BESIDE, FAR, backdrop, shown_at
from trackersplat.training.points.ground import Plane

FOCUS = np.array([0.0, 0.0, 3.2])


def test_every_free_pixel_lies_on_the_ground_or_the_sphere_along_its_own_ray() -> None:
    cameras = [look_at("a", (-2.0, -1.0, 0.5), 32, 24, 20.0), look_at("b", (2.0, -1.2, 0.3), 24, 32, 22.0)]
    taken = [np.zeros((24, 32), dtype=bool), np.zeros((32, 24), dtype=bool)]
    taken[0][5:9, 3:11] = True
    ground = Plane(np.array([0.0, -1.0, 0.0]), -0.5)
    found = backdrop(cameras, taken, ground, FOCUS)
    radius = FAR * np.median([np.linalg.norm(camera.center - FOCUS) for camera in cameras])
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


def test_without_a_ground_all_are_on_the_sphere_and_cameras_inside_it() -> None:
    cameras = [
        look_at("a", (-0.5, 0.0, 2.2), 8, 6, 8.0),
        look_at("b", (0.5, 0.0, 2.2), 8, 6, 8.0),
        look_at("c", (0.0, 0.0, -4.0), 8, 6, 8.0),
    ]
    found = backdrop(cameras, [np.zeros((6, 8), dtype=bool)] * 3, None, FOCUS)
    assert np.linalg.norm(found.xyz - FOCUS, axis=1) == pytest.approx(1.01 * 7.2)
    assert (found.depth > 0).all()


def test_a_point_takes_the_pixels_around_it() -> None:
    camera = look_at("a", (0.0, 0.0, 0.0), 60, 40, 50.0)
    at = (np.array([[30.5, 20.5]]) - (camera.cx, camera.cy)) / 50.0 * 2.0
    shown = shown_at(np.array([(at[0, 0], at[0, 1], 2.0), (0.0, 0.0, -2.0), (9.0, 0.0, 2.0)]), camera)
    expected = np.zeros((40, 60), dtype=bool)
    expected[20 - BESIDE : 21 + BESIDE, 30 - BESIDE : 31 + BESIDE] = True
    assert np.array_equal(shown, expected)
