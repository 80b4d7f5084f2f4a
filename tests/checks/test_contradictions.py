"""Pairs of cameras whose matches contradict their poses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from spoilt import turned
from tiny_capture import look_at

from trackersplat.captures.camera import Camera
from trackersplat.captures.registry import open_capture
from trackersplat.checks.check import check_capture
from trackersplat.checks.contradictions import PairDistances, contradicting, contradictions, distances, rigid_share
from trackersplat.checks.events import Checked
from trackersplat.checks.matches import Features, PairMatches
from trackersplat.checks.poses import check_poses, measure_poses

K = np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
NO_TRACKS = np.full((0, 4, 2), np.nan)


def rig() -> list[Camera]:
    """Four cameras 35 degrees apart."""
    places = [(4 * np.sin(a), 0.3, -4 * np.cos(a)) for a in np.radians((-52, -17, 17, 52))]
    return [Camera(f"cam{i:02d}", 320, 240, K, look_at(place)) for i, place in enumerate(places)]


def seen(cameras: list[Camera], count: int = 30, seed: int = 3) -> np.ndarray:
    """(T, C, 2) pixels of points, with errors of 0.2."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1.2, 1.2, (count, 3))
    return np.stack([camera.project(points)[0] for camera in cameras], axis=1) + rng.normal(0, 0.2, (count, len(cameras), 2))


def pair(a: int, b: int, pixels: float, count: int = 30, rigid: float = 0.7) -> PairDistances:
    return PairDistances(a, b, np.full(count, pixels), 0.75, rigid)


def test_right_matches_are_rigid_whatever_the_poses_say_and_wrong_ones_are_not() -> None:
    cameras = rig()
    uv = seen(cameras)
    backwards = dataclasses.replace(cameras[1], world_to_camera=np.linalg.inv(cameras[1].world_to_camera))
    assert rigid_share(cameras[0], backwards, uv[:, 0], uv[:, 1], 1.5) > 0.9
    shares = [rigid_share(cameras[0], cameras[1], uv[:, 0], np.random.default_rng(s).permutation(uv[:, 1]), 1.5) for s in range(10)]
    assert max(shares) < 0.5


def test_matches_that_fix_no_geometry_are_not_rigid() -> None:
    cameras = rig()
    line = np.column_stack([np.linspace(20, 300, 30), np.full(30, 120.0)])
    assert rigid_share(cameras[0], cameras[1], line[:4], line[:4], 1.5) == 0.0
    assert rigid_share(cameras[0], cameras[1], np.tile(line[:1], (30, 1)), np.tile(line[:1], (30, 1)), 1.5) <= 1.0


def test_the_rigid_share_of_a_pair_is_one_of_all_matches_found() -> None:
    cameras = rig()
    uv = seen(cameras)
    features = [Features(uv[:, c], np.ones(30), np.zeros((30, 128), np.float32), 1.0) for c in range(4)]
    every = np.arange(30)
    (found,) = distances(cameras, features, [PairMatches(0, 1, every, every, 0.6)])
    assert 0.5 < found.rigid <= found.share == 0.6
    assert found.median < 0.5


def test_a_pair_contradicts_where_it_is_off_much_further_than_the_others() -> None:
    cameras, others = rig(), [pair(0, 1, 0.2), pair(1, 2, 0.3)]
    assert contradicting(cameras, [*others, pair(2, 3, 4.0)]) == [False, False, True]
    assert contradicting(cameras, [*others, pair(2, 3, 1.5)]) == [False, False, False]  # does no harm
    assert contradicting(cameras, [*others, pair(2, 3, 4.0, count=12)]) == [False, False, False]
    assert contradicting(cameras, [*others, pair(2, 3, 4.0, rigid=0.3)]) == [False, False, False]
    assert contradicting(cameras, [pair(0, 1, 2.5), pair(1, 2, 2.2), pair(2, 3, 4.0)]) == [False] * 3  # all poses are coarse
    # A wrong lens leaves part of the matches without a relative pose: these must be far off; of wrong ones hardly any has one.
    assert contradicting(cameras, [*others, pair(2, 3, 9.0, rigid=0.4)]) == [False, False, True]
    assert contradicting(cameras, [*others, pair(2, 3, 90.0, rigid=0.2)]) == [False, False, False]


def test_of_two_cameras_that_contradict_each_other_the_one_without_other_witnesses_is_the_suspect() -> None:
    cameras = rig()
    (one,) = contradictions(cameras, [*2 * [pair(0, 1, 0.2), pair(1, 2, 0.3)], pair(2, 3, 4.0), pair(2, 3, 5.0)], ())
    assert (one.suspect, one.other, one.cleared, one.matches, one.epipolar) == (3, 2, True, 30, 5.0)
    (one,) = contradictions(cameras, [pair(0, 1, 0.2), pair(0, 1, 0.2), pair(2, 3, 4.0)], ())
    assert ({one.suspect, one.other}, one.cleared) == ({2, 3}, False)
    assert contradictions(cameras, [pair(0, 1, 0.2), pair(1, 2, 0.3), pair(2, 3, 4.0)], {3}) == []  # is known to be wrong
    witnessed = [pair(0, 1, 0.2), pair(0, 2, 0.2), pair(1, 3, 0.3), pair(2, 3, 4.0)]
    assert contradictions(cameras, witnessed, ()) == []  # a repeated pattern


def test_a_contradiction_is_a_warning_that_names_the_suspect_first() -> None:
    cameras = rig()
    pairs = [pair(0, 1, 0.2), pair(1, 2, 0.3), pair(2, 3, 4.0)]
    finding, note = check_poses(cameras, measure_poses(cameras, pairs, NO_TRACKS, np.empty(0, np.int64)), pairs)
    assert (finding.severity, finding.camera, finding.numbers) == ("warning", "cam03", {"epipolar": 4.0, "matches": 30.0})
    assert "cam03 and cam02 contradict" in finding.what
    assert "check cam03 first" in finding.advice
    assert (note.severity, note.what.split(" could")[0]) == ("note", "The pose of cam00, cam01")


@pytest.mark.parametrize(("name", "camera"), [("dome_12", "cam05"), ("dome_16", "cam07"), ("arc_6", "cam02")])
def test_a_camera_turned_by_two_degrees_is_named_on_rigs_of_cameras_far_apart(shared_data: Path, name: str, camera: str) -> None:
    """And it alone. In dome_16, nine points of cam15 are placed with its help; only its matches with others tell which of them is wrong."""
    capture = open_capture(shared_data / "rigs" / name)
    spoilt = turned(capture, capture.camera_index(camera), 2.0)
    *_, last = check_capture(spoilt, [0])
    *_, right = check_capture(capture, [0])
    capture.close()
    assert isinstance(last, Checked)
    assert isinstance(right, Checked)
    assert [f.camera for f in last.report.findings if f.severity != "note"] == [camera]
    assert [f.camera for f in right.report.findings if f.severity != "note"] == []
