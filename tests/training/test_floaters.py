"""Gaussians that hang before a place where a camera may stand go away along the ray of the one view that sees them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from quad_scene import look_at, quad_capture

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import PointCloud
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.geometry.projection import common_focus
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.first_frame.floaters import (
    Cleared,
    FloaterSettings,
    Viewpoint,
    alone,
    before_viewpoints,
    hiding,
    viewpoints,
    without_floaters,
)
from trackersplat.training.first_frame.optimise import optimise_points
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone

SETTINGS = FloaterSettings()
RASTERIZER = PortableRasterizer()
FOCUS = np.array([0.0, 0.0, 4.0])


def _ring(count: int = 6) -> list[Camera]:
    """Cameras on a circle of radius 3 around FOCUS, looking at it."""
    return [
        look_at_focus(f"cam{i}", FOCUS + 3 * np.array([np.sin(a), 0.1, np.cos(a)]))
        for i, a in enumerate(2 * np.pi * np.arange(count) / count)
    ]


def look_at_focus(name: str, center: np.ndarray) -> Camera:
    forward = (FOCUS - center) / np.linalg.norm(FOCUS - center)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ center
    return replace(look_at(name, (0.0, 0.0, 0.0), 64, 48, 60.0), world_to_camera=pose)


def _gaussians(means: np.ndarray, size: float) -> Gaussians:
    n = len(means)
    quats = torch.zeros(n, 4)
    quats[:, 0] = 1
    sh = torch.full((n, 1, 3), 0.3 / SH_C0)
    return Gaussians(torch.tensor(means, dtype=torch.float32), quats, torch.full((n, 3), float(np.log(size))), torch.full((n,), 3.0), sh)


def test_viewpoints_look_at_what_the_camera_looks_at_from_as_far_away() -> None:
    cameras = _ring()
    places = viewpoints(cameras, SETTINGS)
    assert len(places) == len(cameras) * len(SETTINGS.rings) * SETTINGS.directions
    focus = common_focus(cameras)
    assert focus is not None
    each = len(SETTINGS.rings) * SETTINGS.directions
    for i, camera in enumerate(cameras):
        ahead = float((focus - camera.center) @ camera.rotation[2])
        aim = camera.center + ahead * camera.rotation[2]
        for place in places[i * each : (i + 1) * each]:
            assert np.isclose(np.linalg.norm(place.center - aim), ahead)
            assert np.allclose(ahead * place.forward, aim - place.center)


def test_viewpoints_of_a_row_that_looks_in_parallel_stay_beside_it() -> None:
    row = [look_at(f"cam{i}", (0.2 * i, 0.0, 0.0), 64, 48, 60.0) for i in range(3)]
    row = [replace(camera, world_to_camera=_parallel(camera.center)) for camera in row]
    assert common_focus(row) is None
    for place in viewpoints(row, SETTINGS):
        assert abs(place.center[2]) < 0.05
        assert place.forward[2] > 0.99


def test_cameras_at_one_point_have_no_viewpoints_and_pairs_of_them_do_not_count() -> None:
    camera = _ring()[0]
    assert viewpoints([camera], SETTINGS) == []
    assert viewpoints([camera, replace(camera, name="twin")], SETTINGS) == []
    paired = [twin for each in _ring() for twin in (each, replace(each, name=f"{each.name} twin"))]
    assert all(np.isfinite(place.center).all() for place in viewpoints(paired, SETTINGS))


def _place(center: np.ndarray, forward: np.ndarray) -> Viewpoint:
    return Viewpoint.of(_ring()[0], center, center + forward)


def _parallel(center: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = -center
    return pose


def test_before_a_viewpoint_is_in_front_of_it_and_so_many_times_nearer_than_to_any_view() -> None:
    place = _place(np.zeros(3), np.array([0.0, 0.0, 1.0]))
    means = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [2.0, 0.0, 0.1], [2.0, 0.0, 0.1]])
    nearest = torch.tensor([3.1, 2.9, 9.0, 6.1, 5.9])
    size = torch.full((5,), 1e-3)
    assert before_viewpoints(means, size, nearest, [place], SETTINGS).tolist() == [True, False, False, True, False]
    large = torch.tensor([1e-3, 1e-3, 1.1, 1e-3, 1e-3])
    assert before_viewpoints(means, large, nearest, [place], SETTINGS).tolist()[2]  # its centre is behind, but it reaches before it


def test_what_one_view_sees_goes_along_its_ray_and_looks_the_same_there() -> None:
    cameras = _ring()
    places = [_place(cameras[3].center + np.array([0.9, 0.0, 0.0]), cameras[3].rotation[2])]
    ray = cameras[0].center + 0.93 * (places[0].center + 0.3 * places[0].forward - cameras[0].center)
    floater = _gaussians(np.stack([ray, FOCUS]), 0.03)
    seen = [camera for camera in cameras if camera is not cameras[3]]
    found = without_floaters(floater, [seen[0]], places, RASTERIZER, SETTINGS)
    assert found.floaters == 1
    assert found.keep.all()
    assert torch.equal(found.means[1], floater.means[1])
    assert torch.equal(found.log_scales[1], floater.log_scales[1])
    moved = replace(floater, means=found.means, log_scales=found.log_scales)
    factor = float((found.means[0].double() - torch.tensor(seen[0].center)).norm() / np.linalg.norm(ray - seen[0].center))
    assert min(abs(factor - allowed) for allowed in SETTINGS.farther) < 1e-4
    assert torch.allclose(found.log_scales[0] - floater.log_scales[0], torch.full((3,), float(np.log(factor))), atol=1e-4)
    before, after = (RASTERIZER.render(state, [seen[0]]).color for state in (floater, moved))
    assert (before - after).abs().max() < 0.02
    size = found.log_scales.exp().amax(1)
    distance = (found.means - torch.tensor(seen[0].center, dtype=torch.float32)).norm(dim=1)
    assert not before_viewpoints(found.means, size, distance, places, SETTINGS).any()


def test_what_no_distance_helps_goes() -> None:
    cameras = _ring()
    place = _place(cameras[0].center + 2.7 * cameras[0].rotation[2], cameras[0].rotation[2])  # looks along the same ray
    floater = _gaussians(np.stack([cameras[0].center + 3.2 * cameras[0].rotation[2]]), 0.02)
    far = replace(SETTINGS, farther=(1.05,))
    found = without_floaters(floater, [cameras[0]], [place], RASTERIZER, far)
    assert found.keep.tolist() == [False]


def test_what_several_views_see_alike_stays() -> None:
    cameras = _ring()
    place = _place(FOCUS + np.array([0.0, 0.0, -0.3]), np.array([0.0, 0.0, 1.0]))
    gaussians = _gaussians(FOCUS[None], 0.02)
    assert before_viewpoints(gaussians.means, gaussians.scales.amax(1), torch.tensor([3.0]), [place], SETTINGS).all()
    found = without_floaters(gaussians, cameras, [place], RASTERIZER, SETTINGS)
    assert found.floaters == 0
    assert torch.equal(found.means, gaussians.means)


def test_what_is_hidden_from_the_viewpoint_stays() -> None:
    cameras = _ring()
    place = _place(cameras[3].center + np.array([0.9, 0.0, 0.0]), cameras[3].rotation[2])
    small = place.center + 0.6 * place.forward + 0.1 * cameras[3].rotation[0]
    pair = _gaussians(np.stack([small, place.center + 0.3 * place.forward]), 0.04)
    hidden = replace(pair, log_scales=torch.log(torch.tensor([[0.04] * 3, [0.12] * 3])), opacity_logits=torch.tensor([3.0, 9.0]))
    opposite = [camera for camera in cameras if camera is not cameras[3]][:1]
    nearest = torch.full((2,), 9.0)
    assert hiding(pair, torch.arange(2), nearest, [place], SETTINGS).tolist() == [True, True]
    assert hiding(hidden, torch.arange(2), nearest, [place], SETTINGS).tolist() == [False, True]
    found = without_floaters(hidden, opposite, [place], RASTERIZER, SETTINGS)
    assert torch.equal(found.means[0], hidden.means[0])


def test_of_several_viewpoints_one_is_enough_and_only_those_count_that_a_gaussian_is_near() -> None:
    one, other = _place(np.zeros(3), np.array([0.0, 0.0, 1.0])), _place(np.array([50.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]))
    beside = np.array([0.2, 0.0, 0.0])
    places = [one.center + 0.6 * one.forward, other.center + 0.6 * other.forward - beside, other.center + 0.6 * other.forward + beside]
    three = _gaussians(np.stack(places), 0.05)
    nearest = torch.tensor([9.0, 1.0, 9.0])  # the second is not so much nearer to its viewpoint than to a view
    assert hiding(three, torch.arange(3), nearest, [one, other], SETTINGS).tolist() == [True, False, True]
    assert hiding(three, torch.arange(3), torch.full((3,), 9.0), [other, one], SETTINGS).tolist() == [True, True, True]


@pytest.mark.parametrize(
    ("shown_by", "logit", "floaters"),
    [(1, 3.0, 1), (2, 3.0, 1), (3, 3.0, 1), (6, 3.0, 0), (6, -5.0, 1)],  # three views at unlike distances count as fewer than three
)
def test_what_hangs_before_a_viewpoint_stays_if_solid_gaussians_that_several_views_show_are_around_it(
    shown_by: int, logit: float, floaters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras = _ring()
    place = _place(FOCUS + np.array([0.0, 0.0, -3.0]), np.array([0.0, 0.0, 1.0]))
    hanging = place.center + 0.3 * place.forward
    angles = 2 * np.pi * np.arange(SETTINGS.neighbours) / SETTINGS.neighbours
    around = hanging + 0.1 * np.stack((np.cos(angles), np.sin(angles), np.zeros_like(angles)), axis=1)
    gaussians = _gaussians(np.concatenate((hanging[None], around)), 0.001)
    sizes, logits = gaussians.log_scales.clone(), torch.full((len(gaussians),), logit)
    sizes[0], logits[0] = float(np.log(0.05)), 3.0
    gaussians = replace(gaussians, log_scales=sizes, opacity_logits=logits)
    views = torch.arange(len(cameras))
    weights = torch.cat(((views < 1)[None], (views < shown_by).expand(len(around), -1))).float()
    monkeypatch.setattr("trackersplat.training.first_frame.floaters.weights", lambda *_: weights)
    assert without_floaters(gaussians, cameras, [place], RASTERIZER, SETTINGS).floaters == floaters


def test_what_hides_a_picture_counts_in_whatever_direction_it_lies_from_the_viewpoint() -> None:
    place = _place(np.zeros(3), np.array([0.0, 0.0, 1.0]))
    beside = _gaussians(np.array([[0.6, 0.0, 0.05], [6.0, 0.0, 0.5]]), 0.05)
    assert hiding(beside, torch.arange(2), torch.full((2,), 99.0), [place], SETTINGS).tolist() == [True, False]


def test_part_of_a_surface_that_several_views_see_stays_and_what_is_apart_from_any_does_not() -> None:
    surface = torch.stack(torch.meshgrid(torch.arange(3.0), torch.arange(3.0), indexing="ij"), dim=-1).reshape(-1, 2)
    surface = torch.cat((0.1 * surface, torch.full((9, 1), 4.0)), dim=1)
    means = torch.tensor([[0.1, 0.1, 4.0], [0.1, 0.1, 3.0], [0.1, 0.1, 3.0]])
    assert alone(means, surface, torch.tensor([4.0, 4.0, 20.0]), SETTINGS).tolist() == [False, True, False]
    assert alone(means[:1], surface[:7], torch.tensor([4.0]), SETTINGS).tolist() == [True]  # too few to be a surface


def test_a_viewpoint_has_the_picture_of_its_camera() -> None:
    camera = replace(_ring()[1], width=640, height=480, K=_ring()[1].resized(640, 480).K)
    place = Viewpoint.of(camera, camera.center, camera.center + 2 * camera.rotation[2])
    assert np.allclose(place.forward, camera.rotation[2])
    height = 2 * np.tan(camera.fov_y / 2)
    assert np.isclose(place.picture, height * height * 640 / 480)


@pytest.mark.parametrize(("average", "searches"), [(0.0, 3), (0.5, 2)])
def test_a_fit_is_cleared_now_and_then_and_at_its_end_but_not_while_states_are_averaged(
    average: float, searches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []

    def without_first(gaussians: Gaussians, *_: object) -> Cleared:
        counted.append(len(gaussians))
        keep = torch.ones(len(gaussians), dtype=torch.bool)
        keep[0] = False
        return Cleared(gaussians.means, gaussians.log_scales, keep, 1)

    monkeypatch.setattr("trackersplat.training.first_frame.optimise.without_floaters", without_first)
    capture = quad_capture(forbid_held_out=True)
    settings = FirstFrameSettings(
        steps=12, average=average, prune=0.0, cull_sh=0.0, floaters=FloaterSettings(every=5), densify=DensifySettings(every=100, until=0.0)
    )
    xyz = np.random.default_rng(0).uniform(-0.3, 0.3, (40, 3)).astype(np.float32) + np.float32([0, 0, 3])
    *_, last = optimise_points(capture, 0, RASTERIZER, settings, PointCloud(xyz, np.full((40, 3), 128, dtype=np.uint8)))
    assert isinstance(last, FitDone)
    assert counted == [40 - i for i in range(searches)]
    assert len(last.gaussians) == 40 - searches
