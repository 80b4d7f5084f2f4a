"""Gaussians that are back where they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_tracks import made_tracks

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.evidence import Evidence, ViewState
from trackersplat.motion.measure import pixel_size
from trackersplat.motion.motion import CarriedMotion, Motion
from trackersplat.motion.reset_static import Pose, reset_static, reset_to
from trackersplat.motion.settings import MotionSettings
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.tracking.tracks import DenseTracks


@pytest.fixture
def cloud(make_gaussians: Callable[..., Gaussians]) -> Gaussians:
    means = np.random.default_rng(7).uniform(-0.7, 0.7, (60, 3))
    return make_gaussians(means, scale=0.06)


def tracks(cameras: Sequence[Camera], shift: tuple[float, float]) -> list[DenseTracks]:
    found = []
    for camera in cameras:
        centres = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), -1).astype(np.float32) + np.float32(0.5)
        ones = np.ones((1, camera.height, camera.width), np.float32)
        found.append(made_tracks(0, (5,), centres[None] + np.array(shift, np.float32), ones, ones))
    return found


def moved_by(gaussians: Gaussians, cameras: Sequence[Camera], pixels: float) -> Motion:
    count = len(gaussians)
    way = torch.tensor((0.6, 0.0, 0.8)) * (pixels * pixel_size(gaussians.means.double(), cameras))[:, None].float()
    turn = torch.tensor((0.8, 0.6, 0.0, 0.0)).repeat(count, 1)
    no, some = torch.zeros(count, dtype=torch.bool), torch.full((count, 3), 0.5)
    return Motion(
        way, turn, no, ~no, torch.ones(count), torch.ones(count), torch.full((count,), 3), CarriedMotion(some, some, some, some[:, 0])
    )


def test_gaussians_seen_in_their_place_are_reset_unless_they_are_there_or_went_far(cloud: Gaussians, cameras: list[Camera]) -> None:
    for pixels, expected in ((0.4, False), (0.6, True), (5.9, True), (6.1, False)):
        motion = moved_by(cloud, cameras, pixels)
        found = reset_static(PortableRasterizer(), cloud, cameras, tracks(cameras, (0, 0)), cloud, motion, MotionSettings())
        back = (found.translation == 0).all(1)
        assert (back.float().mean() > 0.5) if expected else not back.any()
        assert torch.equal(found.translation[~back], motion.translation[~back])
        assert not found.is_static.any()


def test_replaced_gaussians_are_not_reset(cloud: Gaussians, cameras: list[Camera]) -> None:
    motion, replaced = moved_by(cloud, cameras, 2.0), torch.tensor([0, 3, 7, 59])
    arguments = (PortableRasterizer(), cloud, cameras, tracks(cameras, (0, 0)), cloud, motion, MotionSettings())
    before = (reset_static(*arguments).translation == 0).all(1)
    after = (reset_static(*arguments, excluded=replaced).translation == 0).all(1)
    assert before[replaced].any()
    assert (before & ~after).nonzero()[:, 0].tolist() == [place for place in replaced.tolist() if before[place]]


def test_nothing_is_carried_for_replaced_gaussians() -> None:
    parts = torch.arange(1.0, 16.0).reshape(5, 3)
    left = CarriedMotion(parts, 2 * parts, 3 * parts, parts[:, 0]).without(torch.tensor([1, 4]))
    for values, whole in (
        (left.pending_translation, parts),
        (left.velocity, 2 * parts),
        (left.angular_velocity, 3 * parts),
        (left.trust, parts[:, 0]),
    ):
        assert (values[[1, 4]] == 0).all()
        assert torch.equal(values[[0, 2, 3]], whole[[0, 2, 3]])


@pytest.mark.parametrize("shift", [(3.0, 0.0), (0.0, -1.0)])
def test_gaussians_seen_beside_their_place_are_not_reset(cloud: Gaussians, cameras: list[Camera], shift: tuple[float, float]) -> None:
    motion = moved_by(cloud, cameras, 2.0)
    found = reset_static(PortableRasterizer(), cloud, cameras, tracks(cameras, shift), cloud, motion, MotionSettings())
    assert torch.equal(found.translation, motion.translation)


def test_slow_gaussians_are_reset_only_until_their_motion_adds_up_to_half_a_pixel(cloud: Gaussians, cameras: list[Camera]) -> None:
    motion = moved_by(cloud, cameras, 0.6)
    back = []
    for pixels in (0.45, 0.55):
        pending = moved_by(cloud, cameras, pixels).translation
        carried = CarriedMotion(pending, torch.zeros_like(pending), torch.zeros_like(pending), torch.zeros(len(cloud)))
        found = reset_static(PortableRasterizer(), cloud, cameras, tracks(cameras, (0, 0)), cloud, motion, MotionSettings(), carried)
        back.append((found.translation == 0).all(1).float().mean().item())
    assert back[0] > 0.5
    assert back[1] < 0.1


def test_static_gaussians_keep_what_they_carry(cloud: Gaussians, cameras: list[Camera]) -> None:
    motion = moved_by(cloud, cameras, 2.0)
    static = torch.arange(len(cloud)) % 2 == 0
    motion = replace(motion, is_static=static, translation=torch.where(static[:, None], 0.0, motion.translation))
    found = reset_static(PortableRasterizer(), cloud, cameras, tracks(cameras, (0, 0)), cloud, motion, MotionSettings())
    assert found.carried is not None
    assert (found.carried.pending_translation[static] == 0.5).all()
    assert torch.equal(found.is_static, static)
    assert (found.translation == 0).all(1).float().mean() > 0.7


def test_gaussians_that_left_their_origin_long_ago_go_back_there(cloud: Gaussians, cameras: list[Camera]) -> None:
    away = move(cloud, moved_by(cloud, cameras, 2.0))
    count = len(cloud)
    nothing = moved_by(cloud, cameras, 0.0)
    static = torch.arange(count) % 2 == 0
    stays = replace(nothing, rotation=torch.eye(1, 4).repeat(count, 1), is_static=static)
    found = reset_static(PortableRasterizer(), cloud, cameras, tracks(cameras, (0, 0)), away, stays, MotionSettings())
    back = (found.translation != 0).any(1)
    assert back.float().mean() > 0.7
    assert torch.equal(found.is_static, static & ~back)
    after = move(away, found)
    assert torch.allclose(after.means[back], cloud.means[back], atol=1e-6)
    turned = (after.quats * cloud.quats).sum(1).abs() / cloud.quats.norm(dim=1)
    assert torch.allclose(turned[back], torch.ones(int(back.sum())), atol=1e-6)
    assert torch.equal(after.means[~back], away.means[~back])


def test_reset_gaussians_carry_on_their_pending_translation_alone(cloud: Gaussians, cameras: list[Camera]) -> None:
    motion = moved_by(cloud, cameras, 2.0)
    chosen = torch.arange(len(cloud)) % 3 == 0
    way, turn = torch.full((len(cloud), 3), 0.25), torch.tensor((0.6, 0.0, 0.8, 0.0)).repeat(len(cloud), 1)
    found = reset_to(motion, chosen, Pose(way, turn, pending_translation=torch.full((len(cloud), 3), 0.125)))
    assert found.carried is not None
    assert motion.carried is not None
    for name, expected in (("translation", way), ("rotation", turn)):
        assert torch.equal(getattr(found, name)[chosen], expected[chosen])
        assert torch.equal(getattr(found, name)[~chosen], getattr(motion, name)[~chosen])
    for name in ("pending_translation", "velocity", "angular_velocity", "trust"):
        assert (getattr(found.carried, name)[chosen] == (0.125 if name == "pending_translation" else 0)).all()
        assert torch.equal(getattr(found.carried, name)[~chosen], getattr(motion.carried, name)[~chosen])


def test_the_evidence_of_reset_gaussians_is_that_of_the_direct_tracks(cloud: Gaussians, cameras: list[Camera]) -> None:
    names, count = tuple(camera.name for camera in cameras), len(cloud)
    wrong = torch.full((5, count), 9.0)
    state = torch.full((5, count), ViewState.REJECTED, dtype=torch.uint8)
    motion = replace(moved_by(cloud, cameras, 2.0), evidence=Evidence(names, wrong, wrong, 0 * wrong, state))
    found = reset_static(PortableRasterizer(), cloud, cameras, tracks(cameras, (0, 0)), cloud, motion, MotionSettings())
    back = (found.translation == 0).all(1)
    assert back.any()
    assert not back.all()
    assert found.evidence is not None
    assert (found.evidence.state[:, ~back] == ViewState.REJECTED).all()
    assert (found.evidence.residual_px[:, ~back] == 9).all()
    assert (found.evidence.state[:, back] != ViewState.REJECTED).all()
    assert ((found.evidence.state[:, back] == ViewState.INLIER).sum(0) >= 2).all()
    assert found.evidence.residual_px[:, back].nan_to_num(0.0).max() < 1e-3
    other = replace(motion, evidence=Evidence(names[::-1], wrong, wrong, 0 * wrong, state))
    with pytest.raises(ShapeError, match="cameras"):
        reset_static(PortableRasterizer(), cloud, cameras, tracks(cameras, (0, 0)), cloud, other, MotionSettings())
