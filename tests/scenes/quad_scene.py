"""A tiny room of known geometry, ray-cast exactly: a slanted textured wall and a textured card in front of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.training.points.find import first_points
from trackersplat.training.points.settings import PointSettings

WALL = np.array([0.25, -0.1, 1.0]), 4.0  # normal . x = offset
CARD = np.array([0.0, 0.15, 1.0]), 2.6
CARD_HALF = 0.45  # half side of the card around the z axis
_WAVES = np.random.default_rng(11).normal(size=(12, 3)) * 20.0  # wavelengths of about ten pixels
_PHASES = np.random.default_rng(12).uniform(0, 6.28, size=(12, 3))


def look_at(name: str, center: tuple[float, float, float], width: int, height: int, focal: float) -> Camera:
    """A camera at ``center`` that looks at (0, 0, 3.2), y down."""
    position = np.array(center)
    forward = np.array([0.0, 0.0, 3.2]) - position
    forward /= np.linalg.norm(forward)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    rotation = np.stack((right, np.cross(forward, right), forward))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
    # a principal point off the centre, different on both axes, shows a mistaken convention
    return Camera(name, width, height, np.array([[focal, 0, width / 2 + 1.3], [0, focal, height / 2 - 0.7], [0, 0, 1]]), pose)


_CASTS: dict[tuple[object, ...], tuple[np.ndarray, np.ndarray]] = {}


def cast(camera: Camera, card_shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 image and (H, W) depth along the optical axis. They are kept, and cannot be written to."""
    key = (camera.width, camera.height, camera.K.tobytes(), camera.world_to_camera.tobytes(), card_shift)
    if key not in _CASTS:
        _CASTS[key] = _cast(camera, card_shift)
        for array in _CASTS[key]:
            array.setflags(write=False)
    return _CASTS[key]


def _cast(camera: Camera, card_shift: float) -> tuple[np.ndarray, np.ndarray]:
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    local = np.stack(((u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)), axis=-1)
    rays = local @ camera.rotation  # of unit depth
    depth = (WALL[1] - WALL[0] @ camera.center) / (rays @ WALL[0])
    near = (CARD[1] - CARD[0] @ camera.center) / (rays @ CARD[0])
    hit = camera.center + near[..., None] * rays - (card_shift, 0.0, 0.0)
    on_card = (np.abs(hit[..., :2]) < CARD_HALF).all(axis=-1)
    point = np.where(on_card[..., None], hit + 5.0, camera.center + depth[..., None] * rays)
    depth = np.where(on_card, near, depth)
    color = 0.5 + 0.5 * np.tanh(np.sin(point @ _WAVES.T) @ np.cos(_PHASES) * 0.5)
    return (255 * color + 0.5).astype(np.uint8), depth


class CastFrames:
    """Renders what is asked for; the card moves 0.02 to the right per frame. Cameras in ``forbidden`` raise."""

    def __init__(self, cameras: tuple[Camera, ...], forbidden: tuple[int, ...] = ()) -> None:
        self._cameras, self._forbidden = cameras, forbidden

    def read(self, camera: int, frame: int) -> np.ndarray:
        if camera in self._forbidden:
            raise AssertionError(f"camera {camera} is held out and must not be looked at")
        return cast(self._cameras[camera], 0.02 * frame)[0]

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None:
        pass

    def close(self) -> None:
        pass


def quad_capture(
    forbid_held_out: bool = False, width: int = 80, height: int = 60, points: PointCloud | None = None, bounds: bool = True
) -> Capture:
    """Seven views on a small arc; "cam3", the central one, is held out."""
    places = [(-0.9, 0.0, 0.1), (-0.6, -0.3, 0.0), (-0.3, 0.2, 0.0), (0.0, 0.0, 0.0), (0.3, -0.2, 0.0), (0.6, 0.3, 0.0), (0.9, 0.0, 0.1)]
    cameras = tuple(look_at(f"cam{i}", place, width, height, 1.1 * width) for i, place in enumerate(places))
    depth_bounds = np.tile((1.8, 6.0), (len(cameras), 1)) if bounds else None
    source = CastFrames(cameras, (3,) if forbid_held_out else ())
    return Capture("quad", Path("quad"), "test", cameras, 3, 30.0, source, ("cam3",), points, depth_bounds)


@cache
def swept_points(count: int) -> PointCloud:
    """So many first points of the first frame, found in its training images: a plane sweep takes longer than a short fit."""
    capture = quad_capture(forbid_held_out=True)
    return first_points(capture, capture.training_cameras, 0, PointSettings(count=count))


def with_swept_points(capture: Capture, settings: PointSettings) -> tuple[Capture, PointSettings]:
    """The capture, and settings that take its points: `swept_points`, which are those that it would be given by a sweep."""
    return replace(capture, points=swept_points(settings.count)), replace(settings, strategy="capture")
