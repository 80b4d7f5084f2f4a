"""The whole chain on a textured ball before a wall, with tracks from ray geometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from made_tracks import made_tracks
from scipy.ndimage import maximum_filter

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.quaternions import quaternion_to_matrix
from trackersplat.geometry.quaternions import quaternion_to_rotation_vector as rotation_vector
from trackersplat.motion.apply import move
from trackersplat.motion.motion import CarriedMotion
from trackersplat.motion.settings import MotionSettings, StaticSettings
from trackersplat.motion.solve import estimate_motion
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.tracking.tracks import DenseTracks

RADIUS, WALL = 0.45, -0.8  # ball at the origin, wall at x = WALL
BALL, PLANE = 500, 1500
SIZE = 0.03  # standard deviation of the Gaussians
Rigid = Callable[..., tuple[np.ndarray, np.ndarray]]


def seen_points(camera: Camera, centre: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (..., 3) that the pixels (columns, rows) see with the ball at ``centre``, and whether they are on the ball."""
    local = np.stack(((columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones_like(rows)), axis=-1)
    ray = local @ camera.rotation
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    offset = camera.center - centre
    half = ray @ offset
    root = half**2 - (offset @ offset - RADIUS**2)
    hit = root > 0
    distance = np.where(hit, -half - np.sqrt(np.maximum(root, 0)), (WALL - camera.center[0]) / ray[..., 0])
    return camera.center + distance[..., None] * ray, hit


def exact_tracks(camera: Camera, turn: np.ndarray, shifts: list[np.ndarray], drift: tuple[float, float, float] = (0, 0, 0)) -> DenseTracks:
    """The ball turns and shifts, the wall drifts."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    points, on_ball = seen_points(camera, np.zeros(3), rows, columns)
    positions, visibility = [], []
    for shift in shifts:
        moved = np.where(on_ball[..., None], points @ turn.T + shift, points + drift)
        pixels = camera.project(moved.reshape(-1, 3))[0].reshape(*rows.shape, 2)
        front, _ = seen_points(camera, shift, pixels[..., 1], pixels[..., 0])
        inside = (pixels > 0).all(-1) & (pixels < (camera.width, camera.height)).all(-1)
        positions.append(pixels)
        visibility.append(inside & (np.linalg.norm(front - moved, axis=-1) < 0.03))
    shape = (len(shifts), *rows.shape)
    targets = tuple(range(1, len(shifts) + 1))
    return made_tracks(0, targets, np.array(positions, np.float32), np.array(visibility, np.float32), np.ones(shape, np.float32))


@pytest.fixture
def scene(make_gaussians: Callable[..., Gaussians], cameras: list[Camera]) -> tuple[Gaussians, list[Camera]]:
    """Ball first, then wall, seen by 160 x 120 pixel cameras."""
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(BALL, 3))
    # Gaussians that were fitted to images lie a deviation below the surface that they show.
    ball *= (RADIUS - SIZE) / np.linalg.norm(ball, axis=1, keepdims=True)
    y, z = np.meshgrid(np.linspace(-1.3, 1.3, 50), np.linspace(-1, 1, 30))
    wall = np.stack((np.full_like(y, WALL), y, z), axis=-1).reshape(-1, 3)
    gaussians = make_gaussians(np.concatenate((ball, wall)), scale=SIZE, degree=1)
    colour = torch.where(torch.arange(len(gaussians))[:, None] < BALL, torch.tensor((0.8, -0.6, -0.6)), torch.tensor((-0.5, 0.4, 0.9)))
    sh = torch.cat((colour[:, None] + 0.2 * gaussians.sh[:, :1], gaussians.sh[:, 1:]), dim=1)
    return replace(gaussians, sh=sh), [camera.resized(160, 120) for camera in cameras]


def test_a_turning_ball_moves_and_the_wall_stays_bit_identical(scene: tuple[Gaussians, list[Camera]], rigid: Rigid) -> None:
    gaussians, cameras = scene
    shifts = [np.array((0.0, 0.05, 0.02)), np.array((0.05, 0.12, -0.06))]
    ball = gaussians.means[:BALL].double().numpy()
    _, turn = rigid(ball, 0.25, (0.2, 0.1, 1.0), np.zeros(3), shifts[0])
    tracks = [exact_tracks(camera, turn, shifts) for camera in cameras]
    motions = estimate_motion(PortableRasterizer(), gaussians, cameras, tracks)
    assert len(motions) == 2
    seen_from_all = torch.from_numpy(ball[:, 0] > 0.2)
    for motion, shift in zip(motions, shifts, strict=True):
        expected = torch.tensor(ball @ turn.T + shift - ball)
        error = (motion.translation[:BALL] - expected).norm(dim=-1)
        assert motion.measured[:BALL][seen_from_all].float().mean() > 0.9
        assert error[seen_from_all].median() < 4e-3  # the motion is 60 to 250 mm
        assert error[~seen_from_all].median() < 2.5e-2  # the far side, never seen, follows rigidly
        angle_error = (quaternion_to_matrix(motion.rotation[:BALL]).double() - torch.tensor(turn)).norm(dim=(1, 2))
        assert angle_error[seen_from_all].median() < 0.03
        assert motion.is_static[BALL:].float().mean() > 0.9
        assert not motion.is_static[:BALL].any()
        assert (motion.residual_px[motion.measured] < 1.5).all()
        assert torch.isnan(motion.residual_px[~motion.measured]).all()
        moved = move(gaussians, motion)
        for name, before in gaussians.tensors().items():
            assert torch.equal(moved.tensors()[name][motion.is_static], before[motion.is_static]), name


def test_a_static_scene_is_not_changed_in_any_bit(scene: tuple[Gaussians, list[Camera]]) -> None:
    gaussians, cameras = scene
    tracks = [exact_tracks(camera, np.eye(3), [np.zeros(3)]) for camera in cameras]
    (motion,) = estimate_motion(PortableRasterizer(), gaussians, cameras, tracks)
    moved = move(gaussians, motion)
    for name, before in gaussians.tensors().items():
        assert torch.equal(moved.tensors()[name], before), name
    assert motion.is_static.float().mean() > 0.95


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_gaussians_have_a_motion_as_well(scene: tuple[Gaussians, list[Camera]], count: int) -> None:
    gaussians, cameras = scene
    tracks = [exact_tracks(camera, np.eye(3), [np.array((0.05, 0.0, 0.1))] * 2) for camera in cameras]
    for motion in estimate_motion(PortableRasterizer(), gaussians[:count], cameras, tracks):
        assert motion.translation.shape == (count, 3)
        assert torch.isfinite(motion.translation).all()
        assert torch.isfinite(motion.rotation).all()


def test_slow_motion_is_not_lost_from_batch_to_batch(scene: tuple[Gaussians, list[Camera]]) -> None:
    """A wall that creeps 0.3 px a batch: the first batch leaves it pending, the second applies all of it."""
    gaussians, cameras = scene
    step = (0.0, 0.3 / cameras[0].fx * 3.0, 0.0)
    tracks = [exact_tracks(camera, np.eye(3), [np.array(step)], step) for camera in cameras]
    rasterizer, settings = PortableRasterizer(), MotionSettings(static=StaticSettings(threshold_px=0.4))
    (first,) = estimate_motion(rasterizer, gaussians, cameras, tracks, settings)
    front = torch.from_numpy(gaussians.means.numpy()[:, 0] > 0.3)
    assert first.is_static[front].float().mean() > 0.95
    assert (first.translation[first.is_static] == 0).all()
    (second,) = estimate_motion(rasterizer, gaussians, cameras, tracks, settings, carried=first.carried)
    released = front & second.measured
    assert released.sum() > 0.9 * front.sum()
    torch.testing.assert_close(second.translation[released], 2 * torch.tensor(step).expand(int(released.sum()), 3), atol=2e-3, rtol=0)
    assert second.carried is not None
    assert (second.carried.pending_translation[released] == 0).all()


@pytest.mark.parametrize("off", [9.0, 1e25])
def test_a_tracker_that_fails_in_one_view_is_outvoted(scene: tuple[Gaussians, list[Camera]], off: float) -> None:
    gaussians, cameras = scene
    shift = np.array((0.0, 0.08, 0.05))
    tracks = [exact_tracks(camera, np.eye(3), [shift]) for camera in cameras]
    tracks[2] = replace(tracks[2], positions=tracks[2].positions + np.float32(off))
    (motion,) = estimate_motion(PortableRasterizer(), gaussians, cameras, tracks)
    front = motion.measured & torch.from_numpy(gaussians.means.numpy()[:, 0] > 0.3)
    assert front.sum() > 40
    assert (motion.translation[front] - torch.tensor(shift)).norm(dim=-1).median() < 2e-3
    assert motion.is_static[BALL:].float().mean() > 0.8


def test_tracks_that_do_not_fit_the_cameras_are_refused(scene: tuple[Gaussians, list[Camera]]) -> None:
    gaussians, cameras = scene
    tracks = [exact_tracks(camera, np.eye(3), [np.zeros(3)]) for camera in cameras]
    with pytest.raises(ShapeError, match="every camera"):
        estimate_motion(PortableRasterizer(), gaussians, cameras, tracks[:-1])
    with pytest.raises(ShapeError, match="same base"):
        estimate_motion(PortableRasterizer(), gaussians, cameras, [*tracks[:-1], replace(tracks[-1], base=3)])


def lost_tracks(camera: Camera, centre: np.ndarray, base: int, targets: tuple[int, ...]) -> DenseTracks:
    """The wall stays, and no track of the ball, which is at ``centre`` in the base frame, finds it again."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    positions = np.broadcast_to(np.stack((columns, rows), axis=-1), (len(targets), *rows.shape, 2)).astype(np.float32)
    certain = np.broadcast_to(~grown(seen_points(camera, centre, rows, columns)[1]), positions.shape[:-1]).astype(np.float32)
    return made_tracks(base, targets, positions, certain, certain)


def grown(mask: np.ndarray) -> np.ndarray:
    """As far as a Gaussian of the rim reaches."""
    return maximum_filter(mask, 9)


def test_a_ball_that_every_view_loses_goes_on_as_it_went(scene: tuple[Gaussians, list[Camera]], rigid: Rigid) -> None:
    gaussians, cameras = scene
    shift, rasterizer = np.array((0.02, 0.06, -0.03)), PortableRasterizer()
    _, turn = rigid(gaussians.means[:BALL].double().numpy(), 0.1, (0.2, 0.1, 1.0), np.zeros(3), shift)
    (seen,) = estimate_motion(rasterizer, gaussians, cameras, [exact_tracks(camera, turn, [shift]) for camera in cameras])
    moved = move(gaussians, seen)
    lost = [lost_tracks(camera, shift, 1, (2, 4)) for camera in cameras]
    assert all((motion.translation[:BALL] == 0).all() for motion in estimate_motion(rasterizer, moved, cameras, lost))
    gone_on = estimate_motion(rasterizer, moved, cameras, lost, carried=seen.carried)
    for motion, frames in zip(gone_on, (1, 3), strict=True):
        assert motion.is_static[BALL:].float().mean() > 0.9
        assert not (motion.is_static | motion.measured)[:BALL].any()
        middle = motion.translation[:BALL].mean(0)
        torch.testing.assert_close(
            middle, frames * seen.translation[:BALL].mean(0), atol=0.03 * frames * float(np.linalg.norm(shift)), rtol=0
        )
        # Its parts turn with it: it keeps its shape.
        before, after = moved.means[:BALL], moved.means[:BALL] + motion.translation[:BALL]
        assert (torch.pdist(after) / torch.pdist(before) - 1).abs().max() < 0.05
        turned = rotation_vector(motion.rotation[:BALL])
        torch.testing.assert_close(turned.mean(0), frames * rotation_vector(seen.rotation[:BALL]).mean(0), atol=0.01 * frames, rtol=0)
        assert motion.carried is not None
        torch.testing.assert_close(motion.carried.velocity[:BALL], motion.translation[:BALL] / frames)
        torch.testing.assert_close(motion.carried.angular_velocity[:BALL], turned / frames)


def test_a_ball_that_stays_lost_is_given_up(scene: tuple[Gaussians, list[Camera]]) -> None:
    gaussians, cameras = scene
    shift, rasterizer = np.array((0.0, 0.04, -0.02)), PortableRasterizer()
    (motion,) = estimate_motion(rasterizer, gaussians, cameras, [exact_tracks(camera, np.eye(3), [shift]) for camera in cameras])
    state, steps, trust = gaussians, [], []
    for base in range(1, 7):
        state, carried = move(state, motion), motion.carried
        assert carried is not None
        trust.append(float(carried.trust[:BALL].max()))
        here = state.means[:BALL].double().mean(0).numpy()
        (motion,) = estimate_motion(
            rasterizer, state, cameras, [lost_tracks(camera, here, base, (base + 1,)) for camera in cameras], carried=carried
        )
        steps.append(float(motion.translation[:BALL].mean(0).norm() / np.linalg.norm(shift)))
    assert min(steps[:2]) > 0.9
    assert steps[-1] == 0.0
    assert all(later <= 0.5 * earlier + 1e-6 for earlier, later in pairwise(trust))


def test_a_ball_that_is_seen_to_be_static_stops_at_once(scene: tuple[Gaussians, list[Camera]]) -> None:
    gaussians, cameras = scene
    shift, rasterizer = np.array((0.0, 0.06, -0.03)), PortableRasterizer()
    (first,) = estimate_motion(rasterizer, gaussians, cameras, [exact_tracks(camera, np.eye(3), [shift]) for camera in cameras])
    assert first.carried is not None
    assert (first.carried.velocity[first.is_static] == 0).all()
    moved = move(gaussians, first)
    rows, columns = np.mgrid[: cameras[0].height, : cameras[0].width] + 0.5
    stays = np.stack((columns, rows), axis=-1)[None].astype(np.float32)
    everywhere = np.ones(stays.shape[:-1], np.float32)
    tracks = [made_tracks(1, (2,), stays, everywhere, everywhere) for _ in cameras]
    (second,) = estimate_motion(rasterizer, moved, cameras, tracks, carried=first.carried)
    front = torch.from_numpy(moved.means.numpy()[:, 0] > 0.2)
    assert second.is_static[front].all()
    assert (second.translation[front] == 0).all()
    assert second.translation[:BALL].norm(dim=-1).max() < 0.1 * np.linalg.norm(shift)  # nor does the far side leave it behind


def test_a_lost_part_follows_the_measured_one_rather_than_its_own_past(scene: tuple[Gaussians, list[Camera]]) -> None:
    gaussians, cameras = scene
    shift, rasterizer = np.array((0.0, 0.06, -0.03)), PortableRasterizer()
    (first,) = estimate_motion(rasterizer, gaussians, cameras, [exact_tracks(camera, np.eye(3), [shift]) for camera in cameras])
    moved = move(gaussians, first)
    tracks = []
    for camera in cameras:  # the ball turns back, and its upper third is out of all sight
        rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
        points, on_ball = seen_points(camera, shift, rows, columns)
        pixels = camera.project((points - on_ball[..., None] * shift).reshape(-1, 3))[0].reshape(1, *rows.shape, 2)
        seen = (~(on_ball & (points[..., 2] > shift[2] + 0.15)))[None].astype(np.float32)
        tracks.append(made_tracks(1, (2,), pixels.astype(np.float32), seen, seen))
    (second,) = estimate_motion(rasterizer, moved, cameras, tracks, carried=first.carried)
    upper = torch.from_numpy(gaussians.means.numpy()[:BALL, 2] > 0.2)
    assert not second.measured[:BALL][upper].any()
    error = (second.translation[:BALL][upper] + torch.tensor(shift)).norm(dim=-1)
    assert error.median() < 0.2 * np.linalg.norm(2 * shift)


def test_no_velocity_and_no_pending_translation_change_no_bit(scene: tuple[Gaussians, list[Camera]]) -> None:
    gaussians, cameras = scene
    shift, rasterizer = np.array((0.0, 0.06, -0.03)), PortableRasterizer()
    tracks = [exact_tracks(camera, np.eye(3), [shift]) for camera in cameras]
    zero = torch.zeros(len(gaussians), 3)
    at_rest = CarriedMotion(zero, zero, zero, torch.ones(len(gaussians)))
    (plain,), (told,) = (estimate_motion(rasterizer, gaussians, cameras, tracks, carried=carried) for carried in (None, at_rest))
    for ours, theirs in ((plain, told), (plain.carried, told.carried)):
        for name, value in vars(ours).items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value.nan_to_num(-1.0), vars(theirs)[name].nan_to_num(-1.0)), name
    with pytest.raises(ShapeError, match="carried"):
        estimate_motion(rasterizer, gaussians, cameras, tracks, carried=at_rest[:-1])
