"""Features added to dense points where these have gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from quad_scene import quad_capture

from trackersplat.captures.capture import PointCloud
from trackersplat.training.points.find import first_points
from trackersplat.training.points.gaps import fill_gaps
from trackersplat.training.points.settings import GapSettings, PointSettings


def _cloud(xyz: np.ndarray, grey: int) -> PointCloud:
    return PointCloud(xyz.astype(np.float32), np.full(xyz.shape, grey, dtype=np.uint8))


GRID = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0), [0.0], indexing="ij"), axis=-1).reshape(-1, 3)  # 1 unit apart


def test_features_nearer_than_the_points_are_apart_are_dropped_and_others_added() -> None:
    features = _cloud(np.array([[2.5, 2.5, 0.0], [3, 3, 0.9], [3, 3, 1.1], [20, 20, 20]]), 7)
    filled = fill_gaps(_cloud(GRID, 200), features, GapSettings(), seed=0)
    np.testing.assert_array_equal(filled.xyz, np.concatenate([GRID, [[3, 3, 1.1], [20, 20, 20]]]).astype(np.float32))
    np.testing.assert_array_equal(filled.rgb[-3:, 0], [200, 7, 7])


def test_features_in_great_number_are_thinned_alike_for_one_seed() -> None:
    features = _cloud(np.random.default_rng(0).uniform(20, 30, (500, 3)), 7)
    one, two, other = (fill_gaps(_cloud(GRID, 200), features, GapSettings(largest_share=0.4), seed) for seed in (3, 3, 4))
    assert len(one.xyz) == 140
    np.testing.assert_array_equal(one.xyz, two.xyz)
    assert not np.array_equal(one.xyz, other.xyz)


def test_sparse_points_are_added_to_the_first_frames_sweep_however_many_they_are() -> None:
    capture = quad_capture()
    cameras = list(capture.training_cameras)
    settings = PointSettings(count=3000, enough=50)
    far = np.random.default_rng(1).uniform(2.0, 2.4, (60, 3)) * (1, 1, -1)
    known = _cloud(far, 9)
    swept = first_points(capture, cameras, 0, settings)
    as_they_are = first_points(replace(capture, points=known), cameras, 0, settings)
    added = first_points(replace(capture, points=replace(known, sparse=True)), cameras, 0, settings)
    assert len(as_they_are.xyz) == 60
    assert len(added.xyz) > 0.8 * len(swept.xyz)
    np.testing.assert_array_equal(added.xyz[-60:], known.xyz)
