"""What is back where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.measure import pixel_size
from trackersplat.motion.motion import Carried, Motion
from trackersplat.motion.reset_static import put_back, rest_again
from trackersplat.motion.settings import MotionSettings
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.tracking.registry import tracker_info
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
        found.append(DenseTracks(0, (5,), centres[None] + np.array(shift, np.float32), ones, ones, tracker_info("dis")))
    return found


def moved_by(gaussians: Gaussians, cameras: Sequence[Camera], pixels: float) -> Motion:
    count = len(gaussians)
    way = torch.tensor((0.6, 0.0, 0.8)) * (pixels * pixel_size(gaussians.means.double(), cameras))[:, None].float()
    turn = torch.tensor((0.8, 0.6, 0.0, 0.0)).repeat(count, 1)
    no, some = torch.zeros(count, dtype=torch.bool), torch.full((count, 3), 0.5)
    return Motion(way, turn, no, ~no, torch.ones(count), torch.ones(count), torch.full((count,), 3), Carried(some, some, some, some[:, 0]))


def test_what_still_shows_in_its_place_is_put_back_unless_it_is_there_or_went_far(cloud: Gaussians, cameras: list[Camera]) -> None:
    for pixels, expected in ((0.4, False), (0.6, True), (5.9, True), (6.1, False)):
        motion = moved_by(cloud, cameras, pixels)
        found = rest_again(PortableRasterizer(), cloud, cameras, tracks(cameras, (0, 0)), cloud, motion, MotionSettings())
        back = (found.translation == 0).all(1)
        assert (back.float().mean() > 0.5) if expected else not back.any()
        assert torch.equal(found.translation[~back], motion.translation[~back])
        assert not found.static.any()


def test_what_another_has_taken_the_place_of_is_not_put_back(cloud: Gaussians, cameras: list[Camera]) -> None:
    motion, gone = moved_by(cloud, cameras, 2.0), torch.tensor([0, 3, 7, 59])
    arguments = (PortableRasterizer(), cloud, cameras, tracks(cameras, (0, 0)), cloud, motion, MotionSettings())
    before = (rest_again(*arguments).translation == 0).all(1)
    after = (rest_again(*arguments, gone=gone).translation == 0).all(1)
    assert before[gone].any()
    assert (before & ~after).nonzero()[:, 0].tolist() == [place for place in gone.tolist() if before[place]]


def test_nothing_is_carried_for_the_places_of_others() -> None:
    parts = torch.arange(1.0, 16.0).reshape(5, 3)
    left = Carried(parts, 2 * parts, 3 * parts, parts[:, 0]).without(torch.tensor([1, 4]))
    for values, whole in ((left.withheld, parts), (left.velocity, 2 * parts), (left.spin, 3 * parts), (left.trust, parts[:, 0])):
        assert (values[[1, 4]] == 0).all()
        assert torch.equal(values[[0, 2, 3]], whole[[0, 2, 3]])


@pytest.mark.parametrize("shift", [(3.0, 0.0), (0.0, -1.0)])
def test_what_is_seen_beside_its_place_is_not_put_back(cloud: Gaussians, cameras: list[Camera], shift: tuple[float, float]) -> None:
    motion = moved_by(cloud, cameras, 2.0)
    found = rest_again(PortableRasterizer(), cloud, cameras, tracks(cameras, shift), cloud, motion, MotionSettings())
    assert torch.equal(found.translation, motion.translation)


def test_what_is_slow_is_put_back_only_until_it_adds_up_to_half_a_pixel(cloud: Gaussians, cameras: list[Camera]) -> None:
    motion = moved_by(cloud, cameras, 0.6)
    back = []
    for pixels in (0.45, 0.55):
        withheld = moved_by(cloud, cameras, pixels).translation
        carried = Carried(withheld, torch.zeros_like(withheld), torch.zeros_like(withheld), torch.zeros(len(cloud)))
        found = rest_again(PortableRasterizer(), cloud, cameras, tracks(cameras, (0, 0)), cloud, motion, MotionSettings(), carried)
        back.append((found.translation == 0).all(1).float().mean().item())
    assert back[0] > 0.5
    assert back[1] < 0.1


def test_what_is_static_keeps_what_it_carries(cloud: Gaussians, cameras: list[Camera]) -> None:
    motion = moved_by(cloud, cameras, 2.0)
    still = torch.arange(len(cloud)) % 2 == 0
    motion = replace(motion, static=still, translation=torch.where(still[:, None], 0.0, motion.translation))
    found = rest_again(PortableRasterizer(), cloud, cameras, tracks(cameras, (0, 0)), cloud, motion, MotionSettings())
    assert found.carried is not None
    assert (found.carried.withheld[still] == 0.5).all()
    assert torch.equal(found.static, still)
    assert (found.translation == 0).all(1).float().mean() > 0.7


def test_what_came_away_from_its_origin_long_ago_goes_back_there(cloud: Gaussians, cameras: list[Camera]) -> None:
    away = move(cloud, moved_by(cloud, cameras, 2.0))
    count = len(cloud)
    nothing = moved_by(cloud, cameras, 0.0)
    still = torch.arange(count) % 2 == 0
    stays = replace(nothing, rotation=torch.eye(1, 4).repeat(count, 1), static=still)
    found = rest_again(PortableRasterizer(), cloud, cameras, tracks(cameras, (0, 0)), away, stays, MotionSettings())
    back = (found.translation != 0).any(1)
    assert back.float().mean() > 0.7
    assert torch.equal(found.static, still & ~back)
    after = move(away, found)
    assert torch.allclose(after.means[back], cloud.means[back], atol=1e-6)
    turned = (after.quats * cloud.quats).sum(1).abs() / cloud.quats.norm(dim=1)
    assert torch.allclose(turned[back], torch.ones(int(back.sum())), atol=1e-6)
    assert torch.equal(after.means[~back], away.means[~back])


def test_what_is_put_back_carries_on_what_is_withheld_alone(cloud: Gaussians, cameras: list[Camera]) -> None:
    motion = moved_by(cloud, cameras, 2.0)
    resting = torch.arange(len(cloud)) % 3 == 0
    way, turn = torch.full((len(cloud), 3), 0.25), torch.tensor((0.6, 0.0, 0.8, 0.0)).repeat(len(cloud), 1)
    found = put_back(motion, resting, way, turn, torch.full((len(cloud), 3), 0.125))
    assert found.carried is not None
    assert motion.carried is not None
    for name, expected in (("translation", way), ("rotation", turn)):
        assert torch.equal(getattr(found, name)[resting], expected[resting])
        assert torch.equal(getattr(found, name)[~resting], getattr(motion, name)[~resting])
    for name in ("withheld", "velocity", "spin", "trust"):
        assert (getattr(found.carried, name)[resting] == (0.125 if name == "withheld" else 0)).all()
        assert torch.equal(getattr(found.carried, name)[~resting], getattr(motion.carried, name)[~resting])
