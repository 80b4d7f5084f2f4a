"""Where the camera of a path is: exact at the keys, smooth between them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from made_paths import FOV, key, wandering
from scipy.spatial.transform import Rotation, Slerp

from trackersplat.camera_paths.moves.registry import MoveSettings, make_move
from trackersplat.camera_paths.path import CameraPath, even_path, paced_path
from trackersplat.camera_paths.rig import rig_of
from trackersplat.camera_paths.trajectory import Trajectory, rotations_of, video_times
from trackersplat.captures.registry import open_capture


def speeds(trajectory: Trajectory, start: float, end: float, count: int = 2000) -> np.ndarray:
    """Scene units per second, by steps so small that a chord is as long as its arc."""
    times = np.linspace(start, end, count)
    step = 1e-4 * trajectory.seconds
    before, after = trajectory.at(times - step).positions, trajectory.at(times + step).positions
    return np.linalg.norm(after - before, axis=1) / (2 * step)


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("constant", [False, True])
def test_every_key_is_passed_exactly(loop: bool, constant: bool) -> None:
    keys = [replace(one, fov=FOV * (1 + 0.05 * index)) for index, one in enumerate(wandering(7))]
    path = even_path(keys, 5.0, loop=loop, constant_speed=constant)
    trajectory = Trajectory(path)
    there = trajectory.at(trajectory.arrivals)
    np.testing.assert_allclose(there.positions, [one.position for one in keys], atol=1e-9)
    np.testing.assert_allclose(there.rotations, rotations_of(keys).as_matrix(), atol=1e-9)
    np.testing.assert_allclose(there.focal, [0.5 / math.tan(0.5 * one.fov) for one in keys], rtol=1e-9)
    if not constant:
        np.testing.assert_allclose(trajectory.arrivals, [one.at for one in path.keys])
    if loop:
        np.testing.assert_allclose(trajectory.at([path.seconds]).positions[0], keys[0].position, atol=1e-9)


@pytest.mark.parametrize("loop", [False, True])
def test_constant_speed_is_constant_to_a_thousandth(loop: bool) -> None:
    trajectory = Trajectory(even_path(wandering(8), 6.0, loop=loop, constant_speed=True))
    found = speeds(trajectory, 0.01, 5.99)
    length = np.linalg.norm(np.diff(trajectory.at(np.linspace(0, 6, 20_001)).positions, axis=0), axis=1).sum()
    np.testing.assert_allclose(found, length / 6.0, rtol=1e-3)


def test_speed_and_turning_have_no_jumps_where_straight_interpolation_has() -> None:
    """Jerk, the third derivative, against linear interpolation and Slerp of the same keys at the same times."""
    path = make_move("cameras", rig_of(open_capture("demo").cameras), MoveSettings(4.0))
    times = np.linspace(0, 4, 241)
    moments, dt = Trajectory(path).at(times), times[1]
    at, places, turns = [one.at for one in path.keys], np.array([one.position for one in path.keys]), rotations_of(path.keys)
    straight = np.stack([np.interp(times, at, places[:, axis]) for axis in range(3)], axis=1)

    def jerk(values: np.ndarray) -> float:
        return float(np.sqrt((np.diff(values, 3, axis=0) ** 2).sum(axis=1).mean()) / dt**3)

    def turning(rotations: Rotation) -> float:
        steps = (rotations[:-1].inv() * rotations[1:]).as_rotvec() / dt
        return float(np.sqrt((np.diff(steps, 2, axis=0) ** 2).sum(axis=1).mean()) / dt**2)

    assert jerk(moments.positions) < jerk(straight) / 20
    assert turning(Rotation.from_matrix(moments.rotations)) < turning(Slerp(at, turns)(times)) / 15


def test_a_turn_goes_the_shortest_way_whatever_the_sign_of_the_quaternions() -> None:
    start, end = Rotation.identity(), Rotation.from_rotvec([0, math.radians(170), 0])
    first, last = key((0, 0, 0), start), key((1, 0, 0), end)
    opposite = replace(last, rotation=tuple(-value for value in last.rotation))  # type: ignore[arg-type]
    for target in (last, opposite):
        turned = Rotation.from_matrix(Trajectory(even_path([first, target], 1.0)).at(np.linspace(0, 1, 201)).rotations)
        steps = (turned[:-1].inv() * turned[1:]).magnitude()
        assert steps.sum() == pytest.approx(math.radians(170), abs=1e-9)
        np.testing.assert_allclose(steps, steps.mean(), rtol=1e-6)


def test_a_camera_that_stands_neither_drifts_nor_bends_before() -> None:
    turn = Rotation.from_rotvec([0, 0.3, 0])
    keys = [key((0, 0, 0)), key((1, 0, 0), turn), key((1, 0, 0), turn), key((3, 2, 0))]
    trajectory = Trajectory(even_path(keys, 3.0))
    standing = trajectory.at(np.linspace(1, 2, 50))
    assert np.ptp(standing.positions, axis=0).max() == 0
    assert np.ptp(standing.rotations, axis=0).max() == 0
    before = trajectory.at(np.linspace(0, 1, 101)).positions
    np.testing.assert_allclose(before[:, 1:], 0, atol=1e-12)  # straight to the stop
    assert (np.diff(before[:, 0]) >= 0).all()
    assert speeds(trajectory, 0.999, 1.0, 3)[0] < 0.05  # and slowing down


def test_where_the_camera_stands_constant_speed_leaves_its_time() -> None:
    keys = [key((0, 0, 0)), key((1, 0, 0)), key((1, 0, 0)), key((4, 0, 0))]
    trajectory = Trajectory(even_path(keys, 3.0, constant_speed=True))
    np.testing.assert_allclose(trajectory.arrivals, [0, 0.5, 1.5, 3.0], atol=1e-9)  # 1 s stands; 2 s for 1 + 3 units
    np.testing.assert_allclose(trajectory.at([0.25, 1.0, 2.0]).positions[:, 0], [0.5, 1.0, 2.0], atol=1e-6)


def test_turning_in_place_does_not_move_the_camera() -> None:
    keys = [key((1, 2, 3)), key((1, 2, 3), Rotation.from_rotvec([0, 1, 0])), key((1, 2, 3), Rotation.from_rotvec([0.5, 1, 0]))]
    moments = Trajectory(even_path(keys, 2.0, constant_speed=True)).at(np.linspace(0, 2, 40))
    assert np.ptp(moments.positions, axis=0).max() == 0
    np.testing.assert_allclose(moments.rotations[-1], Rotation.from_rotvec([0.5, 1, 0]).as_matrix(), atol=1e-9)


def test_a_loop_is_as_smooth_where_it_closes_as_elsewhere() -> None:
    trajectory = Trajectory(even_path(wandering(6), 6.0, loop=True))
    ends = trajectory.at([0.0, 1e-4, 6.0 - 1e-4, 6.0])
    start, end = (ends.positions[1] - ends.positions[0]) / 1e-4, (ends.positions[3] - ends.positions[2]) / 1e-4
    np.testing.assert_allclose(start, end, rtol=1e-2, atol=1e-2 * float(np.linalg.norm(start)))
    turned = Rotation.from_matrix(ends.rotations)
    np.testing.assert_allclose(
        (turned[0].inv() * turned[1]).as_rotvec() / 1e-4, (turned[2].inv() * turned[3]).as_rotvec() / 1e-4, atol=0.05
    )


def test_the_clip_runs_evenly_between_keys_that_name_a_frame_and_stands_between_two_of_one_frame() -> None:
    frames = [0.0, None, 10.0, 10.0, 29.0]
    keys = [replace(one, frame=frame) for one, frame in zip(wandering(5), frames, strict=True)]
    trajectory = Trajectory(even_path(keys, 4.0))
    np.testing.assert_allclose(trajectory.frames(np.array([0, 0.5, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0])), [0, 2.5, 5, 10, 10, 10, 19.5, 29])
    assert trajectory.first_time_of(10) == pytest.approx(2.0, abs=2e-3)
    unnamed = Trajectory(even_path(wandering(5), 4.0), first=3, last=9)
    np.testing.assert_allclose(unnamed.frames(np.array([0.0, 2.0, 4.0])), [3, 6, 9])


def test_a_video_shows_both_ends_of_a_path_and_the_start_of_a_loop_once() -> None:
    keys = wandering(4)
    np.testing.assert_allclose(video_times(even_path(keys, 1.0), 30)[[0, -1]], [0, 1])
    loop = video_times(even_path(keys, 1.0, loop=True), 30)
    assert len(loop) == 30
    assert loop[-1] == pytest.approx(1 - 1 / 30)


def test_the_pinhole_view_looks_where_the_key_does() -> None:
    """By a point that lies differently along x, y and z."""
    turn = Rotation.from_euler("yx", [0.4, -0.2])
    moments = Trajectory(CameraPath((key((1, 2, 3), turn),), 1.0)).at([0.5])
    camera = moments.camera(0, 640, 360, near=0.1)
    point = np.array([1, 2, 3]) + turn.apply([0.3, -0.7, 2.0])
    focal = 0.5 * 360 / math.tan(FOV / 2)
    np.testing.assert_allclose(camera.project(point[None])[0][0], (320 + focal * 0.15, 180 - focal * 0.35), atol=1e-9)
    assert camera.fov_y == pytest.approx(FOV)


def test_paced_times_are_in_proportion_to_the_distances() -> None:
    path = paced_path([key((0, 0, 0)), key((1, 0, 0)), key((4, 0, 0))], 8.0)
    np.testing.assert_allclose([one.at for one in path.keys], [0, 2, 8])
    np.testing.assert_allclose(speeds(Trajectory(path), 0.01, 7.99), 0.5, rtol=1e-6)
