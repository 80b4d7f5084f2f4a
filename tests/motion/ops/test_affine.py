from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_tracks import made_tracks
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.ops import affine
from trackersplat.motion.ops.affine import (
    Visibility,
    deviation_towards,
    measure_views,
    moment_features,
    project,
    solve_affine,
    surface_features,
    views_at_once,
)
from trackersplat.motion.ops.results import AffineMotion
from trackersplat.motion.settings import MeasureSettings
from trackersplat.rendering.backends.portable import PortableRasterizer

LINEAR = np.array(((1.03, -0.08), (0.05, 0.96)))
SHIFT = np.array((2.7, -1.3))
SETTINGS = MeasureSettings()


def affine_positions(camera: Camera, linear: np.ndarray = LINEAR, shift: np.ndarray = SHIFT) -> np.ndarray:
    """(H, W, 2): pixel p goes to linear p + shift."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    return np.stack((columns, rows), axis=-1) @ linear.T + shift


def sums_of(weights: Tensor, features: Tensor) -> Tensor:
    return torch.einsum("nhw,hwf->nf", weights, features)


def of_view(result: AffineMotion, view: int) -> AffineMotion:
    return AffineMotion(**{name: getattr(result, name)[view] for name in AffineMotion.__dataclass_fields__})


def measure_view(
    gaussians: Gaussians, camera: Camera, positions: np.ndarray, v: np.ndarray, c: np.ndarray, core: float = 1.0, hidden: float = 0.1
) -> tuple[AffineMotion, Visibility]:
    tracks = made_tracks(0, range(1, len(positions) + 1), positions, v, c, hidden)
    affine, seen = measure_views(PortableRasterizer(), gaussians, [camera], [tracks], replace(SETTINGS, core=core))
    return of_view(affine, 0), Visibility(seen.weight[0], seen.behind[0], seen.surface[0])


@pytest.fixture
def cloud(make_gaussians: Callable[..., Gaussians]) -> Gaussians:
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (60, 3))
    return make_gaussians(points, scale=0.06)


def solve(gaussians: Gaussians, camera: Camera, weights: Tensor, positions: np.ndarray, certainty: np.ndarray, dtype: torch.dtype):
    alpha = weights.sum(0)
    shared = surface_features(alpha, torch.stack((alpha * 3.0, alpha * 2.9), dim=-1), SETTINGS.opaque_alpha)
    moments = moment_features(torch.tensor(positions, dtype=dtype)[None, None], torch.tensor(certainty, dtype=dtype)[None, None])
    features = torch.cat((shared.to(dtype), moments[0]), dim=-1)
    mean, _ = project([camera], gaussians.means.double())
    return of_view(solve_affine(sums_of(weights.to(dtype), features)[None], mean, camera.width, camera.height), 0), mean[0]


def test_an_affine_track_map_is_recovered_exactly(
    cloud: Gaussians, cameras: list[Camera], brute_force_weights: Callable[[Gaussians, Camera], Tensor]
) -> None:
    camera = cameras[0]
    weights = brute_force_weights(cloud, camera)
    certainty = np.random.default_rng(0).uniform(0.2, 1.0, (camera.height, camera.width))
    result, mean = solve(cloud, camera, weights, affine_positions(camera), certainty, torch.float64)
    seen = result.weight[0] > 0.5
    assert seen.sum() > 20
    expected = mean.numpy() @ LINEAR.T + SHIFT - mean.numpy()
    np.testing.assert_allclose(result.displacement[0][seen], expected[seen], atol=1e-5)
    np.testing.assert_allclose(result.linear[0][seen], np.broadcast_to(LINEAR, (int(seen.sum()), 2, 2)), atol=1e-5)
    assert result.spread[0][seen].max() < 1e-4
    np.testing.assert_allclose(result.weight[0], torch.einsum("nhw,hw->n", weights, torch.tensor(certainty)), rtol=1e-5, atol=1e-6)


def test_float32_sums_are_exact_enough_at_full_size(
    make_gaussians: Callable[..., Gaussians], brute_force_weights: Callable[..., Tensor]
) -> None:
    camera = Camera("wide", 1352, 1014, np.array(((900.0, 0, 676), (0, 900.0, 507), (0, 0, 1))), np.eye(4))
    points = np.random.default_rng(3).uniform((-2.2, -1.6, 3.0), (2.2, 1.6, 4.0), (12, 3))
    gaussians = make_gaussians(points, scale=0.01)  # footprints of about 2.5 px
    weights = brute_force_weights(gaussians, camera)
    positions = affine_positions(camera, np.array(((1.001, -0.002), (0.002, 0.999))), np.array((8.0, -5.0)))
    certainty = np.ones((camera.height, camera.width))
    exact, _ = solve(gaussians, camera, weights, positions, certainty, torch.float64)
    rounded, _ = solve(gaussians, camera, weights, positions, certainty, torch.float32)
    np.testing.assert_allclose(rounded.displacement, exact.displacement, atol=5e-3)
    np.testing.assert_allclose(rounded.linear, exact.linear, atol=2e-2)


def test_uncertain_and_broken_tracks_do_not_count(
    cloud: Gaussians, cameras: list[Camera], brute_force_weights: Callable[[Gaussians, Camera], Tensor]
) -> None:
    camera = cameras[1]
    weights = brute_force_weights(cloud, camera)
    positions, certainty = affine_positions(camera), np.ones((camera.height, camera.width))
    positions[::2], certainty[::2] = 1e4, 0.0
    positions[1::4, ::3] = np.nan
    result, mean = solve(cloud, camera, weights, positions, certainty, torch.float64)
    seen = (result.weight[0] > 0.5) & (result.leverage[0] < 4)
    expected = mean.numpy() @ LINEAR.T + SHIFT - mean.numpy()
    np.testing.assert_allclose(result.displacement[0][seen], expected[seen], atol=1e-4)
    assert (result.share[0][seen] < 0.75).all()


def test_leverage_and_reach_are_by_the_pixels_that_saw_the_gaussian(
    cloud: Gaussians, cameras: list[Camera], brute_force_weights: Callable[[Gaussians, Camera], Tensor]
) -> None:
    """Only the left half of the image is certain, so the pixels lie beside the means; by sums over the pixels, one Gaussian at a time."""
    camera = cameras[0]
    weights = brute_force_weights(cloud, camera)
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    certainty = (columns < camera.width / 2).astype(float)
    result, mean = solve(cloud, camera, weights, affine_positions(camera), certainty, torch.float64)
    seen = result.weight[0] > 2.0
    assert seen.sum() > 10
    pixels = np.stack((columns, rows), axis=-1).reshape(-1, 2)
    for i in seen.nonzero()[:, 0].tolist():
        w = (weights[i].numpy() * certainty).reshape(-1)
        centre = w @ pixels / w.sum()
        covariance = (w[:, None] * (pixels - centre)).T @ (pixels - centre) / w.sum()
        offset = mean[i].numpy() - centre
        slope = LINEAR - np.eye(2)
        assert float(result.leverage[0, i]) == pytest.approx(offset @ np.linalg.solve(covariance, offset), rel=1e-3, abs=1e-4)
        assert float(result.reach[0, i]) == pytest.approx(np.sqrt(np.trace(slope @ covariance @ slope.T)), rel=1e-3)
    assert result.leverage[0][seen].max() > 0.5


def test_two_motions_in_one_footprint_show_as_spread(
    cloud: Gaussians, cameras: list[Camera], brute_force_weights: Callable[[Gaussians, Camera], Tensor]
) -> None:
    camera = cameras[2]
    weights = brute_force_weights(cloud, camera)
    positions = affine_positions(camera, np.eye(2), np.zeros(2))
    rows, columns = np.mgrid[: camera.height, : camera.width]
    positions[(rows + columns) % 2 == 0] += (6.0, 0.0)
    result, _ = solve(cloud, camera, weights, positions, np.ones((camera.height, camera.width)), torch.float64)
    seen = result.weight[0] > 3
    np.testing.assert_allclose(result.spread[0][seen], 3.0, atol=0.1)  # half the difference


def test_one_pass_over_all_targets_equals_one_pass_each(cloud: Gaussians, cameras: list[Camera]) -> None:
    camera = cameras[3]
    shifts = [np.array((1.0, 0.0)), np.array((-2.0, 3.0)), np.array((0.5, 0.25))]
    positions = np.stack([affine_positions(camera, np.eye(2), shift) for shift in shifts]).astype(np.float32)
    ones = np.ones(positions.shape[:3], np.float32)
    together, seen = measure_view(cloud, camera, positions, ones, ones)
    for index, shift in enumerate(shifts):
        alone, _ = measure_view(cloud, camera, positions[index : index + 1], ones[:1], ones[:1])
        np.testing.assert_allclose(together.displacement[index], alone.displacement[0], atol=1e-5)
        visible = together.weight[index] > 0.1
        np.testing.assert_allclose(together.displacement[index][visible], np.broadcast_to(shift, (int(visible.sum()), 2)), atol=1e-3)
    assert seen.weight.shape == seen.behind.shape == (len(cloud),)


FRONT = Camera("front", 64, 48, np.array(((60.0, 0, 32), (0, 60.0, 24), (0, 0, 1))), np.eye(4))


@pytest.mark.parametrize("hidden_weight", [0.1, 1.0, 0.4])
def test_a_trusted_position_of_a_hidden_point_counts_as_the_tracker_says(
    hidden_weight: float, cloud: Gaussians, cameras: list[Camera]
) -> None:
    camera = cameras[0]
    positions = affine_positions(camera).astype(np.float32)[None]
    ones = np.ones(positions.shape[:3], dtype=np.float32)
    seen, hidden, lost = (
        measure_view(cloud, camera, positions, v, c, hidden=hidden_weight)[0].weight
        for v, c in ((ones, ones), (0 * ones, ones), (ones, 0 * ones))
    )
    assert seen.max() > 1
    torch.testing.assert_close(hidden, hidden_weight * seen)
    assert not lost.any()


def seen_at_rest(gaussians: Gaussians, camera: Camera, core: float = 1.0) -> Visibility:
    positions = affine_positions(camera, np.eye(2), np.zeros(2)).astype(np.float32)[None]
    ones = np.ones(positions.shape[:3], np.float32)
    return measure_view(gaussians, camera, positions, ones, ones, core)[1]


def wall_and(make_gaussians: Callable[..., Gaussians], *others: tuple[float, float, float]) -> Gaussians:
    """A wall at depth 2 and then the others."""
    x, y = np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-0.8, 0.8, 17))
    wall = np.stack((x, y, np.full_like(x, 2.0)), axis=-1).reshape(-1, 3)
    return make_gaussians(np.concatenate((wall, others)), scale=0.07)


def test_a_hidden_gaussian_lies_behind_the_surface(make_gaussians: Callable[..., Gaussians]) -> None:
    seen = seen_at_rest(wall_and(make_gaussians, (0.02, 0.03, 2.6)), FRONT)
    assert abs(float(seen.behind[-1]) - 0.6) < 0.05
    visible = seen.weight[:-1] > 0.1
    assert seen.behind[:-1][visible].abs().max() < 0.02


@pytest.mark.parametrize("core", [1.0, 0.3])
def test_the_surface_of_a_lone_round_gaussian_lies_in_front_of_it_on_the_ray_to_the_camera(
    make_gaussians: Callable[..., Gaussians], cameras: list[Camera], core: float
) -> None:
    camera = cameras[1]
    gaussians = make_gaussians(np.array(((0.1, -0.2, 0.15),)), scale=0.08)
    ray = gaussians.means[0].double().numpy() - camera.center
    depth = float(camera.project(gaussians.means.double().numpy())[1][0])
    np.testing.assert_allclose(
        seen_at_rest(gaussians, camera, core).surface[0], -SETTINGS.surface_deviations * 0.08 / depth * ray, atol=2e-6
    )


def test_gaussians_in_and_right_behind_a_wall_appear_at_its_front_and_others_no_further_from_themselves_than_the_limit(
    make_gaussians: Callable[..., Gaussians],
) -> None:
    gaussians = wall_and(make_gaussians, (0.02, 0.03, 2.6), (0.31, -0.22, 2.1))
    seen = seen_at_rest(gaussians, FRONT)
    visible = seen.weight > 0.1
    assert visible[-2:].all()
    assert visible.sum() > 200
    points = (gaussians.means + seen.surface)[visible].double()
    # Each on the ray to it; a hundredth of what is hidden shines through.
    np.testing.assert_allclose(project([FRONT], points)[0], project([FRONT], gaussians.means[visible].double())[0], atol=1e-4)
    front = 2.0 - SETTINGS.surface_deviations * 0.07
    np.testing.assert_allclose(points[:-2, 2], front, atol=1e-3)
    np.testing.assert_allclose(points[-1, 2], front, atol=0.01)
    np.testing.assert_allclose(points[-2, 2], max(front, 2.6 - SETTINGS.deepest_deviations * 0.07), atol=0.01)


def test_what_the_camera_cannot_see_has_no_surface(make_gaussians: Callable[..., Gaussians]) -> None:
    seen = seen_at_rest(make_gaussians(np.array(((0.0, 0.0, 2.0), (0.0, 0.0, -2.0)))), FRONT)
    assert seen.weight[1] == 0
    assert (seen.surface[1] == 0).all()


def test_the_deviation_along_an_axis_of_an_ellipsoid_is_its_size_there() -> None:
    """An ellipsoid of sizes 1, 2 and 3 (per cent) along x, y and z, then turned so that these point along y, z and x."""
    sizes = torch.tensor((0.01, 0.02, 0.03))
    for quaternion, expected in (((1.0, 0.0, 0.0, 0.0), (0.01, 0.02, 0.03)), ((0.5, 0.5, 0.5, 0.5), (0.03, 0.01, 0.02))):
        gaussian = Gaussians(
            torch.tensor(((0.3, -0.2, 0.7),)), 2.0 * torch.tensor((quaternion,)), sizes.log()[None], torch.zeros(1), torch.zeros(1, 1, 3)
        )
        for axis, size in enumerate(expected):
            pose = np.eye(4)
            pose[:3, 3] = -(gaussian.means[0].double().numpy() - 1.5 * np.eye(3)[axis])  # the centre is 1.5 away along the axis
            camera = Camera("beside", 64, 48, FRONT.K, pose)
            assert float(deviation_towards([camera], gaussian)[0, 0]) == pytest.approx(size, rel=1e-5)


def test_tracks_of_another_size_are_refused(cloud: Gaussians, cameras: list[Camera]) -> None:
    ones = np.ones((1, 10, 12), np.float32)
    with pytest.raises(ShapeError, match="12x10"):
        measure_view(cloud, cameras[0], np.zeros((1, 10, 12, 2), np.float32), ones, ones)


def test_views_measured_together_are_those_measured_alone(cloud: Gaussians, cameras: list[Camera]) -> None:
    rng = np.random.default_rng(5)
    tracks = []
    for camera in cameras[:3]:
        positions = np.stack([affine_positions(camera, shift=rng.normal(0, 3, 2)) for _ in range(2)]).astype(np.float32)
        visible, certain = rng.uniform(0, 1, (2, *positions.shape[:3])).astype(np.float32)
        tracks.append(made_tracks(0, (1, 2), positions, visible, certain))
    together, seen = measure_views(PortableRasterizer(), cloud, cameras[:3], tracks, replace(SETTINGS, core=0.5))
    for view, (camera, track) in enumerate(zip(cameras, tracks, strict=False)):
        arrays = (values.numpy() for values in (track.positions, track.visibility, track.confidence))
        alone, seen_alone = measure_view(cloud, camera, *arrays, 0.5)
        for name in AffineMotion.__dataclass_fields__:
            torch.testing.assert_close(getattr(together, name)[view], getattr(alone, name), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(seen.weight[view], seen_alone.weight)
        torch.testing.assert_close(seen.surface[view], seen_alone.surface)


def test_views_are_taken_together_as_far_as_sizes_and_memory_allow(
    cloud: Gaussians, cameras: list[Camera], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = cameras[0], replace(cameras[1], width=cameras[1].width + 1)
    row = [one, one, other, one, one, one]
    assert list(views_at_once(cloud, row, 4)) == [slice(0, 2), slice(2, 3), slice(3, 6)]
    per_view = 4 * (one.width * one.height + len(cloud)) * (3 + 13 * 4)
    monkeypatch.setattr(affine, "_CPU_BYTES", 2 * per_view)
    assert list(views_at_once(cloud, row, 4)) == [slice(0, 2), slice(2, 3), slice(3, 5), slice(5, 6)]
    monkeypatch.setattr(affine, "_CPU_BYTES", 1)
    assert len(list(views_at_once(cloud, row, 4))) == 6
