"""Bringing one set of poses into the frame of another."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from trackersplat.sfm.align import Similarity, align_poses, change, upright

ROTATION = cv2.Rodrigues(np.array([0.4, -1.1, 0.7]))[0]
MOVE = Similarity(2.5, ROTATION, np.array([3.0, -1.0, 0.5]))
POINT = np.array([0.3, -0.7, 4.1])


def _pose(rotation: tuple[float, float, float], center: tuple[float, float, float]) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.array(rotation))[0]
    pose[:3, 3] = -pose[:3, :3] @ np.array(center)
    return pose


POSES = [
    _pose((0.1, 0.2, -0.1), (0, 0, 0)), _pose((0.0, -0.3, 0.2), (1, 0.2, -0.1)), _pose((-0.2, 0.1, 0.05), (2, -0.4, 0.3)),
    _pose((0.3, 0.0, 0.0), (0.5, 1, 0.2)), _pose((0.0, 0.5, 0.1), (-1, 0.3, 0.8)), _pose((0.15, -0.4, 0.0), (1.5, 0.9, -0.6)),
]  # fmt: skip


def test_a_moved_pose_sees_a_moved_point_where_the_pose_saw_the_point():
    before = POSES[1] @ [*POINT, 1]
    after = MOVE.pose(POSES[1]) @ [*MOVE.points(POINT[None])[0], 1]
    assert after[:3] == pytest.approx(2.5 * before[:3])


@pytest.mark.parametrize("count", [2, 3, 6])
def test_alignment_finds_a_similarity_exactly(count: int):
    found = align_poses(POSES[:count], [MOVE.pose(pose) for pose in POSES[:count]])
    assert found.scale == pytest.approx(2.5, rel=1e-6)
    np.testing.assert_allclose(found.rotation, ROTATION, atol=1e-6)
    np.testing.assert_allclose(found.translation, MOVE.translation, atol=1e-5)


def test_cameras_in_a_row_are_no_exception():
    row = [_pose((0.0, 0.05 * i, 0.02 * i), (i, 0, 0)) for i in range(4)]
    found = align_poses(row, [MOVE.pose(pose) for pose in row])
    np.testing.assert_allclose(found.rotation, ROTATION, atol=1e-6)


def test_one_pose_that_is_far_off_does_not_drag_the_others_along():
    wanted = [MOVE.pose(pose) for pose in POSES]
    wanted[4] = _pose((2.0, 0.0, 1.0), (40, -30, 20))
    found = align_poses(POSES, wanted)
    assert found.scale == pytest.approx(2.5, rel=1e-3)
    np.testing.assert_allclose(found.points(POINT[None]), MOVE.points(POINT[None]), atol=0.01)


def test_cameras_at_one_spot_keep_the_scale():
    spot = [_pose((0.0, angle, 0.0), (1, 2, 3)) for angle in (0.0, 0.5, 1.0)]
    assert align_poses(spot, spot).scale == 1.0
    assert align_poses(spot, [MOVE.pose(pose) for pose in spot]).scale == 1.0


def test_the_rotation_is_none_with_a_mirror_however_the_cameras_disagree():
    """The mean of these three turns is diag(1, -1, 1) / 3, to which the nearest orthogonal matrix is a mirror."""
    wanted = [_pose(turn, (0.1 * i, 0, 0)) for i, turn in enumerate([(0.0, 0, 0), (0, 0, np.pi), (np.pi, 0, 0)])]
    found = align_poses([_pose((0.0, 0, 0), (0.1 * i, 0, 0)) for i in range(3)], wanted)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)


def test_centres_that_are_mirrored_do_not_turn_the_scale_negative():
    wanted = [pose.copy() for pose in POSES]
    for pose in wanted:
        pose[:3, 3] *= -1
    assert align_poses(POSES, wanted).scale == 1.0


def test_a_frame_of_its_own_is_upright_and_one_unit_deep():
    points = np.random.default_rng(0).uniform((-0.5, -0.5, 3.5), (0.5, 0.5, 4.5), (101, 3))
    tilted = [_pose((0.1, 0.3 * i, 0.0), (0.4 * i, 0, 0)) for i in (-1, 0, 1)]
    frame = upright(tilted, points)
    moved = [frame.pose(pose) for pose in tilted]
    down = np.sum([pose[1, :3] for pose in moved], axis=0)
    np.testing.assert_allclose(down / np.linalg.norm(down), (0, 1, 0), atol=1e-9)
    forward = np.mean([pose[2, :3] for pose in moved], axis=0)
    assert abs(forward[0]) < 1e-9
    assert forward[2] > 0.9
    far = np.concatenate([points, points[:10] + 1e3])
    np.testing.assert_allclose(np.median(upright(tilted, far).points(far), axis=0), 0, atol=0.1)
    seen = frame.points(points)
    np.testing.assert_allclose(np.median(seen, axis=0), 0, atol=0.05)
    assert np.mean([np.median(seen @ pose[2, :3] + pose[2, 3]) for pose in moved]) == pytest.approx(1.0)
    assert np.linalg.det(frame.rotation) == pytest.approx(1.0)


@pytest.mark.parametrize("degrees", [1e-7, 0.5, 90.0, 179.0])
def test_the_change_between_two_poses_is_an_angle_and_a_distance(degrees: float):
    one = _pose((0.2, 0.1, 0.0), (1, 2, 3))
    turn = cv2.Rodrigues(np.radians(degrees) * np.array([0.6, 0.0, 0.8]))[0]
    two = np.eye(4)
    two[:3, :3] = turn @ one[:3, :3]
    two[:3, 3] = -two[:3, :3] @ np.array([1, 2, 7.0])
    between = change(two, one)
    assert between.degrees == pytest.approx(degrees, rel=1e-4)
    assert between.distance == pytest.approx(4.0)
