"""Depth maps of all views of a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from quad_scene import cast, quad_capture

from trackersplat.training.points.depth_maps import matched_depths
from trackersplat.training.points.settings import FarApartSettings, PatchMatchSettings, PointSettings
from trackersplat.training.points.task import PointTask

SETTINGS = PointSettings(max_side=80)


def test_depths_of_small_images_are_right_at_full_size() -> None:
    capture = quad_capture(width=160, height=120)
    found = matched_depths(PointTask.of(capture, capture.training_cameras, 0, SETTINGS))
    assert [depth.shape for depth in found] == [(120, 160)] * len(capture.training_cameras)
    for camera, depth in zip(capture.training_cameras, found, strict=True):
        _, truth = cast(capture.cameras[camera])
        assert np.median(np.abs(depth - truth) / truth) < 0.005


def test_cameras_far_apart_are_matched_by_patches_and_bad_matches_have_no_depth() -> None:
    capture = quad_capture()
    rules = PatchMatchSettings(levels=2, rounds=(3, 2), tries=12)
    settings = replace(SETTINGS, far_apart=FarApartSettings(angle=0.0), patchmatch=rules)
    found = matched_depths(PointTask.of(capture, capture.training_cameras[:3], 0, settings))
    for camera, depth in zip(capture.training_cameras, found, strict=False):
        _, truth = cast(capture.cameras[camera])
        assert (depth == 0).any()
        assert np.median((np.abs(depth - truth) / truth)[depth > 0]) < 0.01
