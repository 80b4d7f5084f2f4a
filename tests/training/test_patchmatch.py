"""Few cameras far apart: slanted patches find what planes that face a camera miss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
from dome_scene import dome_capture
from quad_scene import CastFrames, cast, look_at, quad_capture

from trackersplat.captures.capture import Capture
from trackersplat.geometry.projection import common_focus
from trackersplat.training.first_frame.regularise import Regularisation
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.points import depth_maps
from trackersplat.training.points.find import first_points
from trackersplat.training.points.fusion import fuse, fuse_unhindered
from trackersplat.training.points.patchmatch import patchmatch
from trackersplat.training.points.settings import FarApartSettings, PatchMatchSettings, PointSettings, SweepSettings
from trackersplat.training.points.sweep import DepthMap, View, sweep
from trackersplat.training.points.task import PointTask
from trackersplat.training.points.views import far_apart, unproject, views_of_a_place

PATCHES, FEW = PatchMatchSettings(), FarApartSettings()


def _wide_capture() -> Capture:
    """Three views 32 degrees apart from one another, with an image large enough for slanted texture."""
    places = [(-1.8, 0.1, 0.4), (0.0, -0.2, 0.0), (1.8, 0.3, 0.4)]
    cameras = tuple(look_at(f"cam{i}", place, 160, 120, 176.0) for i, place in enumerate(places))
    return replace(quad_capture(), cameras=cameras, held_out=(), source=CastFrames(cameras), depth_bounds=np.tile((1.5, 7.0), (3, 1)))


def _views(capture: Capture) -> list[View]:
    return [View(c, cv2.cvtColor(capture.image(i, 0), cv2.COLOR_RGB2GRAY).astype(np.float32)) for i, c in enumerate(capture.cameras)]


def _good(depth: np.ndarray, truth: np.ndarray) -> float:
    return float((np.abs(depth - truth) < 0.02 * truth).mean())


def _floor_view(name: str, x: float) -> tuple[View, np.ndarray]:
    """A camera 1.5 above a textured floor that it sees under a flat angle, and the depth of its pixels; gray above the horizon."""
    camera = look_at(name, (x, -1.0, 0.0), 160, 120, 176.0)
    u, v = np.meshgrid(np.arange(160) + 0.5, np.arange(120) + 0.5)
    local = np.stack(((u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)), axis=-1)
    rays = local @ camera.rotation
    depth = np.where(rays[..., 1] > 0.05, 1.5 / np.maximum(rays[..., 1], 0.05), np.inf)
    at = camera.center + np.minimum(depth, 50.0)[..., None] * rays
    texture = np.sin(9 * at[..., 0] + 4 * at[..., 2]) + np.sin(3 * at[..., 0] - 8 * at[..., 2] + 1) + np.sin(14 * at[..., 0] + 2)
    return View(camera, np.where(np.isfinite(depth), 128 + 40 * texture, 128).astype(np.float32)), depth


def test_slanted_patches_find_the_floor_that_planes_facing_the_camera_miss() -> None:
    (left, truth), (right, _) = _floor_view("left", -1.0), _floor_view("right", 1.0)
    found, facing = patchmatch(left, [right], 1.5, 12.0, PATCHES, seed=0), sweep(left, [right], 1.5, 12.0, SweepSettings())
    uv, _ = right.camera.project(_unprojected(left, np.minimum(truth, 50.0)))
    both = (truth < 7) & ((uv > 6) & (uv < (154, 114))).all(axis=1).reshape(truth.shape)
    assert both.sum() > 4000
    assert _good(found.depth[both], truth[both]) > 0.9
    assert _good(found.depth[both], truth[both]) > _good(facing.depth[both], truth[both]) + 0.1
    assert found.mismatch.min() >= 0
    assert found.mismatch.max() <= 1


def test_a_low_mismatch_is_to_be_believed() -> None:
    views = _views(_wide_capture())
    truth = cast(views[0].camera)[1]
    found = patchmatch(views[0], [views[1]], 1.5, 7.0, PATCHES, seed=0)
    both = _in_sight(views[1], views[0], truth)
    assert _good(found.depth[both], truth[both]) > 0.8
    believed = both & (found.mismatch < 0.05)
    assert believed.sum() > 0.5 * both.sum()
    assert _good(found.depth[believed], truth[believed]) > 0.93


def _unprojected(view: View, depth: np.ndarray) -> np.ndarray:
    u, v = np.meshgrid(np.arange(depth.shape[1]) + 0.5, np.arange(depth.shape[0]) + 0.5)
    return unproject(view.camera, np.stack((u.ravel(), v.ravel()), axis=1), depth.ravel())


def _in_sight(other: View, reference: View, truth: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels of the reference whose surface point the other view sees, by its own exact depth."""
    h, w = truth.shape
    uv, depth = other.camera.project(_unprojected(reference, truth))
    inside = (uv >= 0).all(axis=1) & (uv[:, 0] < w) & (uv[:, 1] < h)
    column, row = np.clip(uv, 0, (w - 1, h - 1)).astype(int).T
    return (inside & (np.abs(cast(other.camera)[1][row, column] - depth) < 0.02 * depth)).reshape(h, w)


def test_the_same_seed_finds_the_same_depths() -> None:
    views = [View(v.camera.resized(48, 36), cv2.resize(v.gray, (48, 36), interpolation=cv2.INTER_AREA)) for v in _views(_wide_capture())]
    one, two, three = (patchmatch(views[1], [views[0], views[2]], 1.5, 7.0, PATCHES, seed) for seed in (3, 3, 4))
    assert np.array_equal(one.depth, two.depth)
    assert not np.array_equal(one.depth, three.depth)


def test_cameras_whose_neighbours_see_things_differently_are_far_apart() -> None:
    assert far_apart(_wide_capture().cameras, FEW)
    assert not far_apart(quad_capture().cameras[:4], FEW)  # close together
    assert far_apart(dome_capture().cameras, FEW)
    assert not far_apart(_wide_capture().cameras[:1], FEW)


def test_points_of_far_apart_cameras_lie_on_the_surfaces_or_far_behind_them() -> None:
    capture = _wide_capture()
    cloud = first_points(capture, capture.training_cameras, 0, PointSettings(count=3000))
    assert 1500 < len(cloud.xyz) <= 3000
    wrong = np.ones(len(cloud.xyz))
    for camera in capture.cameras:
        truth = cast(camera)[1]
        uv, depth = camera.project(cloud.xyz.astype(np.float64))
        inside = np.flatnonzero((uv >= 0).all(axis=1) & (uv[:, 0] < 160) & (uv[:, 1] < 120))
        column, row = uv[inside].astype(int).T
        wrong[inside] = np.minimum(wrong[inside], np.abs(depth[inside] / truth[row, column] - 1))
    focus = common_focus(list(capture.cameras))
    assert focus is not None
    distance = np.linalg.norm(cloud.xyz - focus, axis=1)
    nearest = 1.01 * max(np.linalg.norm(camera.center - focus) for camera in capture.cameras)
    behind = np.abs(distance - nearest) < 1e-4 * nearest  # all points are nearer than the cameras, so the sphere just holds these
    assert 0.02 < behind.mean() < 0.3  # what one camera alone sees
    assert np.median(wrong[~behind]) < 0.01
    assert (wrong[~behind] < 0.05).mean() > 0.9


def test_the_views_of_a_place_are_counted_around_what_all_look_at() -> None:
    three = _wide_capture().cameras
    assert 2.0 < views_of_a_place(three, FEW) <= 3.0
    assert views_of_a_place(three[:1], FEW) == 1.0
    assert views_of_a_place(dome_capture().cameras, FEW) > FEW.few


def test_few_views_far_apart_get_plain_colours_and_a_price_for_opacity() -> None:
    default = FirstFrameSettings()
    settings = default.for_views(_wide_capture().cameras)
    assert (settings.sh_degree, settings.regularisation.opacity) == (0, default.few_views_opacity)
    many = default.for_views(dome_capture().cameras)  # far apart, but many see a place
    assert (many.sh_degree, many.regularisation) == (default.sh_degree, default.regularisation)
    stronger = replace(FirstFrameSettings(), regularisation=Regularisation(opacity=0.5))
    assert stronger.for_views(_wide_capture().cameras).regularisation.opacity == 0.5


def test_gaussians_are_left_out_at_random_where_cameras_are_far_apart_and_not_many_see_a_place() -> None:
    default = FirstFrameSettings()
    assert default.for_views(quad_capture().cameras) == default
    for cameras in (_wide_capture().cameras, dome_capture().cameras[::2]):
        assert default.for_views(cameras).drop == default.far_apart_drop > 0
        assert replace(default, drop=0.5).for_views(cameras).drop == 0.5
    assert default.for_views(dome_capture().cameras) == default


def test_patches_are_matched_no_nearer_than_small_images_show_a_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = replace(_wide_capture(), depth_bounds=np.tile((0.3, 30.0), (3, 1)))
    task, asked = PointTask.of(capture, range(3), 0, PointSettings()), []

    def patches(task: PointTask, views: list[View], ranges: list[tuple[float, float]], rules: PatchMatchSettings) -> Iterator[DepthMap]:
        asked.append((max(views[0].gray.shape), list(ranges)))
        for view, camera in zip(views, capture.cameras, strict=True):
            depth = cv2.resize(cast(camera)[1].astype(np.float32), view.gray.shape[::-1], interpolation=cv2.INTER_NEAREST)
            yield DepthMap(np.where(np.isfinite(depth), depth, 0), np.zeros_like(depth))

    monkeypatch.setattr(depth_maps, "_patches", patches)
    assert len(list(depth_maps.patched(task))) == 3
    (small, generous), (large, tight) = asked
    assert small <= PATCHES.coarse_side < large
    for camera, (near, far), (start, end) in zip(capture.cameras, generous, tight, strict=True):
        assert end == far
        assert 2 * near < start < cast(camera)[1].min()


def test_what_two_views_agree_on_by_accident_goes_where_more_views_see_past_it() -> None:
    cameras = quad_capture().cameras
    depths = [cast(camera)[1].astype(np.float32) for camera in cameras]
    near = unproject(cameras[1], np.array([[0.5 * cameras[1].width, 0.5 * cameras[1].height]]), np.array([1.4]))
    for camera, depth in zip(cameras[1:3], depths[1:3], strict=True):
        uv, z = camera.project(near)
        column, row = uv[0].astype(int)
        depth[row - 2 : row + 3, column - 2 : column + 3] = z[0]
    believed = fuse(cameras, depths, 0.02, 1)
    kept = fuse_unhindered(cameras, depths, 0.02, 1, 0.015)
    accident = np.linalg.norm(believed.xyz - near, axis=1) < 0.05
    assert accident.sum() >= 1
    assert not (np.linalg.norm(kept.xyz - near, axis=1) < 0.05).any()
    assert len(kept.xyz) > 0.9 * (len(believed.xyz) - accident.sum())
