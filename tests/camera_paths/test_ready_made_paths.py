"""The ready-made camera paths on rigs whose right answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tiny_capture import cameras as tiny_cameras
from tiny_capture import look_at

from trackersplat.camera_paths.moves.registry import MOVES, MoveSettings, make_move, usual_seconds
from trackersplat.camera_paths.order import nearest_order
from trackersplat.camera_paths.path import CameraPath
from trackersplat.camera_paths.rig import Rig, rig_of
from trackersplat.camera_paths.trajectory import Trajectory, rotations_of
from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError

K = np.array([[60.0, 0, 32], [0, 60.0, 24], [0, 0, 1]])
UP = np.array([0.0, -1.0, 0.0])  # world y points down in these rigs


def around(count: int, degrees: float, height: float = -0.8, radius: float = 2.0) -> list[Camera]:
    """Cameras on an arc, in a mixed order, all looking at the origin."""
    angles = np.radians(np.linspace(0, degrees, count, endpoint=degrees < 360))
    order = np.random.default_rng(1).permutation(count)
    return [
        Camera(f"c{index}", 64, 48, K, look_at((radius * math.sin(angles[index]), height, -radius * math.cos(angles[index]))))
        for index in order
    ]


def sampled(path: CameraPath, count: int = 500) -> tuple[np.ndarray, np.ndarray]:
    moments = Trajectory(path).at(np.linspace(0, path.seconds, count))
    return moments.positions, moments.rotations


def aims_at(rig: Rig, positions: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Radians between the view and the direction to the focus."""
    ways = rig.focus - positions
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    return np.arccos(np.clip((ways * rotations[:, :, 2]).sum(axis=1), -1, 1))


def test_the_rig_knows_what_its_cameras_look_at_and_whether_they_surround_it() -> None:
    rig = rig_of(around(8, 360))
    np.testing.assert_allclose(rig.focus, 0, atol=1e-9)
    np.testing.assert_allclose(rig.up, UP, atol=1e-9)
    assert rig.surrounds
    arc = rig_of(around(6, 100))
    assert not arc.surrounds
    np.testing.assert_allclose(arc.up, UP, atol=1e-9)  # although all of them look down
    assert arc.span() == pytest.approx(math.radians(100))


def test_parallel_cameras_look_at_the_points() -> None:
    poses = [np.eye(4) for _ in range(3)]
    for index, pose in enumerate(poses):
        pose[0, 3] = -0.1 * (index - 1)
    rig = rig_of([Camera(f"c{i}", 64, 48, K, pose) for i, pose in enumerate(poses)], np.array([[0, 0, 4.0], [0.1, 0, 5.0], [0, 0.1, 6.0]]))
    np.testing.assert_allclose(rig.focus, (0, 0, 5), atol=1e-6)


def test_an_orbit_of_surrounding_cameras_is_a_whole_circle_at_the_height_of_the_home_camera() -> None:
    rig = rig_of(around(8, 360))
    path = make_move("orbit", rig, MoveSettings(4.0))
    positions, rotations = sampled(path)
    assert path.loop
    np.testing.assert_allclose(np.linalg.norm(positions[:, [0, 2]], axis=1), 2.0, rtol=2e-4)
    np.testing.assert_allclose(positions[:, 1], -0.8, atol=1e-9)
    assert aims_at(rig, positions, rotations).max() < 1e-3


@pytest.mark.parametrize("turn", [90.0, -90.0, 720.0])
def test_an_orbit_turns_as_far_as_asked_against_the_clock_as_seen_from_above(turn: float) -> None:
    rig = rig_of(around(6, 100))
    positions, _ = sampled(make_move("orbit", rig, MoveSettings(4.0, turn=turn)), 3000)
    # Seen from above, with up towards the viewer, x right and z up on the page turn against the clock if z x x . up > 0.
    steps = np.cross(positions[:-1], positions[1:]) @ UP
    across = np.linalg.norm(positions[:, [0, 2]], axis=1)
    assert (np.arcsin(steps / (across[:-1] * across[1:]))).sum() == pytest.approx(math.radians(turn), rel=1e-3)


def test_an_orbit_of_an_arc_stays_between_its_cameras() -> None:
    rig = rig_of(around(6, 100))
    path = make_move("orbit", rig, MoveSettings(4.0))
    ends = np.array([path.keys[0].position, path.keys[-1].position])
    angle = math.acos(ends[0, [0, 2]] @ ends[1, [0, 2]] / np.prod(np.linalg.norm(ends[:, [0, 2]], axis=1)))
    assert angle == pytest.approx(math.radians(80), rel=1e-6)
    assert not path.loop


@pytest.mark.parametrize("size", [1.0, 2.0])
def test_a_ring_is_a_circle_across_the_home_view_around_the_home_camera(size: float) -> None:
    rig = rig_of(tiny_cameras())
    positions, rotations = sampled(make_move("ring", rig, MoveSettings(3.0, size=size)))
    radii = np.linalg.norm(positions - rig.start.center, axis=1)
    np.testing.assert_allclose(radii, radii.mean(), rtol=2e-4)
    assert radii.mean() == pytest.approx(size * make_radius(rig), rel=1e-3)
    forward = (rig.focus - rig.start.center) / rig.distance
    np.testing.assert_allclose((positions - rig.start.center) @ forward, 0, atol=1e-9)
    assert aims_at(rig, positions, rotations).max() < 1e-3


def make_radius(rig: Rig) -> float:
    places = np.array([camera.center for camera in rig.cameras])
    return min(0.15 * rig.distance, 0.5 * float(np.sqrt(((places - places.mean(axis=0)) ** 2).sum(axis=1).mean())))


def test_a_dolly_is_straight_and_even_and_a_dolly_zoom_keeps_the_size_of_what_is_looked_at() -> None:
    rig = rig_of(tiny_cameras())
    for name in ("dolly", "dolly-zoom"):
        moments = Trajectory(make_move(name, rig, MoveSettings(2.0))).at(np.linspace(0, 2, 50))
        distances = np.linalg.norm(rig.focus - moments.positions, axis=1)
        np.testing.assert_allclose(distances, np.linspace(1, 0.6, 50) * rig.distance, rtol=1e-9)
        sizes = moments.focal / distances
        if name == "dolly-zoom":
            np.testing.assert_allclose(sizes, sizes[0], rtol=1e-9)
        else:
            assert np.ptp(moments.focal) == 0


def test_a_path_through_the_cameras_passes_each_of_them() -> None:
    cameras = around(9, 120)
    path = make_move("cameras", rig_of(cameras), MoveSettings(4.0))
    assert len(path.keys) == 9
    for camera in cameras:
        key = min(path.keys, key=lambda one: float(np.linalg.norm(np.array(one.position) - camera.center)))
        np.testing.assert_allclose(key.position, camera.center, atol=1e-9)
        np.testing.assert_allclose(rotations_of([key])[0].as_matrix(), camera.rotation.T, atol=1e-9)
        assert key.fov == pytest.approx(camera.fov_y)


def test_cameras_in_any_order_are_passed_along_the_arc_or_once_around() -> None:
    arc = around(9, 120)
    ascending = [f"c{index}" for index in range(9)]
    assert [arc[index].name for index in nearest_order(arc, loop=False)] in (ascending, ascending[::-1])
    circle = around(10, 360)
    order = [int(circle[index].name[1:]) for index in nearest_order(circle, loop=True)]
    assert {(later - earlier) % 10 for earlier, later in zip(order, [*order[1:], order[0]], strict=True)} in ({1}, {9})


@pytest.mark.parametrize("degrees", [100.0, 360.0])
def test_bullet_time_stands_in_one_frame_while_the_camera_moves_and_moves_the_clip_while_it_stands(degrees: float) -> None:
    rig = rig_of(around(8, degrees))
    path = make_move("bullet-time", rig, MoveSettings(6.0, first=0, last=30, freeze=10))
    trajectory = Trajectory(path)
    times = np.linspace(0, 6, 601)
    moments = trajectory.at(times)
    moved = np.linalg.norm(np.diff(moments.positions, axis=0), axis=1) > 1e-9
    plays = np.diff(moments.frames) > 1e-9
    assert not (moved & plays).any()
    assert moments.frames[0] == 0
    assert moments.frames[-1] == 30
    np.testing.assert_allclose(moments.frames[(times > 1.01) & (times < 3.99)], 10)
    np.testing.assert_allclose(moments.positions[[0, -1]], np.tile(rig.start.center, (2, 1)), atol=1e-9)
    for freeze in (0, 30):
        assert make_move("bullet-time", rig, MoveSettings(6.0, first=0, last=30, freeze=freeze)).seconds == pytest.approx(6.0)
    assert make_move("bullet-time", rig, MoveSettings(6.0, first=4, last=4)).seconds == pytest.approx(6.0)


@pytest.mark.parametrize("name", MOVES.names())
def test_every_ready_made_path_works_with_one_camera(name: str) -> None:
    rig = rig_of(tiny_cameras()[:1], np.array([[0.0, 0, 0]]))
    path = make_move(name, rig, MoveSettings(2.0, last=5))
    assert np.isfinite(Trajectory(path, 0, 5).at(np.linspace(0, 2, 20)).positions).all()


def test_a_path_lasts_as_long_as_the_clip_but_not_less_than_4_seconds() -> None:
    assert (usual_seconds(30, 30.0), usual_seconds(300, 25.0)) == (4.0, 12.0)


def test_what_no_path_can_be_made_of_is_a_sentence() -> None:
    with pytest.raises(InputError, match="no cameras to make a camera path from"):
        rig_of([])
    with pytest.raises(InputError, match="There is no ready-made camera path named 'spiral'; choose one of orbit"):
        make_move("spiral", rig_of(tiny_cameras()), MoveSettings())
    with pytest.raises(InputError, match="can be stopped at frame 1 to 6, not at 9"):
        make_move("bullet-time", rig_of(tiny_cameras()), MoveSettings(last=5, freeze=8))
    for wrong in ({"seconds": 0.0}, {"turn": math.nan}, {"size": 0.0}):
        with pytest.raises(InputError):
            MoveSettings(**wrong)
