"""The scene in exact motion that benchmarks render."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from trackersplat.benchmarks.moving_scene import FLAGS, FOCUS, MOVERS, MovingScene, cameras_on_arc, room_in_motion, still_in_motion
from trackersplat.geometry.quaternions import quaternion_to_matrix


@pytest.fixture(scope="module")
def scene() -> MovingScene:
    return room_in_motion(4000)


def test_a_mover_turns_about_its_centre_and_goes_on(scene: MovingScene) -> None:
    before, after = scene.at(0), scene.at(5)
    for index, mover in enumerate(MOVERS, start=1):
        own = scene.part == index
        center = torch.tensor(mover.center) + 5 * torch.tensor(mover.step)
        turned = quaternion_to_matrix(after.quats[own]) @ quaternion_to_matrix(before.quats[own]).mT
        expected = (turned @ (before.means[own] - torch.tensor(mover.center))[..., None])[..., 0] + center
        torch.testing.assert_close(after.means[own], expected, atol=1e-5, rtol=0)
        angle = torch.acos(((turned[0].diagonal().sum() - 1) / 2).clamp(-1, 1))
        assert float(angle) == pytest.approx(5 * math.hypot(*mover.turn), abs=1e-3)


def test_the_room_does_not_move_and_flags_wave_in_y_alone(scene: MovingScene) -> None:
    before, after = scene.at(0), scene.at(7)
    room = scene.part == 0
    assert torch.equal(before.means[room], after.means[room])
    assert torch.equal(before.quats[room], after.quats[room])
    for index, flag in enumerate(FLAGS, start=1 + len(MOVERS)):
        own = scene.part == index
        assert torch.equal(before.means[own][:, [0, 2]], after.means[own][:, [0, 2]])
        phase = flag.wave * (after.means[own, 0] - flag.center[0]) + 7 * flag.pace
        torch.testing.assert_close(after.means[own, 1], flag.center[1] + flag.amplitude * torch.sin(phase), atol=1e-5, rtol=0)


def test_what_moves_takes_about_a_third_of_the_gaussians(scene: MovingScene) -> None:
    assert len(scene.still) == pytest.approx(4000, rel=0.01)
    assert 0.2 < float((scene.part > 0).float().mean()) < 0.5
    assert torch.equal(room_in_motion(4000).still.means, scene.still.means)
    assert not torch.equal(room_in_motion(4000, seed=1).still.means, scene.still.means)


def test_a_still_frame_moves_in_balls_before_the_cameras(scene: MovingScene) -> None:
    cameras = cameras_on_arc(5, 64, 48)
    made = still_in_motion(scene.at(0), cameras, balls=3)
    moves = made.part > 0
    assert 0 < int(moves.sum()) < len(moves) / 2
    assert torch.equal(made.at(4).means[~moves], scene.at(0).means[~moves])
    assert not (made.at(4).means[moves] == scene.at(0).means[moves]).all(dim=1).any()


def test_the_cameras_look_at_one_point_and_one_more_is_held_out() -> None:
    cameras = cameras_on_arc(4, 200, 100)
    assert [camera.name for camera in cameras] == ["cam00", "cam01", "cam02", "cam03", "held"]
    for camera in cameras:
        pixels, depths = camera.project(np.array([FOCUS]))
        assert pixels[0] == pytest.approx((100, 50), abs=1e-6)
        assert depths[0] > 3
    assert len({tuple(camera.center.round(6)) for camera in cameras}) == 5
