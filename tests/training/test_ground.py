"""The ground is found as a whole plane on which all pictures agree."""

from __future__ import annotations

import numpy as np
import pytest
from quad_scene import look_at

from trackersplat.geometry.projection import common_focus
from trackersplat.training.points.ground import Plane, PlaneScene, agreement, find_ground
from trackersplat.training.points.settings import GroundSettings
from trackersplat.training.points.sweep import View

UP, OFFSET = np.array([0.0, -1.0, 0.0]), -0.5  # a floor 0.5 below the cameras' focus, 1.5 below the cameras (y points down)
SETTINGS = GroundSettings()
PLACES = [(-2.4, -1.0, 0.8), (0.2, -1.1, 0.0), (2.3, -0.9, 1.0)]


def _floor_views() -> list[View]:
    """Three cameras about 45 degrees apart above a floor of irregular waves; gray above the horizon."""
    views = []
    for i, place in enumerate(PLACES):
        camera = look_at(f"cam{i}", place, 160, 120, 150.0)
        u, v = np.meshgrid(np.arange(160) + 0.5, np.arange(120) + 0.5)
        rays = np.stack(((u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)), axis=-1) @ camera.rotation
        depth = np.where(rays[..., 1] > 0.05, (0.5 - camera.center[1]) / np.maximum(rays[..., 1], 0.05), np.inf)
        x, _, z = np.moveaxis(camera.center + np.minimum(depth, 50.0)[..., None] * rays, -1, 0)
        waves = np.sin(5 * x + 2 * z) + np.sin(2 * x - 4 * z + 1) + np.sin(7 * x + 2) + np.sin(3 * x + 6 * z)
        views.append(View(camera, np.where(np.isfinite(depth), 128 + 30 * waves, 128).astype(np.float32)))
    return views


def _focus(views: list[View]) -> np.ndarray:
    focus = common_focus([view.camera for view in views])
    assert focus is not None
    return focus


def _scene(views: list[View], focus: np.ndarray) -> PlaneScene:
    return PlaneScene(views, [view.gray for view in views], focus, 3.0, SETTINGS)


def test_rays_meet_a_plane_where_they_should() -> None:
    plane = Plane(np.array([0.0, 0.0, 1.0]), 0.5)
    rays = np.array([(0.0, 0.0, -1.0), (1.0, 0.0, -0.5), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)])
    assert plane.depths(np.array([3.0, 1.0, 2.0]), rays) == pytest.approx([1.5, 3.0, np.inf, np.inf])


def test_the_floor_is_found_by_cameras_that_see_it_from_far_apart() -> None:
    views = _floor_views()
    ground = find_ground(views, [None] * 3, _focus(views), SETTINGS)
    assert ground is not None
    assert np.degrees(np.arccos(ground.normal @ UP)) < 1.0
    assert ground.offset == pytest.approx(OFFSET, abs=0.03)


def test_pictures_of_nothing_in_common_have_no_ground() -> None:
    random = np.random.default_rng(0)
    views = [View(v.camera, random.uniform(0, 255, v.gray.shape).astype(np.float32)) for v in _floor_views()]
    assert find_ground(views, [None] * 3, _focus(views), SETTINGS) is None


def test_the_agreement_is_the_sum_over_all_pairs_of_views() -> None:
    views = _floor_views()
    focus = _focus(views)

    def of(*chosen: int) -> float:
        return agreement(_scene([views[i] for i in chosen], focus), UP, OFFSET)

    assert of(0, 1, 2) == pytest.approx(of(0, 1) + of(0, 2) + of(1, 2), rel=1e-4)
    assert of(0, 1) > 0.05
    assert of(0) == 0.0
    raised = agreement(_scene(views, focus), UP, OFFSET + 0.3)
    assert raised < 0.5 * of(0, 1, 2)


def test_hidden_pixels_do_not_count() -> None:
    views = _floor_views()
    focus = _focus(views)
    spoilt = [*views[:2], View(views[2].camera, np.random.default_rng(1).uniform(0, 255, views[2].gray.shape).astype(np.float32))]
    found = find_ground(spoilt, [None, None, np.ones(views[2].gray.shape, dtype=bool)], focus, SETTINGS)
    assert found is not None
    assert np.degrees(np.arccos(found.normal @ UP)) < 2.0
