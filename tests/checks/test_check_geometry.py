"""Epipolar distances, triangulation and what it is worth."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_capture import look_at

from trackersplat.captures.camera import Camera
from trackersplat.checks.geometry import epipolar_distances, fundamental, prediction, triangulate

K = np.array([[500.0, 0, 330], [0, 520, 240], [0, 0, 1]])


def rig(count: int = 5) -> list[Camera]:
    places = [(np.sin(a) * 4 + 7, 0.5 * np.cos(3 * a), -np.cos(a) * 4 + 2) for a in np.linspace(-0.8, 0.9, count)]
    return [Camera(f"c{i}", 640, 480, K, look_at(place, (7.0, 0.2, 2.0))) for i, place in enumerate(places)]


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform((6, -0.8, 1.2), (8, 0.9, 2.8), (60, 3))


def test_a_point_lies_on_the_epipolar_line_of_its_partner(points: np.ndarray) -> None:
    a, b, *_ = rig()
    uv_a, uv_b = a.project(points)[0], b.project(points)[0]
    assert epipolar_distances(a, b, uv_a, uv_b).max() < 1e-8
    homogeneous = np.append(uv_b[0], 1) @ fundamental(a, b) @ np.append(uv_a[0], 1)
    assert abs(homogeneous) < 1e-8


def test_the_distance_is_the_mean_of_both_images(points: np.ndarray) -> None:
    # Side by side with one focal length the lines are the rows of both images.
    a = Camera("a", 640, 480, np.diag((500.0, 500.0, 1.0)), np.eye(4))
    shift = np.eye(4)
    shift[0, 3] = -1
    b = Camera("b", 640, 480, np.diag((250.0, 250.0, 1.0)), shift)
    uv_a, uv_b = a.project(points)[0], b.project(points)[0] + (7.0, 3.0)
    # 3 rows of b are 6 rows of a.
    assert epipolar_distances(a, b, uv_a, uv_b) == pytest.approx(np.full(len(points), 4.5))


def test_exact_views_give_the_exact_point_and_an_outlier_hardly_moves_it(points: np.ndarray) -> None:
    cameras = rig()
    uv = np.stack([camera.project(points)[0] for camera in cameras], axis=1)
    used = np.ones(uv.shape[:2], dtype=bool)
    used[:, 3] = False
    uv[:, 3] = np.nan  # what is not used may be anything
    placed = triangulate(cameras, uv, used)
    assert np.abs(placed.points - points).max() < 1e-7
    assert placed.error.max() < 1e-4
    uv[:, 2, 0] += 40
    robust = np.linalg.norm(triangulate(cameras, uv, used).points - points, axis=1)
    assert np.median(robust) < 0.06  # least squares would be off by about a third of 40 pixels, 0.1


def test_a_point_behind_a_camera_has_no_error_that_could_pass() -> None:
    front, other = rig(2)
    behind = front.center - 2 * front.rotation[2] + 0.1
    uv = np.stack([front.project(behind[None])[0], other.project(behind[None])[0]], axis=1)
    assert triangulate([front, other], uv, np.ones((1, 2), dtype=bool)).error[0] == np.inf


def test_the_spread_of_a_prediction_is_that_of_the_depth_seen_from_the_side() -> None:
    focal, depth, baseline = 400.0, 5.0, 0.5
    square = np.array([[focal, 0, 0], [0, focal, 0], [0, 0, 1]])
    pair = []
    for x in (-baseline / 2, baseline / 2):
        pose = np.eye(4)
        pose[0, 3] = -x
        pair.append(Camera(str(x), 10, 10, square, pose))
    side = Camera("side", 10, 10, square, look_at((depth, 0.0, depth), (0.0, 0.0, depth)))
    point = np.array([[0.0, 0.0, depth]])
    uv = np.stack([camera.project(point)[0] for camera in pair], axis=1)
    placed = triangulate(pair, uv, np.ones((1, 2), dtype=bool))
    at, spread = prediction(side, placed)
    assert at[0] == pytest.approx((0.0, 0.0), abs=1e-6)
    # Disparity of two errors of one pixel: sqrt 2; depth error: z^2 / (f b) times that; from the side: times f / z.
    assert spread[0] == pytest.approx(np.sqrt(2) * depth / baseline, rel=1e-3)
