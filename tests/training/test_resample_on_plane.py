"""Images resampled at points in space and normalised there, against the same in NumPy and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from quad_scene import look_at

from trackersplat.captures.camera import Camera
from trackersplat.training.points.resample_on_plane import OUTSIDE, Resampled, Window, _sample, resample_on_plane
from trackersplat.training.points.sweep import View

CAMERA = look_at("cam0", (-0.4, -1.0, 0.8), 90, 70, 100.0)
SHAPE = (24, 31)
WINDOW = Window(5, 0.7, 3.0)


def _points(half: float = 2.5) -> np.ndarray:
    """(3, R C) of a slanted plane, of which some are beside the image and some behind the camera."""
    y, x = np.meshgrid(np.linspace(-half, half, SHAPE[0]), np.linspace(-half, half, SHAPE[1]), indexing="ij")
    return np.stack((x, 0.4 * x + 0.3, 2.0 + 1.5 * y)).reshape(3, -1)


def _sampled(camera: Camera, gray: np.ndarray, points: np.ndarray, half: int) -> np.ndarray:
    samples = np.empty((SHAPE[0] + 2 * half, SHAPE[1] + 2 * half), dtype=np.float32)
    _sample(gray, camera.K @ camera.world_to_camera[:3], camera.near, points, half, samples)
    return samples


def _reference(views: list[View], grays: list[np.ndarray], points: np.ndarray, window: Window) -> Resampled:
    """Every step on whole images, in float64."""
    sums, squares, votes = np.zeros((3, *SHAPE))
    side = (window.side, window.side)
    for view, gray in zip(views, grays, strict=True):
        uv, depth = view.camera.project(points.T)
        u, v = np.where(depth[:, None] > view.camera.near, uv - 0.5, OUTSIDE).T
        padded = np.full((gray.shape[0] + 4, gray.shape[1] + 4), OUTSIDE)
        padded[2:-2, 2:-2] = gray
        left, top = (np.clip(np.floor(values), -2, size).astype(int) for values, size in ((u, gray.shape[1]), (v, gray.shape[0])))
        a, b = np.clip(u - left, 0, 1), np.clip(v - top, 0, 1)
        upper = (1 - a) * padded[top + 2, left + 2] + a * padded[top + 2, left + 3]
        lower = (1 - a) * padded[top + 3, left + 2] + a * padded[top + 3, left + 3]
        sample = ((1 - b) * upper + b * lower).reshape(SHAPE)
        valid = (sample >= 0).astype(float)
        sample = sample * valid
        share = cv2.blur(valid, side)
        mean = cv2.blur(sample, side) / np.maximum(share, 1e-3)
        variance = np.maximum(cv2.blur(sample * sample, side) / np.maximum(share, 1e-3) - mean * mean, 0)
        valid *= share > window.known
        normal = valid * (sample - mean) / np.sqrt(variance + window.flat**2)
        sums, squares, votes = sums + normal, squares + normal * normal, votes + valid
    return Resampled(sums, squares, votes)


def test_images_are_read_where_the_camera_sees_the_points() -> None:
    row, column = (axis.astype(np.float32) for axis in np.mgrid[:70, :90])
    points = _points()
    uv, depth = CAMERA.project(points.T)
    within = (depth > CAMERA.near) & (uv >= 0.5).all(axis=1) & (uv[:, 0] <= 89.5) & (uv[:, 1] <= 69.5)
    assert 100 < within.sum() < 0.6 * within.size
    for picture, seen in ((column, uv[:, 0]), (row, uv[:, 1])):
        found = _sampled(CAMERA, picture, points, 0).ravel()
        np.testing.assert_allclose(found[within], seen[within] - 0.5, atol=1e-4)  # pixel centres are at +0.5
        assert (found[depth <= CAMERA.near] == OUTSIDE).all()
        assert (found[(uv < -0.5).any(axis=1) | (uv[:, 0] > 90.5) | (uv[:, 1] > 70.5)] == OUTSIDE).all()


def test_the_border_of_the_samples_is_mirrored() -> None:
    gray = np.random.default_rng(0).uniform(0, 255, (70, 90)).astype(np.float32)
    inner = _sampled(CAMERA, gray, _points(), 0)
    np.testing.assert_array_equal(_sampled(CAMERA, gray, _points(), 3), np.pad(inner, 3, mode="reflect"))


@pytest.mark.parametrize("window", [WINDOW, Window(7, 0.5, 8.0)])
def test_sums_over_the_views_are_those_of_plain_numpy(window: Window) -> None:
    cameras = [CAMERA, look_at("cam1", (0.5, -1.2, 0.1), 90, 70, 100.0), look_at("cam2", (1.9, -0.7, 1.0), 80, 60, 70.0)]
    random = np.random.default_rng(1)
    grays = [cv2.blur(random.uniform(0, 255, (c.height, c.width)), (4, 4)).astype(np.float32) for c in cameras]
    views = [View(camera, gray) for camera, gray in zip(cameras, grays, strict=True)]
    hidden = [grays[0], np.where(random.random(grays[1].shape) < 0.02, np.float32(OUTSIDE), grays[1]), grays[2]]
    found = resample_on_plane(views, hidden, _points(1.2), SHAPE, window)
    expected = _reference(views, hidden, _points(1.2), window)
    assert set(np.unique(expected.votes)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(found.votes, expected.votes)
    np.testing.assert_allclose(found.sums, expected.sums, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.squares, expected.squares, rtol=1e-3, atol=1e-3)
