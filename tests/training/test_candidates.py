"""Where there is a choice of first points, "auto" names the candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dome_scene import dome_capture
from quad_scene import quad_capture

from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.training.points.find import coverage, find_points, suited
from trackersplat.training.points.fusion import no_surface
from trackersplat.training.points.settings import FarApartSettings, PointSettings
from trackersplat.training.points.task import PointsFound, PointTask

FAST = PointSettings(count=600, max_side=48)


def _task(capture: Capture, settings: PointSettings = FAST) -> PointTask:
    return PointTask.of(capture, capture.training_cameras, 0, settings)


def _found(capture: Capture, settings: PointSettings = FAST) -> PointsFound:
    *_, last = find_points(_task(capture, settings))
    assert isinstance(last, PointsFound)
    return last


def test_strategies_follow_the_angles_between_cameras_and_not_their_number() -> None:
    close, dome = quad_capture(), dome_capture()
    assert suited(_task(close)) == (("planes",),)
    assert suited(_task(dome)) == (("patches", "surround"),)
    some = replace(dome, held_out=tuple(camera.name for camera in dome.cameras[4:]))
    assert [chain[0] for chain in suited(_task(some))] == ["patches"]
    assert suited(_task(dome, replace(FAST, planes_too=True))) == (("patches", "surround"), ("planes", "surround"))


@pytest.mark.slow
def test_cameras_far_apart_have_candidates_with_and_without_what_was_added() -> None:
    capture = replace(dome_capture(), points=None)
    found = _found(capture)
    assert [candidate.name for candidate in found.candidates] == ["patches and surround", "patches"]
    assert found.points is found.candidates[0].points
    for candidate in found.candidates:
        assert candidate.view.shape == (len(candidate.points.xyz),)
        assert candidate.view.max() < len(capture.training_cameras)
    assert (found.candidates[0].view == -1).any()  # what surrounds the rig is of no view alone
    assert (found.candidates[1].view >= 0).all()


@pytest.mark.slow
def test_what_was_added_is_a_choice_even_where_cameras_are_close_and_matching_covers_all() -> None:
    close = replace(FAST, covered=0.0, far_apart=FarApartSettings(angle=180.0))
    capture = replace(dome_capture(), points=None)
    assert suited(_task(capture, close)) == (("planes", "surround"),)
    assert [candidate.name for candidate in _found(capture, close).candidates] == ["planes and surround", "planes"]


def test_the_capture_s_own_points_are_a_candidate_where_matching_leaves_much_out() -> None:
    own = PointCloud(np.random.default_rng(0).uniform(-1, 1, (40, 3)).astype(np.float32) + np.float32(3), np.zeros((40, 3), np.uint8))
    capture = replace(quad_capture(), points=own)
    names = [candidate.name for candidate in _found(capture, replace(FAST, covered=1.01)).candidates]
    assert names == ["planes with the capture's own points", "the capture's own points"]
    assert _found(capture, replace(FAST, covered=0.0)).candidates == ()


def test_coverage_is_the_share_of_pixels_with_a_point_near_them() -> None:
    task = _task(quad_capture())
    assert coverage(task, no_surface()) == 0.0
