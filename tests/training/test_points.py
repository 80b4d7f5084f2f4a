"""First points from images: plane sweep, semi-global matching and fusion on a scene of known depth."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from quad_scene import CARD, CARD_HALF, WALL, cast, quad_capture

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import PointCloud
from trackersplat.errors import InputError
from trackersplat.events import Stage
from trackersplat.training.points import fusion, sweep_torch
from trackersplat.training.points.find import find_points, first_points
from trackersplat.training.points.fusion import fuse
from trackersplat.training.points.semiglobal import aggregate, best_plane
from trackersplat.training.points.settings import DepthRangeSettings, FusionSettings, NeighbourSettings, PointSettings, SweepSettings
from trackersplat.training.points.sweep import View, homography, sweep
from trackersplat.training.points.task import PointsFound, PointTask
from trackersplat.training.points.views import depth_range, neighbours, unproject

SETTINGS, SWEEP, FUSION = PointSettings(count=4000), SweepSettings(), FusionSettings()


def _view(camera: Camera) -> tuple[View, np.ndarray]:
    image, depth = cast(camera)
    return View(camera, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)), depth


def _distance_to_scene(xyz: np.ndarray) -> np.ndarray:
    """Of each point to the nearer of the two surfaces, in scene units."""
    to_wall = np.abs(xyz @ WALL[0] - WALL[1]) / np.linalg.norm(WALL[0])
    to_card = np.abs(xyz @ CARD[0] - CARD[1]) / np.linalg.norm(CARD[0])
    beside = np.maximum(np.abs(xyz[:, :2]) - CARD_HALF, 0).max(axis=1)
    return np.minimum(to_wall, np.hypot(to_card, beside))


def test_the_homography_takes_a_pixel_of_a_plane_to_where_the_other_camera_sees_it() -> None:
    one, two = quad_capture().cameras[0], quad_capture().cameras[5]
    a, b = homography(one, two)
    uv, depth = np.array([[13.5, 41.5]]), np.array([2.9])
    expected, _ = two.project(unproject(one, uv, depth))
    seen = a @ (13.5, 41.5, 1.0) + b / 2.9
    assert seen[:2] / seen[2] == pytest.approx(expected[0], abs=1e-9)


def test_a_sweep_measures_a_slanted_wall_and_a_card_in_front_of_it() -> None:
    cameras = list(quad_capture(width=160, height=120).cameras)
    views = [_view(camera) for camera in cameras]
    others = [views[i][0] for i in neighbours(cameras, 2, 2.0, 6.0, NeighbourSettings())]
    found = sweep(views[2][0], others, 2.0, 6.0, SWEEP)
    error = np.abs(found.depth - views[2][1]) / views[2][1]
    assert np.median(error) < 0.002
    assert (error < 0.01).mean() > 0.9


def test_semi_global_aggregation_gives_a_pixel_without_evidence_its_neighbours_plane() -> None:
    cost = np.full((5, 7, 9), 100, dtype=np.uint8)
    cost[:, :, 6] = 20
    cost[2, 3] = 50  # says nothing
    plane, matching = np.empty((5, 7), dtype=np.float32), np.empty((5, 7), dtype=np.float32)
    best_plane(aggregate(cost, np.zeros((5, 7), dtype=np.float32), 8, 60, 16.0), cost, plane, matching)
    assert np.allclose(plane, 6.0)
    assert matching[2, 3] == 50
    assert matching[0, 0] == 20


def test_semi_global_aggregation_of_one_row_is_the_exact_minimum_over_all_paths() -> None:
    random = np.random.default_rng(0)
    cost = random.integers(0, 200, size=(1, 5, 4)).astype(np.uint8)
    step, jump = 10, 35
    total = aggregate(cost, np.zeros((1, 5), dtype=np.float32), step, jump, 16.0).astype(np.int64)

    def cheapest(columns: list[int]) -> np.ndarray:
        """Per plane of the last column, the best path to it, less the best of the column before, as the recursion keeps it small."""
        change = np.abs(np.arange(4)[:, None] - np.arange(4))
        penalty = np.where(change == 0, 0, np.where(change == 1, step, jump))
        value = cost[0, columns[0]].astype(np.int64)
        for column in columns[1:]:
            value = cost[0, column] + (value[None] + penalty).min(axis=1) - value.min()
        return value

    for x in range(5):
        both_ways = cheapest(list(range(x + 1))) + cheapest(list(range(4, x - 1, -1)))
        assert (total[0, x] == both_ways + 2 * cost[0, x].astype(np.int64)).all()  # the two vertical paths have length 1


def test_paths_of_many_views_together_are_those_of_one_after_the_other() -> None:
    rng = np.random.default_rng(7)
    cost = rng.integers(0, 256, (2, 9, 13, 24)).astype(np.uint8)
    image = rng.uniform(0, 255, (2, 9, 13)).astype(np.float32)
    padded = torch.full((2, 9, 13, 30), sweep_torch._BEYOND, dtype=torch.int16)  # planes that these views do not have
    padded[..., :24] = torch.from_numpy(cost)
    together = sweep_torch.aggregate(padded, torch.from_numpy(image), 24, 240, 16.0)[..., :24]
    for view in range(2):
        np.testing.assert_array_equal(together[view].numpy(), aggregate(cost[view], image[view], 24, 240, 16.0))


_CUDA = pytest.param("cuda", marks=(pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")))


def test_views_that_do_not_fit_into_memory_together_are_swept_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    views = [_view(camera)[0] for camera in quad_capture(width=64, height=48).cameras]
    jobs = [sweep_torch.Sweep(views[i], [views[i + 1], views[i + 2]], 1.5, 6.0) for i in range(3)]
    together: list[int] = []
    whole = sweep_torch.aggregate

    def counted(cost: torch.Tensor, *rest: object) -> torch.Tensor:
        together.append(len(cost))
        return whole(cost, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(sweep_torch, "aggregate", counted)
    maps = []
    for free in (None, 1):
        monkeypatch.setattr(sweep_torch, "free_memory", lambda _, free=free: free)
        maps.append(list(sweep_torch.depth_maps(jobs, torch.device("cpu"), SWEEP)))
    assert together == [3, 1, 1, 1]
    for one, other in zip(*maps, strict=True):
        np.testing.assert_array_equal(one.depth, other.depth)


@pytest.mark.parametrize("device", ["cpu", _CUDA])
def test_a_sweep_in_torch_finds_the_same_depths(device: str) -> None:
    views = [_view(camera)[0] for camera in quad_capture(width=160, height=120).cameras]
    jobs = [sweep_torch.Sweep(views[0], views[1:4], 1.5, 6.0), sweep_torch.Sweep(views[2], [views[1], views[3]], 2.0, 9.0)]
    for job, got in zip(jobs, sweep_torch.depth_maps(jobs, torch.device(device), SWEEP), strict=True):
        expected = sweep(job.reference, list(job.others), job.near, job.far, SWEEP)
        off = np.abs(1 / got.depth - 1 / expected.depth)
        step = (1 / job.near - 1 / job.far) / 24
        assert np.mean(off < 0.1 * step) > 0.97  # rounding decides where nothing matches
        assert np.mean(np.abs(got.mismatch - expected.mismatch) < 0.05) > 0.97


def test_fused_points_are_those_that_enough_views_agree_on_and_each_only_once() -> None:
    cameras = list(quad_capture().cameras)
    depths = [cast(camera)[1].astype(np.float32) for camera in cameras]
    depths[0] *= 1.2  # one view is wrong everywhere
    surface = fuse(cameras, depths, tolerance=0.01, agreeing=2)
    assert np.median(_distance_to_scene(surface.xyz)) < 2e-3
    assert _distance_to_scene(surface.xyz).max() < 0.03
    assert not (surface.view == 0).any()
    assert len(surface.xyz) < 2.2 * depths[0].size  # seven views of nearly one surface
    assert surface.agreeing.min() >= 2
    uv, _ = cameras[4].project(surface.xyz[surface.view == 4])
    assert np.median(np.abs(uv - 0.5 - surface.pixel[surface.view == 4])) < 0.1


def test_fused_points_do_not_depend_on_how_many_rows_a_thread_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = list(quad_capture().cameras[:4])
    depths = [cast(camera)[1].astype(np.float32) for camera in cameras]
    surfaces = []
    for rows in (10_000, 7):
        monkeypatch.setattr(fusion, "_ROWS", rows)
        surfaces.append(fusion.fuse(cameras, depths, tolerance=0.01, agreeing=1))
    assert len(surfaces[0].xyz) > 1000
    for name in ("xyz", "view", "pixel", "depth", "agreeing"):
        np.testing.assert_array_equal(*(getattr(surface, name) for surface in surfaces))


def test_a_surface_only_two_views_agree_on_is_not_fused() -> None:
    cameras = list(quad_capture().cameras[:3])
    depths = [cast(camera)[1] for camera in cameras]
    assert len(fuse(cameras, [*depths[:2], np.zeros_like(depths[2])], FUSION.tolerance, FUSION.agreeing).xyz) == 0


def test_two_cameras_confirm_each_other() -> None:
    capture = quad_capture(width=160, height=120)
    points = first_points(capture, [1, 2], 0, SETTINGS)
    distance = _distance_to_scene(points.xyz.astype(np.float64))
    assert len(points.xyz) > 2000
    assert np.median(distance) < 0.02


def test_first_points_lie_on_the_surfaces_without_any_given_depth_range() -> None:
    capture = quad_capture(forbid_held_out=True, width=160, height=120, bounds=False)
    points = first_points(capture, capture.training_cameras, 0, SETTINGS)
    distance = _distance_to_scene(points.xyz.astype(np.float64))
    assert len(points.xyz) == SETTINGS.count
    assert np.median(distance) < 0.01
    assert (distance < 0.05).mean() > 0.95
    truth, depth = cast(capture.cameras[3])
    uv, z = capture.cameras[3].project(points.xyz.astype(np.float64))
    inside = (uv >= 0).all(axis=1) & (uv[:, 0] < 160) & (uv[:, 1] < 120)
    column, row = uv[inside].astype(int).T
    visible = np.abs(z[inside] - depth[row, column]) < 0.05
    difference = np.abs(points.rgb[inside][visible].astype(float) - truth[row, column][visible])
    assert np.median(difference) < 12  # grey levels: half a pixel beside the sample


def test_the_same_seed_gives_the_same_points_and_another_seed_gives_others() -> None:
    capture = quad_capture()
    once, twice, other = (first_points(capture, capture.training_cameras, 0, replace(SETTINGS, count=900, seed=s)) for s in (1, 1, 2))
    assert np.array_equal(once.xyz, twice.xyz)
    assert not np.array_equal(once.xyz, other.xyz)


def test_a_dense_cloud_of_the_capture_is_used_as_it_is() -> None:
    cloud = PointCloud(np.zeros((50, 3), dtype=np.float32), np.zeros((50, 3), dtype=np.uint8))
    capture = quad_capture(points=cloud)
    assert first_points(capture, capture.training_cameras, 0, replace(SETTINGS, enough=50)) is cloud


def test_the_capture_s_points_are_of_frame_0_and_serve_no_other_frame() -> None:
    cloud = PointCloud(np.zeros((50, 3), dtype=np.float32), np.zeros((50, 3), dtype=np.uint8))
    capture = quad_capture(points=cloud)
    assert first_points(capture, capture.training_cameras, 1, replace(SETTINGS, enough=50)) is not cloud


def test_the_search_for_points_says_what_it_does_view_by_view() -> None:
    capture = quad_capture()
    *stages, last = find_points(PointTask.of(capture, capture.training_cameras, 0, SETTINGS))
    assert isinstance(last, PointsFound)
    assert all(isinstance(stage, Stage) and (stage.frame, stage.name) == (0, "points") for stage in stages)
    said = [stage.detail for stage in stages if isinstance(stage, Stage)]
    assert sum(detail.startswith("depth of view") for detail in said) == 6
    assert said[-1] == f"{len(last.points.xyz):,} points from 6 views"


def test_one_camera_is_not_enough() -> None:
    capture = quad_capture()
    with pytest.raises(InputError, match="at least 2"):
        first_points(capture, capture.training_cameras[:1], 0, SETTINGS)


def test_the_depth_range_contains_the_scene_whatever_it_is_taken_from() -> None:
    with_bounds, without = quad_capture(), quad_capture(bounds=False)
    camera = with_bounds.cameras[1]
    depth = cast(camera)[1]
    xyz = unproject(camera, np.random.default_rng(0).uniform((0, 0), (80, 60), (200, 2)), np.random.default_rng(1).uniform(2.3, 4.5, 200))
    with_points = replace(without, points=PointCloud(xyz.astype(np.float32), np.zeros((200, 3), dtype=np.uint8)))
    for capture in (with_bounds, without, with_points):
        near, far = depth_range(capture, list(capture.training_cameras), 1, DepthRangeSettings())
        assert 0 < near < depth.min()
        assert far > depth.max()
