"""First points of a rig that surrounds its scene: shell, visual hull and their colours, in a room of known geometry."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from dome_scene import BALL, BALL_RADIUS, CENTER, FLOOR, RADIUS, cameras, cast, dome_capture
from quad_scene import quad_capture

from trackersplat.captures.camera import Camera
from trackersplat.training.points.colouring import median_colours, visible_from
from trackersplat.training.points.find import first_points
from trackersplat.training.points.hull import hull_surface
from trackersplat.training.points.rig import Rig, surrounding_rig
from trackersplat.training.points.settings import HullSettings, PointSettings, RigSettings, ShellSettings
from trackersplat.training.points.shell import Shell, find_shell, panorama, spread_directions
from trackersplat.training.points.surround import Pictures, floating, foreground_hull
from trackersplat.training.points.sweep import View


def distance_to_room(points: np.ndarray) -> np.ndarray:
    """Of each point to wall and floor."""
    wall = np.abs(np.linalg.norm(points - CENTER, axis=1) - RADIUS)
    return np.minimum(wall, np.abs(points[:, 1] - FLOOR))


@pytest.fixture(scope="module")
def rig() -> Rig:
    found = surrounding_rig(cameras(), RigSettings())
    assert found is not None
    return found


@pytest.fixture(scope="module")
def shell(rig: Rig) -> Shell:
    pictures = [cast(camera) for camera in cameras()]
    views = [
        View(camera, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32))
        for camera, (image, _) in zip(cameras(), pictures, strict=True)
    ]
    hidden = [cv2.dilate(ball.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for _, ball in pictures]
    found = find_shell(views, hidden, rig, ShellSettings())
    assert found is not None
    return found


def test_a_dome_surrounds_its_scene_and_an_arc_of_cameras_does_not(rig: Rig) -> None:
    assert np.linalg.norm(rig.focus - CENTER) < 0.3
    assert rig.radius == pytest.approx(RADIUS, rel=0.1)
    assert surrounding_rig(quad_capture().cameras, RigSettings()) is None
    assert surrounding_rig(cameras()[:5], RigSettings()) is None
    outwards = [replace(camera, world_to_camera=np.diag((-1.0, 1, -1, 1)) @ camera.world_to_camera) for camera in cameras()]
    assert surrounding_rig(outwards, RigSettings()) is None


def test_the_shell_lies_on_wall_and_floor(shell: Shell) -> None:
    rays = spread_directions(2000)
    offset = shell.center - CENTER
    along = rays @ offset
    wall = -along + np.sqrt(along**2 - offset @ offset + RADIUS**2)
    floor = np.where(rays[:, 1] > 0, (FLOOR - shell.center[1]) / np.maximum(rays[:, 1], 1e-9), np.inf)
    truth = np.minimum(wall, floor)
    room = shell.center + truth[:, None] * rays
    seen = np.zeros(len(rays), dtype=int)
    for camera in cameras():
        uv, depth = camera.project(room)
        seen += (depth > 0.3) & (uv >= 0).all(axis=1) & (uv[:, 0] < camera.width) & (uv[:, 1] < camera.height)
    found = np.linalg.norm(shell.points(rays) - shell.center, axis=1)
    distance = np.abs(found - truth)[seen >= 3]
    assert (seen >= 3).sum() > 800
    assert np.median(distance) < 0.03
    assert np.percentile(distance, 90) < 0.10


def test_a_shell_of_constant_inverse_radius_is_a_sphere_around_its_centre() -> None:
    nodes = spread_directions(200)
    points = Shell(np.array([1.0, 2.0, 3.0]), nodes, np.full(200, 0.25)).points(spread_directions(57))
    np.testing.assert_allclose(np.linalg.norm(points - (1.0, 2.0, 3.0), axis=1), 4.0)


def test_the_hull_of_a_ball_encloses_it_tightly(rig: Rig) -> None:
    views = cameras()
    surface, width = hull_surface(views, [cast(camera)[1] for camera in views], rig, HullSettings())
    distance = np.linalg.norm(surface - BALL, axis=1) - BALL_RADIUS
    assert len(surface) > 500
    assert distance.min() > -2 * width - 0.03  # about the width of a pixel
    assert np.percentile(distance, 95) < 0.12
    toward = (surface - BALL) / np.linalg.norm(surface - BALL, axis=1, keepdims=True)
    assert (toward @ spread_directions(50).T).max(axis=0).min() > 0.9  # on all sides


def test_one_mask_that_misses_the_object_does_not_carve_it_away(rig: Rig) -> None:
    views = cameras()
    masks = [cast(camera)[1] for camera in views]
    masks[4] = np.zeros_like(masks[4])
    surface, _ = hull_surface(views, masks, rig, HullSettings())
    assert np.linalg.norm(surface - BALL, axis=1).max() > BALL_RADIUS


def test_no_foreground_gives_no_hull(rig: Rig) -> None:
    views = cameras()
    empty = [np.zeros((camera.height, camera.width), dtype=bool) for camera in views]
    assert hull_surface(views, empty, rig, HullSettings())[0].shape == (0, 3)
    images = [cast(camera)[0] for camera in views]
    for masks in (empty, [None] * len(views)):
        assert len(foreground_hull(Pictures(views, images, masks), rig, 100, HullSettings(), 0).xyz) == 0


def test_only_what_hangs_before_the_background_of_a_mask_floats() -> None:
    """A camera at the centre of a sphere of radius 3 that sees the foreground in the right half of its image."""
    nodes = panorama(160, 320).reshape(-1, 3)
    sphere = Shell(np.zeros(3), nodes, np.full(len(nodes), 1 / 3))
    camera = Camera("centre", 100, 80, np.array(((50.0, 0, 50), (0, 50, 40), (0, 0, 1))), np.eye(4))
    mask = np.zeros((80, 100), dtype=bool)
    mask[:, 50:] = True
    left, right = np.array((-0.5, 0.0, 1.0)), np.array((0.5, 0.0, 1.0))
    length = np.linalg.norm(left)
    points = np.stack((1.5 * left / length, 1.5 * right / length, 2.95 * left / length, (0.0, 0.0, -1.5)))
    assert floating(points, [camera], [mask], sphere, ShellSettings()).tolist() == [
        True,
        False,
        False,
        False,
    ]  # the last is behind the camera
    assert not floating(points, [camera], [None], sphere, ShellSettings()).any()


def test_points_take_the_median_colour_of_the_views_that_may_colour_them() -> None:
    camera = Camera("one", 4, 4, np.array([[4.0, 0, 2], [0, 4, 2], [0, 0, 1]]), np.eye(4))
    images = [np.full((4, 4, 3), value, dtype=np.uint8) for value in (10, 20, 90, 200)]
    allowed = [np.ones((4, 4), dtype=bool) for _ in images]
    allowed[3][:] = False
    points = np.array([[0.0, 0.0, 2.0], [0.0, 0.0, -2.0]])
    rgb, count = median_colours(points, [camera] * 4, images, allowed)
    np.testing.assert_array_equal(count, [3, 0])
    np.testing.assert_array_equal(rgb, [[20] * 3, [0] * 3])
    rgb, count = median_colours(points, [camera] * 4, images, allowed, np.array([[True, True], [True, True], [False, False], [True, True]]))
    np.testing.assert_array_equal(count, [2, 0])
    np.testing.assert_array_equal(rgb[0], [15] * 3)


def test_a_point_behind_another_is_not_visible() -> None:
    camera = Camera("one", 40, 40, np.array([[40.0, 0, 20], [0, 40, 20], [0, 0, 1]]), np.eye(4))
    points = np.array([[0.0, 0.0, 2.0], [0.01, 0.0, 4.0], [1.0, 0.0, 4.0], [0.0, 0.0, 2.1]])
    np.testing.assert_array_equal(visible_from(points, 0.1, [camera], 8), [[True, False, True, True]])


def test_first_points_of_a_dome_show_its_walls_and_what_is_in_it() -> None:
    capture = dome_capture()
    cloud = first_points(capture, capture.training_cameras, 0, PointSettings(count=3000, max_side=64))
    assert 2000 < len(cloud.xyz) <= 3300
    on_ball = np.abs(np.linalg.norm(cloud.xyz - BALL, axis=1) - BALL_RADIUS)
    assert np.median(np.minimum(distance_to_room(cloud.xyz), on_ball)) < 0.04
    assert (on_ball < 0.1).sum() > 500
