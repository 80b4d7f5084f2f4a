"""What a pixel spans at a Gaussian, where cameras stand around their scene and hang beside much that only others see."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from made_tracks import made_tracks

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.measure import pixel_size
from trackersplat.motion.solve import estimate_motion
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.tracking.tracks import DenseTracks

FOCAL = 64.0  # px, and all places below are sums of powers of two: what is expected is exact
HALL, HUNG = 2.0, 2.125  # m from the middle to either wall, and to the cameras that hang in it
NEAR = 0.5  # m


def camera_at(place: tuple[float, float, float], near: float = 0.01, forward: tuple[float, float, float] = (0, 0, 1)) -> Camera:
    """64 x 48 pixels, looks ``forward``, y down."""
    axis = np.array(forward, dtype=float)
    rotation = np.stack((np.cross((0, 1, 0), axis), (0, 1, 0), axis))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ place
    return Camera("c", 64, 48, np.array([[FOCAL, 0, 32], [0, FOCAL, 24], [0, 0, 1]]), pose, near)


def pixels_at(points: Sequence[tuple[float, float, float]], cameras: Sequence[Camera]) -> list[float]:
    return pixel_size(torch.tensor(points, dtype=torch.float64), cameras).tolist()


def in_a_loop(point: np.ndarray, cameras: Sequence[Camera]) -> tuple[float, str]:
    """The pixel at one point, and who measures it."""
    seen, in_front = [], []
    for camera in cameras:
        (at,), (depth,) = camera.project(point[None])
        if depth > 0:
            in_front.append(2 * depth / (camera.fx + camera.fy))
            if depth >= camera.near and 0 <= at[0] < camera.width and 0 <= at[1] < camera.height:
                seen.append(in_front[-1])
    if seen:
        return min(seen), "seen by one" if len(seen) == 1 else "seen by several"
    return (min(in_front), "in front") if in_front else (math.inf, "behind")


def test_a_pixel_is_that_of_the_sharpest_camera_that_sees_the_point() -> None:
    """Against a loop, with cameras of any size, lens, near plane and direction."""
    rng = np.random.default_rng(0)
    cameras = []
    for i in range(4):
        turn = 0.5 * (i - 1.5)  # all look somewhat along +z, so that some points lie behind all of them
        pose = camera_at(tuple(rng.uniform(-1, 1, 3)), forward=(math.sin(turn), 0, math.cos(turn))).world_to_camera
        width, height = (int(n) for n in rng.integers(30, 90, 2))
        matrix = np.array([[rng.uniform(40, 80), 0, 0.5 * width + 3], [0, rng.uniform(40, 80), 0.5 * height - 2], [0, 0, 1]])
        cameras.append(Camera(f"{i}", width, height, matrix, pose, near=(0.01, 2.0)[i % 2]))
    points = rng.uniform(-5, 5, (8000, 3))
    expected = [in_a_loop(point, cameras) for point in points]
    assert pixel_size(torch.tensor(points), cameras).tolist() == pytest.approx([size for size, _ in expected], rel=1e-12)
    who = [kind for _, kind in expected]
    assert min(who.count(kind) for kind in ("seen by one", "seen by several", "in front", "behind")) > 50


def test_a_camera_right_beside_a_gaussian_that_it_does_not_see_does_not_make_its_pixel_small() -> None:
    point, sees = (0.0, 0.0, 4.0), camera_at((0, 0, 0))
    beside = [camera_at((1, 0, 3.875)), camera_at((0, -1, 3.875)), camera_at((0, 0, 3.875), near=NEAR)]
    for other in beside:
        assert pixels_at([point], [sees, other]) == pixels_at([point], [other, sees]) == [4 / FOCAL]
    assert pixels_at([point], [sees, *beside]) == [4 / FOCAL]
    assert pixels_at([point], [sees, camera_at((0, 0, 3.875), near=0.125)]) == [0.125 / FOCAL]  # what lies on the near plane is seen


@pytest.mark.parametrize(
    ("x", "y", "inside"), [(-2, 0, True), (2, 0, False), (0, -1.5, True), (0, 1.5, False), (-2.125, 0, False), (0, -1.625, False)]
)
def test_an_image_begins_with_its_first_pixel_and_ends_with_its_last(x: float, y: float, inside: bool) -> None:
    assert pixels_at([(x, y, 4.0)], [camera_at((0, 0, 0)), camera_at((0, 0, -4))]) == [(4 if inside else 8) / FOCAL]


def test_outside_all_images_all_cameras_count_that_it_is_in_front_of_and_behind_all_there_is_no_pixel() -> None:
    cameras = [camera_at((0, 0, 0), near=NEAR), camera_at((0, 0, -2)), camera_at((0, 0, 40))]
    beside, too_near, behind, between = (9.0, 0.0, 4.0), (0.0, 0.0, 0.25), (0.0, 0.0, -3.0), (9.0, 0.0, -1.0)
    assert pixels_at([beside, behind, between], cameras) == [4 / FOCAL, math.inf, 1 / FOCAL]
    assert pixels_at([too_near], cameras[:1]) == [0.25 / FOCAL]
    assert pixels_at([too_near], cameras) == [2.25 / FOCAL]


def noisy_tracks(camera: Camera, down: float, rng: np.random.Generator) -> DenseTracks:
    """All goes ``down`` so many pixels, and its tracks are 0.2 px off."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    positions = np.stack((columns, rows + down), axis=-1) + rng.normal(scale=0.2, size=(camera.height, camera.width, 2))
    certain = np.ones((1, camera.height, camera.width), np.float32)
    return made_tracks(0, (1,), positions[None].astype(np.float32), certain, certain)


@pytest.mark.parametrize("down", [0.0, 1.0])
def test_a_wall_stays_though_cameras_hang_in_it_and_goes_when_it_goes(make_gaussians: Callable[..., Gaussians], down: float) -> None:
    """Two walls face each other; cameras hang just behind the surface of each and film the other one."""
    places = [(x, y) for x in (-1.0, 0.0, 1.0) for y in (-0.5, 0.5)]
    cameras = [camera_at((x, y, side * HUNG), NEAR, (0, 0, -side)).resized(96, 72) for side in (-1, 1) for x, y in places]
    x, y = (values.ravel() for values in np.meshgrid(np.linspace(-1.4, 1.4, 24), np.linspace(-1.0, 1.0, 18)))
    walls = np.concatenate([np.stack((x, y, np.full_like(x, side * HALL)), axis=-1) for side in (-1, 1)])
    rng = np.random.default_rng(0)
    tracks = [noisy_tracks(camera, down, rng) for camera in cameras]
    (motion,) = estimate_motion(PortableRasterizer(), make_gaussians(walls, scale=0.07), cameras, tracks)
    static = float(motion.is_static.float().mean())
    assert static > 0.9 if down == 0 else static < 0.05
