"""What becomes of given measurements: few Gaussians, what each view says written by hand, and the motion worked out on paper."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from made_tracks import made_tracks
from scipy.spatial.transform import Rotation
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.geometry.quaternions import quaternion_to_rotation_vector
from trackersplat.geometry.symmetric import DIAGONAL
from trackersplat.motion import solve as estimate
from trackersplat.motion.measure import Measurements, SeenBase, _variance, inverse_view_weights, measure
from trackersplat.motion.motion import CarriedMotion, Motion
from trackersplat.motion.ops.affine import Visibility, base_views, measure_views
from trackersplat.motion.ops.results import AffineMotion, Triangulation
from trackersplat.motion.ops.triangulate import Observations, triangulate
from trackersplat.motion.propagate import Field, Measured, propagate
from trackersplat.motion.settings import MotionSettings
from trackersplat.motion.solve import _measured_rotations, _motions, _Scene
from trackersplat.rendering.backends.portable import PortableRasterizer

SETTINGS = MotionSettings()
GOOD = 0.09  # px^2, of a good track


def gaussians_at(means: np.ndarray, colours: np.ndarray | None = None, scale: float = 0.05) -> Gaussians:
    count = len(means)
    sh = np.zeros((count, 1, 3)) if colours is None else ((colours - 0.5) / SH_C0)[:, None]
    return Gaussians(
        torch.tensor(means).float(),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        torch.full((count, 3), math.log(scale)),
        torch.zeros(count),
        torch.tensor(sh).float(),
    )


def measurements_of(cameras: list[Camera], means: np.ndarray, moves: np.ndarray, seen: list[bool], frames: int = 1) -> Measurements:
    """Exact tracks of the means in all views, of those that are ``seen``; the same for every target."""
    means = means.astype(np.float32).astype(np.float64)
    exact = np.stack([camera.project(means + moves)[0] - camera.project(means)[0] for camera in cameras])
    displacement = torch.tensor(exact)[:, None].repeat(1, frames, 1, 1)
    known = torch.tensor(seen)
    variance = torch.where(known, GOOD, torch.inf).expand(displacement.shape[:-1]).double()
    shown = known.expand(len(cameras), -1)
    rough = torch.zeros_like(variance)
    views, count = len(cameras), len(means)
    return Measurements(
        displacement, variance, rough, displacement.norm(dim=-1), shown, torch.zeros(views, count, 3), torch.ones(views, count)
    )


def solve(
    cameras: list[Camera],
    means: np.ndarray,
    given: Measurements,
    carried: CarriedMotion | None = None,
    settings: MotionSettings = SETTINGS,
    ahead: tuple[int, ...] = (1,),
) -> list[Motion]:
    return _motions(_Scene.of(gaussians_at(means), cameras, settings), cameras, given, ahead, carried, settings)


def with_triangulation(**changes: Any) -> MotionSettings:
    return replace(SETTINGS, triangulate=replace(SETTINGS.triangulate, **changes))


def triangulated(cameras: list[Camera], means: Tensor, displacement: Tensor, variance: Tensor) -> Triangulation:
    return triangulate(cameras, means, Observations(displacement, variance), SETTINGS.triangulate)


def pixel_at(cameras: list[Camera], point: np.ndarray) -> float:
    """Scene units of the finest pixel there."""
    return min(camera.project(point[None])[1][0] / (0.5 * (camera.fx + camera.fy)) for camera in cameras)


def test_the_variance_is_that_of_a_good_track_times_what_is_wrong_with_this_one(cameras: list[Camera]) -> None:
    """Fields of one view in closed form; the first is nothing but a good track, each further one has one fault."""
    faults = {
        "spread": [0.0, 0.7, 0.0, 0.0, 0.0, 0.0],
        "leverage": [0.0, 0.0, 1.5, 0.0, 0.0, 0.0],
        "weight": [1e9, 1e9, 1e9, 0.1, 1e9, 1e9],
        "share": [1.0, 1.0, 1.0, 1.0, 0.25, 1.0],
        "behind": [0.0, 0.0, 0.0, 0.0, 0.0, 0.5],  # of what is tolerated
    }
    values = {name: torch.tensor([value]) for name, value in faults.items()}
    count = len(faults["spread"])
    gaussians = gaussians_at(np.random.default_rng(0).uniform(-0.3, 0.3, (count, 3)))
    distance = np.linalg.norm(gaussians.means.numpy() - cameras[0].center, axis=1)
    tolerated = torch.tensor(0.02 * distance + 0.05).float()
    nothing = torch.zeros(1, 1, count)
    affine = AffineMotion(
        torch.zeros(1, 1, count, 2), torch.eye(2).expand(1, 1, count, 2, 2),
        values["weight"][None], values["share"][None], values["spread"][None], values["leverage"][None], nothing,
    )  # fmt: skip
    seen = Visibility(torch.ones(1, count), values["behind"] * tolerated, torch.zeros(1, count, 3))
    variance, rough, shown = _variance(affine, seen, gaussians, cameras[:1], SETTINGS.measure)
    expected = [0.09, 0.09 + 0.49, 0.09 * 2.5, 0.09 * (1 + 0.05 / 0.1), 0.09 / 0.25, 0.09 * (1 + 0.5**4)]
    assert variance[0, 0].tolist() == pytest.approx(expected, rel=1e-4)
    assert rough[0, 0].tolist() == pytest.approx([0.0, 0.49, 0.0, 0.0, 0.0, 0.0], rel=1e-4)
    assert shown.all()


def test_an_observation_is_not_valid_where_little_is_tracked_and_a_view_does_not_show_what_is_hidden(cameras: list[Camera]) -> None:
    gaussians = gaussians_at(np.zeros((6, 3)))
    tolerated = 0.02 * float(np.linalg.norm(cameras[0].center)) + 0.05
    one = torch.ones(1, 1, 6)
    weight, share = torch.tensor([[[1.0, 0.049, 1.0, 1.0, 1.0, 1.0]]]), torch.tensor([[[1.0, 1.0, 0.049, 1.0, 1.0, 1.0]]])
    affine = AffineMotion(torch.zeros(1, 1, 6, 2), torch.eye(2).expand(1, 1, 6, 2, 2), weight, share, 0 * one, 0 * one, 0 * one)
    behind = torch.tensor([0.0, 0.0, 0.0, 1.01 * tolerated, math.nan, 0.0])
    seen = Visibility(torch.tensor([[1.0, 1.0, 1.0, 1.0, 1.0, 0.049]]), behind[None], torch.zeros(1, 6, 3))
    variance, rough, shown = _variance(affine, seen, gaussians, cameras[:1], SETTINGS.measure)
    assert (rough == 0).all()
    assert torch.isfinite(variance[0, 0]).tolist() == [True, False, False, False, False, True]
    assert shown[0].tolist() == [True, True, True, False, False, False]


def test_what_is_seen_of_a_base_is_that_of_the_cameras_asked_for_and_is_found_once(cameras: list[Camera]) -> None:
    gaussians, rasterizer = gaussians_at(np.random.default_rng(0).uniform(-0.3, 0.3, (6, 3))), PortableRasterizer()
    seen = SeenBase(rasterizer, gaussians, cameras, SETTINGS.measure)
    for views in (slice(0, 2), slice(2, 4), slice(0, 2)):
        expected = base_views(rasterizer, gaussians, cameras[views], SETTINGS.measure)
        torch.testing.assert_close(vars(seen.of(views)), vars(expected))
        assert seen.of(views) is seen.of(views)


def test_the_weight_of_a_view_falls_with_its_share_of_the_largest_visible_area() -> None:
    area = torch.tensor([[4.0, 0.0, 0.3], [2.0, 0.0, 0.3], [0.0, 0.0, 0.03]])
    expected = torch.tensor([[1.0, 0.02**-4, 1.0], [16.0, 0.02**-4, 1.0], [0.02**-4, 0.02**-4, 1e4]])
    torch.testing.assert_close(inverse_view_weights(area, 4.0, 0.02), expected)
    assert (inverse_view_weights(area, 0.0, 0.02) == 1).all()


def test_views_that_see_a_disc_from_the_front_count_most_however_far_they_are() -> None:
    """Three views in one plane with the disc's normal: from the front, twice as far, and 75 degrees aside."""

    def camera(name: str, degrees: float, distance: float) -> Camera:
        turn = Rotation.from_euler("y", degrees, degrees=True).as_matrix()
        pose = np.eye(4)
        pose[:3, :3], pose[2, 3] = turn, distance
        return Camera(name, 128, 96, np.array([[400.0, 0, 64], [0, 400.0, 48], [0, 0, 1.0]]), pose)

    cameras = [camera("front", 0.0, 3.0), camera("far", 0.0, 6.0), camera("aside", 75.0, 3.0)]
    disc = replace(
        gaussians_at(np.zeros((1, 3))), log_scales=torch.log(torch.tensor([[0.12, 0.12, 0.005]])), opacity_logits=torch.tensor([3.0])
    )
    rows, columns = np.mgrid[:96, :128].astype(np.float32) + np.float32(0.5)
    ones = np.ones((1, 96, 128), np.float32)
    tracks = [made_tracks(0, (1,), np.stack((columns, rows), -1)[None], ones, ones)] * 3
    rasterizer = PortableRasterizer()
    factor = measure(rasterizer, disc, cameras, tracks, SETTINGS.measure).inverse_view_weight[:, 0].double()
    weight = measure_views(rasterizer, disc, cameras, tracks, SETTINGS.measure)[1].weight[:, 0].double()
    area = weight * torch.tensor([3.0, 6.0, 3.0]).double() ** 2
    torch.testing.assert_close(factor, (area.max() / area) ** SETTINGS.measure.view_weight_power, rtol=1e-4, atol=0)
    assert factor[:2].max() < 1.5
    assert factor[2] > 20


def test_a_view_of_little_weight_hardly_changes_where_a_gaussian_goes(cameras: list[Camera]) -> None:
    means, move = np.array([[0.1, 0.0, 0.2]]), np.array([[0.05, 0.1, -0.1]])
    given = measurements_of(cameras, means, move, [True])
    displacement = given.displacement.clone()
    displacement[0] += 0.6  # px, within what a robust loss takes for noise
    wrong = replace(given, displacement=displacement)
    factor = torch.ones(5, 1)
    factor[0] = 1e6
    equal, told = (
        solve(cameras, means, replace(wrong, inverse_view_weight=factors))[0].translation.numpy() - move
        for factors in (torch.ones(5, 1), factor)
    )
    assert np.abs(equal).max() > 1e-3
    np.testing.assert_allclose(told, 0.0, atol=1e-5)


def test_views_of_little_weight_do_not_keep_a_motion_from_being_measured_that_the_others_agree_on(cameras: list[Camera]) -> None:
    means, move = np.array([[0.1, 0.0, 0.2]]), np.array([[0.05, 0.1, -0.1]])
    given = measurements_of(cameras, means, move, [True])
    displacement = given.displacement.clone()
    displacement[:3] += torch.tensor([[3.0, -2.0], [-3.0, 1.0], [2.0, 3.0]]).double()[:, None, None]  # px
    wrong = replace(given, displacement=displacement)
    factor = torch.tensor([1e6, 1e6, 1e6, 1.0, 1.0])[:, None]
    (equal,), (told,) = (solve(cameras, means, replace(wrong, inverse_view_weight=factors)) for factors in (torch.ones(5, 1), factor))
    assert not equal.measured.any()
    assert told.measured.all()
    np.testing.assert_allclose(told.translation.numpy(), move, atol=1e-5)


def test_neighbours_count_by_distance_and_colour_and_a_pixel_is_that_of_the_sharpest_view() -> None:
    rng = np.random.default_rng(1)
    means, colours = rng.uniform(-1, 1, (30, 3)).astype(np.float32).astype(np.float64), rng.uniform(0.3, 0.6, (30, 3))
    poses = [np.eye(4) for _ in range(3)]
    for pose, z in zip(poses, (5.0, 9.0, -4.0), strict=True):  # the last has all behind it
        pose[2, 3] = z
    views = [
        Camera(f"{i}", 64, 48, np.array([[f, 0, 32], [0, 3 * f, 24], [0, 0, 1.0]]), pose)
        for i, (f, pose) in enumerate(zip((20.0, 45.0, 99.0), poses, strict=True))
    ]
    scene = _Scene.of(gaussians_at(means, colours), views, SETTINGS)
    for i in range(30):
        assert float(scene.pixel[i]) == pytest.approx(min((means[i, 2] + 5) / 40, (means[i, 2] + 9) / 90))
        distance = np.linalg.norm(means - means[i], axis=1)
        nearest = np.argsort(distance)[1 : 1 + SETTINGS.rotation.neighbours]
        assert scene.neighbours[i].tolist() == nearest.tolist()
        apart = ((colours[nearest] - colours[i]) ** 2).sum(1)
        alike = np.maximum(np.exp(-apart / (2 * SETTINGS.graph.colour_scale**2)), 1e-3)
        # of an even number of values the smaller middle one
        median = np.sort(distance[nearest])[(SETTINGS.rotation.neighbours - 1) // 2]
        near = np.exp(-(distance[nearest] ** 2) / (2 * median**2))
        assert scene.affinity[i].tolist() == pytest.approx((near * alike).tolist(), rel=1e-4)


def test_pending_translation_adds_up_over_any_number_of_batches(cameras: list[Camera]) -> None:
    """0.2 px in each batch of two frames: the third makes 0.6 and lets all of it through, and the count starts again."""
    means = np.array([[0.1, 0.2, -0.1]])
    step = 0.2 * pixel_at(cameras, means[0]) * np.array([[0.6, 0.0, 0.8]])
    given = measurements_of(cameras, means, step, [True])
    carried = None
    for batch in range(1, 7):
        (motion,) = solve(cameras, means, given, carried, ahead=(2,))
        carried = motion.carried
        assert carried is not None
        released = batch % 3 == 0
        assert motion.is_static.tolist() == [not released]
        np.testing.assert_allclose(motion.translation, 3 * step if released else 0 * step, rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(carried.pending_translation, 0 * step if released else batch % 3 * step, rtol=1e-4, atol=1e-9)
        # what came before says nothing about how fast it is now
        np.testing.assert_allclose(carried.velocity, step / 2 if released else 0 * step, rtol=1e-4, atol=1e-9)
        assert (float(carried.trust[0]) > 0.5) == released


def test_a_gaussian_that_turns_in_its_place_is_not_static(cameras: list[Camera]) -> None:
    """Its mean stays, as all views measure, but the rim of its footprint moves."""
    around = np.array([[np.cos(a), np.sin(a), z] for a in np.arange(6) * np.pi / 3 for z in (-0.5, 0.5)]) * 0.1
    means = np.concatenate((np.zeros((1, 3)), around))
    moves = means @ Rotation.from_rotvec((0, 0, 0.4)).as_matrix().T - means
    given = measurements_of(cameras, means, moves, [True] * 13)
    (motion,) = solve(cameras, means, replace(given, moved=given.moved + 2.0))
    assert motion.measured.all()
    assert not motion.is_static.any()
    turned = quaternion_to_rotation_vector(motion.rotation.double())
    torch.testing.assert_close(turned, torch.tensor([[0, 0, 0.4]]).double().expand(13, 3), atol=5e-3, rtol=0)


def _row(cameras: list[Camera], pixels: float, lost: bool) -> tuple[np.ndarray, np.ndarray, Measurements]:
    """A wall that stands, one that no track finds, and one that moves by ``pixels``, in a row with equal gaps."""
    means = np.array([[0.0, -0.2, 0.0], [0.0, 0.0, 0.0], [0.0, 0.2, 0.0]])
    moves = np.zeros((3, 3))
    moves[2, 2] = pixels * pixel_at(cameras, means[1])
    given = measurements_of(cameras, means, moves, [True, False, True])
    return means, moves, replace(given, shown=given.shown | lost)


def test_what_was_seen_and_lost_goes_with_the_mover_and_what_was_never_seen_stays_between(cameras: list[Camera]) -> None:
    for lost, part in ((False, 0.5), (True, 1 / (1 + SETTINGS.propagate.static_pull))):
        means, moves, given = _row(cameras, 4.0, lost)
        (motion,) = solve(cameras, means, given)
        assert motion.is_static.tolist() == [True, False, False]
        assert motion.measured.tolist() == [False, False, True]
        np.testing.assert_allclose(motion.translation[1], part * moves[2], atol=0.01 * moves[2, 2])


def test_slow_propagated_motion_is_kept_for_the_next_batch(cameras: list[Camera]) -> None:
    """The one that no track finds is dragged 0.35 px by its neighbours: too little to show, twice as much is shown at once."""
    means, moves, given = _row(cameras, 0.7, False)
    (first,) = solve(cameras, means, given)
    assert first.is_static.tolist() == [True, True, False]
    assert (first.translation[1] == 0).all()
    assert first.carried is not None
    np.testing.assert_allclose(first.carried.pending_translation[1], 0.5 * moves[2], atol=0.01 * moves[2, 2])
    assert float(first.carried.trust[1]) == 0
    (second,) = solve(cameras, means, given, first.carried)
    assert second.is_static.tolist() == [True, False, False]
    np.testing.assert_allclose(second.translation[1], moves[2], atol=0.02 * moves[2, 2])
    assert second.carried is not None
    assert (second.carried.pending_translation[1] == 0).all()


def test_a_gaussian_that_is_called_static_does_not_turn(cameras: list[Camera]) -> None:
    """The middle of a ring that turns stays where it is; nobody saw it turn."""
    ring = np.array([[np.cos(a), np.sin(a), 0] for a in np.arange(8) * np.pi / 4]) * 0.2
    means = np.concatenate((np.zeros((1, 3)), ring))
    moves = means @ Rotation.from_rotvec((0, 0, 0.3)).as_matrix().T - means
    (motion,) = solve(cameras, means, measurements_of(cameras, means, moves, [False, *[True] * 8]))
    assert motion.is_static.tolist() == [True, *[False] * 8]
    assert motion.rotation[0].tolist() == [1, 0, 0, 0]
    assert motion.carried is not None
    assert (motion.carried.angular_velocity[0] == 0).all()
    assert (quaternion_to_rotation_vector(motion.rotation[1:])[:, 2] > 0.2).all()


def test_too_few_views_bad_ones_and_those_that_look_along_one_line_measure_nothing(cameras: list[Camera]) -> None:
    means = np.array([[0.05, -0.1, 0.1]])
    given = measurements_of(cameras, means, np.array([[0.0, 0.2, 0.1]]), [True])

    def measured(given: Measurements, settings: MotionSettings = SETTINGS, views: list[Camera] = cameras) -> bool:
        return bool(solve(views, means, given, settings=settings)[0].measured[0])

    assert measured(given)
    two = given.variance.clone()
    two[2:] = torch.inf
    assert measured(replace(given, variance=two))
    assert not measured(replace(given, variance=two), with_triangulation(minimum_views=3))
    # Three of six agree exactly, and the others say anything: no majority.
    six = [*cameras, cameras[0]]
    anything = torch.cat((given.displacement, given.displacement[:1]))
    anything[3:] += torch.tensor([[30.0, 25.0], [-40.0, 20.0], [10.0, -45.0]]).double()[:, None, None]
    variance = torch.full((6, 1, 1), GOOD).double()
    variance[:3] = 1e-4
    moved, shown = anything.norm(dim=-1), torch.ones(6, 1, dtype=torch.bool)
    split = Measurements(anything, variance, 0 * variance, moved, shown, torch.zeros(6, 1, 3), torch.ones(6, 1))
    assert not measured(split, views=six)
    assert measured(
        split.__class__(anything[:5], variance[:5], split.rough[:5], moved[:5], shown[:5], split.surface[:5], split.inverse_view_weight[:5])
    )
    # All agree within what they are worth, which is little.
    rough = given.displacement + torch.tensor([[2.5, 0], [-2.5, 2], [0, -3], [2, 2.5], [-2.5, -2]]).double()[:, None, None]
    vague = replace(given, displacement=rough, variance=torch.full_like(given.variance, 4.0))
    assert measured(vague, with_triangulation(maximum_residual_px=9.0))
    assert not measured(vague)
    # Two views a hundredth of a radian apart.
    pose = cameras[0].world_to_camera.copy()
    pose[0, 3] += 0.03
    beside = [cameras[0], replace(cameras[0], name="beside", world_to_camera=pose)]
    narrow = measurements_of(beside, means, np.array([[0.0, 0.2, 0.1]]), [True])
    assert measured(narrow, with_triangulation(maximum_deviation_px=1e3), beside)
    assert not measured(narrow, views=beside)


@pytest.mark.parametrize("variance", [0.01, 0.09, 1.0])
def test_confidence_falls_with_the_deviation_of_the_measured_position(
    cameras: list[Camera], variance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Gaussian on its own: nothing but the fade, a fiftieth, comes between its measurement and its confidence.

    Its neighbours, had it any, would be told as much. Its five views agree exactly, so of its noise remains what is thought of all, by
    4 of 4 + 2 * 5 - 3 degrees of freedom.
    """
    means, move = np.array([[0.1, 0.0, 0.2]]), np.array([[0.05, 0.1, -0.1]])
    given = measurements_of(cameras, means, move, [True])
    told: list[torch.Tensor] = []

    def listening(points: torch.Tensor, measured: Measured, *others: Any) -> Field:
        told.append(measured.information)
        return propagate(points, measured, *others)

    monkeypatch.setattr(estimate, "propagate", listening)
    (motion,) = solve(cameras, means, replace(given, variance=torch.full_like(given.variance, variance)))
    normal, size = np.zeros((3, 3)), []
    for camera in cameras:
        steps = 1e-5 * np.eye(3)
        slope = ((camera.project(means + move + steps)[0] - camera.project(means + move - steps)[0]) / 2e-5).T
        normal += slope.T @ slope / (variance * 4 / 11)
        size.append(camera.project(means)[1][0] / (0.5 * (camera.fx + camera.fy)))
    deviation = np.sqrt(np.trace(np.linalg.inv(normal))) / np.mean(size)
    assert float(motion.confidence[0]) == pytest.approx(1 / (1 + deviation**2) / 1.02, rel=1e-3)
    assert float(told[0][DIAGONAL, 0].sum()) == pytest.approx(np.trace(normal), rel=1e-3)


def test_the_past_of_a_lost_gaussian_is_known_to_half_a_pixel_at_best(cameras: list[Camera]) -> None:
    """Two Gaussians, one lost that went steadily: it is weighed against the measured one by the floor alone, in closed form."""
    settings = replace(SETTINGS, coast=replace(SETTINGS.coast, velocity_change=0.0))
    means = np.array([[0.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    measured, believed = np.array([0.0, 0.0, 0.3]), np.array([0.0, 0.1, 0.0])
    given = measurements_of(cameras, means, np.stack((measured, measured)), [True, False])
    velocity = torch.tensor(np.stack((0 * believed, believed))).float()
    trust = torch.tensor([0.0, 0.5])
    carried = CarriedMotion(torch.zeros(2, 3), velocity, torch.zeros(2, 3), trust)
    (motion,) = solve(cameras, means, given, carried, settings)
    edge = 1 / (SETTINGS.propagate.strain * 0.5) ** 2
    sure = 0.5 / (SETTINGS.static.threshold_px * pixel_at(cameras, means[1])) ** 2
    expected = (edge * measured + sure * believed) / (edge + sure)
    np.testing.assert_allclose(motion.translation[1], expected, atol=5e-3)


def test_rotations_are_found_on_the_surface_though_gaussians_lie_below_it(cameras: list[Camera]) -> None:
    """A body of which every view sees what lies before its Gaussians, at various depths, turns by a known rotation."""
    rng = np.random.default_rng(4)
    means = rng.uniform(-0.08, 0.08, (60, 3)).astype(np.float32).astype(np.float64)
    turn, shift = Rotation.from_rotvec((0.15, -0.1, 0.35)), np.array((0.02, 0.05, -0.03))
    depth = rng.uniform(0.0, 0.06, 60)
    displacement, surface = [], []
    for camera in cameras:
        ray = (camera.center - means) / np.linalg.norm(camera.center - means, axis=1, keepdims=True)
        front = (depth[:, None] * ray).astype(np.float32).astype(np.float64)
        surface.append(front)
        displacement.append(camera.project(turn.apply(means + front) + shift)[0] - camera.project(means)[0])
    tracks = torch.tensor(np.stack(displacement))[:, None]
    shown = torch.ones(5, 60, dtype=torch.bool)
    shown[torch.arange(60) % 5, torch.arange(60)] = False  # each is hidden from one view
    shown[torch.arange(0, 60, 2) % 5 - 1, torch.arange(0, 60, 2)] = False  # and every second from two
    given = Measurements(
        tracks,
        torch.where(shown, GOOD, torch.inf)[:, None].double(),
        torch.zeros(5, 1, 60).double(),
        tracks.norm(dim=-1),
        shown,
        torch.where(shown[..., None], torch.tensor(np.stack(surface)).float(), 0.0),
        torch.ones(5, 60),
    )
    (motion,) = solve(cameras, means, given)
    assert motion.measured.all()
    np.testing.assert_allclose(quaternion_to_rotation_vector(motion.rotation), np.tile(turn.as_rotvec(), (60, 1)), atol=3e-3)
    np.testing.assert_allclose(motion.translation, turn.apply(means) + shift - means, atol=1e-3)


def test_a_rotation_is_as_certain_as_its_neighbours_are_and_as_stiff_as_the_surface_is(cameras: list[Camera]) -> None:
    """All move alike, so no neighbour is out of line, and the precision is two thirds of the weighted squared radii."""
    means = np.random.default_rng(2).uniform(-0.3, 0.3, (20, 3)).astype(np.float32).astype(np.float64)
    scene = _Scene.of(gaussians_at(means), cameras, SETTINGS)
    precision = torch.tensor(np.random.default_rng(3).uniform(1e3, 1e5, 20))
    precision[5] = 0.0
    moves = torch.tensor([0.1, -0.2, 0.3]).double().expand(20, 3)
    rotation, certainty = _measured_rotations(scene, scene.means, moves, precision, SETTINGS)
    assert (rotation == 0).all()
    for i in range(20):
        weights, places = [float(precision[i])], [means[i]]
        for j, affinity, distance in zip(scene.neighbours[i].tolist(), scene.affinity[i], scene.distances[i], strict=True):
            if precision[j] > 0:
                weights.append(float(affinity) / (1 / float(precision[j]) + (SETTINGS.propagate.strain * float(distance)) ** 2))
                places.append(means[j])
        centre = np.average(places, axis=0, weights=weights)
        expected = 2 / 3 * (np.array(weights) @ ((np.array(places) - centre) ** 2).sum(1)) if precision[i] > 0 else 0.0
        assert float(certainty[i]) == pytest.approx(expected, rel=1e-6)


def test_solving_several_targets_at_once_is_solving_each(cameras: list[Camera]) -> None:
    rng = np.random.default_rng(7)
    means = rng.uniform(-0.3, 0.3, (40, 3)).astype(np.float32).astype(np.float64)
    seen: Tensor = torch.tensor(rng.uniform(size=40) < 0.6)
    parts = [measurements_of(cameras, means, rng.normal(size=(40, 3)) * size, seen.tolist()) for size in (0.0, 0.02, 0.1)]
    factor = torch.tensor(rng.uniform(1.0, 3.0, (5, 40))).float()
    parts = [replace(part, inverse_view_weight=factor) for part in parts]
    together = Measurements(
        torch.cat([p.displacement for p in parts], 1), torch.cat([p.variance for p in parts], 1), torch.cat([p.rough for p in parts], 1),
        torch.cat([p.moved for p in parts], 1), parts[0].shown, parts[0].surface, factor,
    )  # fmt: skip
    numbers = torch.tensor(rng.normal(size=(3, 40, 3)) * 0.01).float()
    carried = CarriedMotion(*numbers, torch.tensor(rng.uniform(size=40)).float())
    for frames, part, motion in zip((1, 3, 4), parts, solve(cameras, means, together, carried, ahead=(1, 3, 4)), strict=True):
        (alone,) = solve(cameras, means, part, carried, ahead=(frames,))
        assert torch.equal(motion.is_static, alone.is_static)
        torch.testing.assert_close(motion.translation, alone.translation, atol=1e-4, rtol=0)
        assert motion.carried is not None
        assert alone.carried is not None
        torch.testing.assert_close(motion.carried.velocity, alone.carried.velocity, atol=1e-4, rtol=0)


def test_many_gaussians_in_one_place_move_as_they_are_measured(cameras: list[Camera]) -> None:
    """More than there are neighbours in the graph, so that all that are near lie at distance 0; and a pair alone."""
    rng = np.random.default_rng(0)
    for apart, together in ((60, 12), (0, 2), (0, 20)):
        means = np.concatenate((rng.uniform(-0.3, 0.3, (apart, 3)), np.tile([0.1, 0.1, 0.1], (together, 1))))
        move = np.tile([0.05, 0.1, -0.02], (len(means), 1))
        given = measurements_of(cameras, means, move, [True] * apart + [i % 2 == 0 for i in range(together)])
        noise = torch.tensor(rng.normal(size=given.displacement.shape)) * 0.1
        (motion,) = solve(cameras, means, replace(given, displacement=given.displacement + noise))
        np.testing.assert_allclose(motion.translation, move, atol=0.015)
        assert np.sqrt(np.square(motion.translation.numpy() - move).mean()) < 0.004
        np.testing.assert_allclose(motion.translation[apart:], motion.translation[apart:][:1].expand(together, 3), atol=0.012)


def test_the_better_the_tracks_agree_the_less_a_rough_footprint_says_against_the_others(cameras: list[Camera]) -> None:
    """One view of each Gaussian is rough and off by half a pixel: next to exact tracks that is to be ignored, next to noisy ones not."""
    rng = np.random.default_rng(5)
    means = rng.uniform(-0.3, 0.3, (60, 3)).astype(np.float32).astype(np.float64)
    moves = np.tile([0.05, 0.1, -0.1], (60, 1))
    given = measurements_of(cameras, means, moves, [True] * 60)
    one = torch.arange(60)
    given.displacement[one % 5, 0, one] += 0.5
    given.rough[one % 5, 0, one] = 0.09
    given = replace(given, variance=given.variance + given.rough)
    errors = []
    for noise in (0.0, 0.3):
        off = noise * torch.tensor(rng.normal(size=given.displacement.shape))
        (motion,) = solve(cameras, means, replace(given, displacement=given.displacement + off))
        assert motion.measured.sum() > 50
        fixed = triangulated(cameras, torch.tensor(means), (given.displacement + off)[:, 0], given.variance[:, 0]).translation
        found, plain = (np.median(np.linalg.norm(x.double().numpy() - moves, axis=1)) for x in (motion.translation, fixed))
        errors.append(found / plain)
    assert errors[0] < 0.25
    assert errors[1] < 0.8


def test_a_gaussian_on_its_own_is_moved_by_what_the_views_say(cameras: list[Camera]) -> None:
    means, move = np.array([[0.1, 0.0, 0.2]]), np.array([[0.05, 0.1, -0.1]])
    (motion,) = solve(cameras, means, measurements_of(cameras, means, move, [True]))
    np.testing.assert_allclose(motion.translation, move, atol=1e-5)
    assert motion.measured.tolist() == [True]
    assert motion.rotation.tolist() == [[1, 0, 0, 0]]


def test_two_views_make_a_gaussian_surely_static_and_one_view_leaves_its_confidence_at_zero(cameras: list[Camera]) -> None:
    means = np.array([[0.1, 0.0, 0.2]])
    given = measurements_of(cameras, means, np.zeros((1, 3)), [True])
    (motion,) = solve(cameras, means, given)
    assert (motion.is_static.tolist(), motion.confidence.tolist()) == ([True], [1.0])
    lone = given.variance.clone()
    lone[1:] = torch.inf
    (motion,) = solve(cameras, means, replace(given, variance=lone, shown=given.shown & torch.tensor([[True]] + [[False]] * 4)))
    assert (motion.is_static.tolist(), motion.confidence.tolist()) == ([True], [0.0])


def test_what_is_not_measured_does_not_pull(cameras: list[Camera]) -> None:
    """A lone view says that the middle one of three goes elsewhere; it goes with the others."""
    means = np.array([[0.0, -0.2, 0.0], [0.0, 0.0, 0.0], [0.0, 0.2, 0.0]])
    moves = np.tile([0.0, 0.1, 0.2], (3, 1))
    given = measurements_of(cameras, means, moves, [True] * 3)
    given.variance[1:, :, 1] = torch.inf
    given.displacement[0, :, 1] += 25.0
    (motion,) = solve(cameras, means, given)
    assert motion.measured.tolist() == [True, False, True]
    np.testing.assert_allclose(motion.translation, moves, atol=1e-4)


def test_confidence_falls_with_the_residual_of_the_views(cameras: list[Camera]) -> None:
    means, move = np.array([[0.1, 0.0, 0.2]]), np.array([[0.05, 0.1, -0.1]])
    given = measurements_of(cameras, means, move, [True])
    off = torch.tensor([[1.0, 0], [-1.0, 0.8], [0, -1.2], [0.8, 1.0], [-1.0, -0.8]]).double()[:, None, None]
    given = replace(given, displacement=given.displacement + off, variance=torch.ones_like(given.variance))
    (motion,) = solve(cameras, means, given)
    assert motion.measured.all()
    found = triangulated(cameras, torch.tensor(means).float(), given.displacement[:, 0], given.variance[:, 0])
    residual, deviation = float(found.residual_px), float(found.deviation_px)
    assert residual > 0.5
    assert float(motion.confidence[0]) == pytest.approx(1 / (1 + deviation**2 + (residual / 1.5) ** 2) / 1.02, rel=1e-3)
