"""Poses that do not fit, from points whose images are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import numpy as np
import pytest
from tiny_capture import look_at

from trackersplat.captures.camera import Camera
from trackersplat.checks import poses
from trackersplat.checks.contradictions import PairDistances, tolerance
from trackersplat.checks.findings import Finding
from trackersplat.checks.geometry import epipolar_distances
from trackersplat.checks.poses import PoseFit, check_poses, measure_poses
from trackersplat.checks.settings import PoseSettings

K = np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]])


def rig(count: int) -> list[Camera]:
    places = [(4 * np.sin(a), 0.6 * np.cos(4 * a), -4 * np.cos(a)) for a in np.linspace(-0.9, 0.8, count)]
    return [Camera(f"cam{i:02d}", 640, 480, K, look_at(place)) for i, place in enumerate(places)]


def images(cameras: list[Camera], count: int = 150, views: int = 4) -> np.ndarray:
    """(T, C, 2) where the cameras see points, with errors of 0.3 pixels; each point by a few neighbours."""
    rng = np.random.default_rng(5)
    points = rng.uniform(-0.9, 0.9, (count, 3))
    uv = np.stack([camera.project(points)[0] for camera in cameras], axis=1) + rng.normal(0, 0.3, (count, len(cameras), 2))
    first = rng.integers(0, max(len(cameras) - views, 0) + 1, count)
    index = np.arange(len(cameras))
    uv[(index < first[:, None]) | (index >= first[:, None] + views)] = np.nan
    return uv


def pair_distances(cameras: list[Camera], uv: np.ndarray) -> list[PairDistances]:
    pairs = []
    for a in range(len(cameras)):
        for b in range(a + 1, len(cameras)):
            both = np.isfinite(uv[:, a, 0]) & np.isfinite(uv[:, b, 0])
            if both.sum() >= 16:
                pairs.append(PairDistances(a, b, epipolar_distances(cameras[a], cameras[b], uv[both, a], uv[both, b]), 0.9, 0.9))
    return pairs


ONCE = np.zeros(1000, np.int64)  # all in one frame


def found(cameras: list[Camera], uv: np.ndarray) -> list[Finding]:
    pairs = pair_distances(cameras, uv)
    return check_poses(cameras, measure_poses(cameras, pairs, uv, ONCE[: len(uv)]), pairs)


def changed(camera: Camera, degrees: float, by: tuple[float, float, float]) -> Camera:
    angle = np.radians(degrees)
    motion = np.eye(4)
    motion[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    motion[:3, 3] = by
    return dataclasses.replace(camera, world_to_camera=motion @ camera.world_to_camera)


def test_poses_that_fit_are_no_finding_and_their_residual_is_that_of_the_matches() -> None:
    cameras = rig(7)
    uv = images(cameras)
    assert found(cameras, uv) == []
    for fit in measure_poses(cameras, pair_distances(cameras, uv), uv, ONCE[: len(uv)]):
        assert fit.points > 20
        assert 0.2 < (fit.reprojection or 0) < 1.0
        assert 0.1 < (fit.epipolar or 0) < 0.5


@pytest.mark.parametrize(
    ("wrong", "degrees", "by"), [(0, 3.0, (0, 0, 0)), (3, 0.0, (0.06, 0, 0)), (6, 0.0, (0, 0, 0.4)), (4, 8.0, (0.3, 0.1, 0))]
)
def test_the_camera_that_is_wrong_is_found_with_where_it_should_be(wrong: int, degrees: float, by: tuple[float, float, float]) -> None:
    cameras = rig(7)
    uv = images(cameras)
    given = [changed(camera, degrees, by) if index == wrong else camera for index, camera in enumerate(cameras)]
    (finding,) = found(given, uv)
    assert (finding.severity, finding.camera) == ("problem", f"cam{wrong:02d}")
    assert finding.numbers["turned"] == pytest.approx(degrees, abs=0.15)
    assert finding.numbers["moved"] == pytest.approx(np.linalg.norm(cameras[wrong].center - given[wrong].center), abs=0.02)


@pytest.mark.parametrize(
    ("count", "views", "wrong", "by"),
    [(4, 3, 1, (0.06, 0, 0)), (4, 3, 2, (0.03, 0, 0)), (5, 3, 1, (0.06, 0, 0)), (5, 4, 2, (0.06, 0, 0)), (7, 3, 3, (0.15, 0, 0.2))],
)
def test_a_neighbour_that_looks_worse_because_of_it_is_not_taken_for_the_wrong_one(
    count: int, views: int, wrong: int, by: tuple[float, float, float]
) -> None:
    cameras = rig(count)
    uv = images(cameras, views=views)
    given = [changed(camera, 0.0, by) if index == wrong else camera for index, camera in enumerate(cameras)]
    assert [f.camera for f in found(given, uv) if f.severity == "problem"] == [f"cam{wrong:02d}"]


def test_two_cameras_with_each_other_s_pose_are_both_found() -> None:
    cameras = rig(8)
    uv = images(cameras, 300, 5)
    given = list(cameras)
    given[2] = dataclasses.replace(cameras[5], name="cam02")
    given[5] = dataclasses.replace(cameras[2], name="cam05")
    assert [finding.camera for finding in found(given, uv)] == ["cam02", "cam05"]


def test_with_three_cameras_the_wrong_one_alone_is_found() -> None:
    cameras = rig(3)
    uv = images(cameras, views=3)
    given = [*cameras[:2], changed(cameras[2], 5.0, (0, 0, 0))]
    assert [f.camera for f in found(given, uv) if f.severity == "problem"] == ["cam02"]


def test_matrices_that_map_the_other_way_are_one_finding_about_the_capture() -> None:
    cameras = rig(7)
    uv = images(cameras)
    given = [dataclasses.replace(camera, world_to_camera=np.linalg.inv(camera.world_to_camera)) for camera in cameras]
    (finding,) = found(given, uv)
    assert (finding.severity, finding.camera) == ("problem", None)
    assert "axes" in finding.advice


def test_two_cameras_alone_are_judged_by_their_epipolar_lines() -> None:
    cameras = rig(2)
    uv = images(cameras, views=2)
    assert [f.severity for f in found(cameras, uv)] == ["note"]
    given = [cameras[0], changed(cameras[1], 10.0, (0, 0, 0))]
    (finding,) = found(given, uv)
    assert (finding.severity, finding.camera) == ("problem", None)


def test_matches_that_contradict_a_pose_without_a_third_witness_are_a_warning() -> None:
    cameras = rig(5)
    uv = images(cameras, 300, views=5)
    tracks = np.full((0, 5, 2), np.nan)
    given = [changed(camera, 10.0 * (index == 2), (0, 0, 0)) for index, camera in enumerate(cameras)]
    pairs = pair_distances(given, uv)
    findings = check_poses(given, measure_poses(given, pairs, tracks, ONCE[:0]), pairs)
    assert [(f.severity, f.camera) for f in findings] == [("warning", "cam02"), ("note", None)]
    # Matches of repeated patterns, which only a few agree on, do not count.
    vague = [dataclasses.replace(pair, share=0.4, rigid=0.4) for pair in pairs]
    assert [f.severity for f in check_poses(given, measure_poses(given, vague, tracks, ONCE[:0]), vague)] == ["note"]


def test_no_points_at_all_are_a_note_unless_a_problem_explains_it() -> None:
    cameras = rig(3)
    fits = measure_poses(cameras, [], np.full((0, 3, 2), np.nan), ONCE[:0])
    (finding,) = check_poses(cameras, fits, [])
    assert (finding.severity, finding.camera) == ("note", None)
    assert check_poses(cameras, fits, [], {"cam00", "cam01", "cam02"}) == []


def test_a_pose_is_not_wrong_if_it_fits_in_a_frame_in_which_less_moves() -> None:
    cameras = rig(7)
    still, moving = images(cameras), images(cameras)
    moving[:, 3] += (0, 9)  # what a camera that is a little late sees of something fast
    frames = np.repeat((4, 12), len(still))
    uv = np.concatenate([still, moving])
    fits = measure_poses(cameras, [], uv, frames)
    assert not any(fit.wrong for fit in fits)
    assert (fits[3].reprojection or 9) < 1
    fits = measure_poses(cameras, [], np.concatenate([moving, moving]), frames)
    assert [fit.wrong for fit in fits] == [False, False, False, True, False, False, False]


def test_a_large_image_tolerates_more_pixels() -> None:
    camera = rig(2)[0]
    assert tolerance(camera) == 2.0
    assert tolerance(dataclasses.replace(camera, width=3000, height=4000)) == 8.0


def test_a_camera_that_is_hardly_worse_than_the_rest_is_not_the_wrong_one() -> None:
    """Where all are 2 to 3 pixels off, the calibration as a whole is coarse; what is 20 pixels off is wrong even so."""
    cameras = rig(7)
    uv = images(cameras) + np.random.default_rng(8).normal(0, 1.0, (150, 7, 2))
    for by, wrong in ((0.014, False), (0.15, True)):
        given = [changed(camera, 0.0, (by, 0, 0)) if index == 3 else camera for index, camera in enumerate(cameras)]
        fits = measure_poses(given, [], uv, ONCE[:150])
        assert (fits[3].reprojection or 0) > tolerance(cameras[3])
        assert [fit.wrong for fit in fits] == [wrong and index == 3 for index in range(7)]


def test_points_that_are_placed_only_roughly_judge_nobody() -> None:
    """Two cameras side by side place points well across and badly along their view, which a third sees from the side."""
    places = [(0.0, 0, -4), (0.004, 0, -4), (4.0, 0, 0)]
    cameras = [Camera(f"cam{i:02d}", 640, 480, K, look_at(place)) for i, place in enumerate(places)]
    uv = images(cameras, views=3)
    fits = measure_poses(cameras, [], uv, ONCE[:150])
    assert (fits[2].points, fits[2].reprojection) == (0, None)
    assert not any(fit.wrong for fit in fits)


def test_a_wrong_camera_is_judged_by_all_points_however_near_it_is_said_to_be() -> None:
    """Seen from where it is said to be, close to the points, a pixel of the others would be many of its own."""
    cameras = rig(7)
    uv = images(cameras)
    near = changed(cameras[3], 20.0, (0, 0, -2.6))
    given = [near if index == 3 else camera for index, camera in enumerate(cameras)]
    fits = measure_poses(given, [], uv, ONCE[:150])
    assert [fit.wrong for fit in fits] == [index == 3 for index in range(7)]
    assert fits[3].points == np.isfinite(uv[:, 3, 0]).sum()
    assert fits[3].turned == pytest.approx(20.0, abs=0.2)


def test_a_pose_needs_points_in_two_frames_where_there_are_two() -> None:
    cameras = rig(7)
    moving = images(cameras)
    moving[:, 3] += (0, 9)
    for later in (PoseSettings().min_points - 1, len(moving)):
        uv = np.concatenate([moving, moving[np.isfinite(moving[:, 3, 0])][:later]])
        fits = measure_poses(cameras, [], uv, np.repeat((4, 12), (len(moving), len(uv) - len(moving))))
        assert (fits[3].reprojection is None) == (later < PoseSettings().min_points)


def test_one_pair_that_contradicts_is_no_doubt_about_either_camera_and_of_three_the_one_they_share_is_doubted() -> None:
    good, bad, tracks = np.full(50, 0.5), np.full(50, 30.0), np.full((0, 4, 2), np.nan)
    cameras = rig(4)

    def doubtful(wrong: set[tuple[int, int]], without: Collection[tuple[int, int]] = ()) -> list[bool]:
        every = [(a, b) for a in range(4) for b in range(a + 1, 4) if (a, b) not in without]
        pairs = [PairDistances(a, b, bad if (a, b) in wrong else good, 0.9, 0.9) for a, b in every]
        return [fit.doubtful for fit in measure_poses(cameras, pairs, tracks, ONCE[:0])]

    assert doubtful(set()) == [False] * 4
    assert doubtful({(0, 1)}) == [False] * 4
    assert doubtful({(0, 3)}, without={(1, 3), (2, 3)}) == [False] * 4
    assert doubtful({(0, 3), (1, 3)}, without={(2, 3)}) == [False, False, False, True]
    assert doubtful({(0, 1), (1, 2)}) == [False, True, False, False]
    assert doubtful({(0, 1), (1, 2), (1, 3), (0, 2)}) == [False, True, False, False]


def test_a_camera_that_no_points_judge_is_not_called_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras, tracks = rig(4), np.full((0, 4, 2), np.nan)
    pairs = [PairDistances(a, b, np.full(50, 30.0 if b == 3 else 0.5), 0.9, 0.9) for a in range(4) for b in range(a + 1, 4)]
    suspects = iter([{0: 1.0}])
    monkeypatch.setattr(poses, "_suspects", lambda *_: next(suspects, {}))
    monkeypatch.setattr(poses, "_culprit", lambda *_: 3)
    fits = measure_poses(cameras, pairs, tracks, ONCE[:0])
    assert [fit.wrong for fit in fits] == [False] * 4
    assert [fit.doubtful for fit in fits] == [False, False, False, True]


@pytest.mark.parametrize(("pixels", "severity"), [(5.9, "warning"), (6.1, "problem")])
def test_poses_most_of_which_are_wrong_are_one_finding_as_severe_as_they_are_off(pixels: float, severity: str) -> None:
    fits = [PoseFit(points=30, reprojection=value, wrong=wrong) for value, wrong in ((1.0, False), (pixels, True), (pixels, True))]
    (finding,) = check_poses(rig(3), fits, [])
    assert (finding.severity, finding.camera) == (severity, None)
    assert finding.numbers["residual"] == pixels
