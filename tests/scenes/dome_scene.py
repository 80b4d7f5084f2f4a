"""A round room with a flat floor, filmed inwards by cameras in its wall; a ball hangs in the middle. Ray-cast exactly."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture

RADIUS, FLOOR = 2.0, 1.0  # of the sphere around CENTER; the floor lies at y = FLOOR, y points down
CENTER = np.array([0.4, -0.1, -0.3])
BALL, BALL_RADIUS = np.array([0.6, 0.2, -0.2]), 0.35
WIDTH, HEIGHT = 96, 72
_WAVES = np.random.default_rng(3).normal(size=(10, 3)) * 5.0


def cameras(count: int = 20) -> tuple[Camera, ...]:
    """In two rings just inside the wall, looking near the centre."""
    made = []
    for i in range(count):
        angle = 2 * np.pi * (i + 0.3) / count
        height = (-0.9, 0.1)[i % 2]
        across = np.sqrt(RADIUS**2 - height**2) * 0.98
        position = np.add(CENTER, (across * np.cos(angle), height, across * np.sin(angle)))
        forward = np.add(CENTER, (0.1 * np.sin(3 * i), 0.2, 0.1 * np.cos(3 * i))) - position
        forward /= np.linalg.norm(forward)
        right = np.cross([0.0, 1.0, 0.0], forward)
        right /= np.linalg.norm(right)
        rotation = np.stack((right, np.cross(forward, right), forward))
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
        K = np.array([[70.0, 0, WIDTH / 2 + 1.1], [0, 71.0, HEIGHT / 2 - 0.6], [0, 0, 1]])
        made.append(Camera(f"cam{i:02d}", WIDTH, HEIGHT, K, pose, 0.05))
    return tuple(made)


def cast(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 image and (H, W) bool, True on the ball."""
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = np.stack(((u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)), axis=-1) @ camera.rotation
    wall = _sphere(camera.center, rays, CENTER, RADIUS, far=True)
    with np.errstate(divide="ignore"):
        floor = (FLOOR - camera.center[1]) / rays[..., 1]
    depth = np.where((floor > 0) & (floor < wall), floor, wall)
    ball = _sphere(camera.center, rays, BALL, BALL_RADIUS, far=False)
    point = camera.center + np.where(np.isfinite(ball), ball, depth)[..., None] * rays
    color = 0.5 + 0.4 * np.tanh(np.sin(point @ _WAVES.T).sum(axis=-1, keepdims=True) * (0.5, 0.4, 0.3))
    return np.round(255 * np.where(np.isfinite(ball)[..., None], color * (1.0, 0.3, 0.2), color)).astype(np.uint8), np.isfinite(ball)


def _sphere(origin: np.ndarray, rays: np.ndarray, center: np.ndarray, radius: float, far: bool) -> np.ndarray:
    a = (rays * rays).sum(axis=-1)
    b = rays @ (origin - center)
    c = (origin - center) @ (origin - center) - radius**2
    root = b * b - a * c
    distance = (-b + (1 if far else -1) * np.sqrt(np.maximum(root, 0))) / a
    return np.where(root > 0, distance, np.inf)


class DomeFrames:
    def __init__(self, views: tuple[Camera, ...]) -> None:
        self._views = views

    def read(self, camera: int, frame: int) -> np.ndarray:
        return cast(self._views[camera])[0]

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None: ...

    def close(self) -> None: ...


class DomeMasks(DomeFrames):
    """Of all cameras but the last."""

    def has(self, camera: int) -> bool:
        return camera < len(self._views) - 1

    def read(self, camera: int, frame: int) -> np.ndarray | None:  # type: ignore[override]
        return cast(self._views[camera])[1] if self.has(camera) else None


def dome_capture(masks: bool = True) -> Capture:
    views = cameras()
    return Capture("dome", Path("dome"), "test", views, 1, 30.0, DomeFrames(views), masks=DomeMasks(views) if masks else None)
