"""Captures with one thing wrong: a real one whose images or cameras are changed on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture, FrameSource
from trackersplat.errors import InputError

Change = Callable[[FrameSource, int, int], np.ndarray]  # (source, camera, frame) -> image


class SpoiltSource:
    """The images of a source, those of one camera changed."""

    def __init__(self, source: FrameSource, camera: int, change: Change) -> None:
        self._source, self._camera, self._change = source, camera, change

    def read(self, camera: int, frame: int) -> np.ndarray:
        return self._change(self._source, camera, frame) if camera == self._camera else self._source.read(camera, frame)

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Nothing is read ahead: tests count on what is read."""

    def close(self) -> None:
        """The source belongs to the capture that it came from."""


def with_images(capture: Capture, camera: int, change: Change) -> Capture:
    return dataclasses.replace(capture, source=SpoiltSource(capture.source, camera, change))


def with_camera(capture: Capture, camera: int, change: Callable[[Camera], Camera]) -> Capture:
    cameras = tuple(change(c) if index == camera else c for index, c in enumerate(capture.cameras))
    return dataclasses.replace(capture, cameras=cameras)


def shifted(capture: Capture, camera: int, frames: int) -> Capture:
    """One camera shows in frame f what it should show in frame f - ``frames`` (at the ends: the first or last)."""
    last = capture.frame_count - 1
    return with_images(capture, camera, lambda source, c, f: source.read(c, min(max(f - frames, 0), last)))


def turned(capture: Capture, camera: int, degrees: float) -> Capture:
    """One camera turned about its own y axis, in place."""
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    return with_camera(capture, camera, lambda c: dataclasses.replace(c, world_to_camera=turn @ c.world_to_camera))


def moved(capture: Capture, camera: int, by: tuple[float, float, float]) -> Capture:
    """One camera moved in its own axes (x right, y down, z forward), scene units."""
    shift = np.eye(4)
    shift[:3, 3] = -np.asarray(by)
    return with_camera(capture, camera, lambda c: dataclasses.replace(c, world_to_camera=shift @ c.world_to_camera))


class ArraySource:
    """Images that are there: ``images[camera]`` (T, H, W, 3) uint8. Those of ``broken`` (camera, frame) cannot be decoded."""

    def __init__(self, images: Sequence[np.ndarray], broken: frozenset[tuple[int, int]] = frozenset()) -> None:
        self._images, self._broken = images, broken
        self.asked: list[tuple[int, int]] = []

    def read(self, camera: int, frame: int) -> np.ndarray:
        self.asked.append((camera, frame))
        if (camera, frame) in self._broken:
            raise InputError(f"Frame {frame + 1} of camera {camera} cannot be decoded.")
        return self._images[camera][frame]

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def made(images: Sequence[np.ndarray], broken: frozenset[tuple[int, int]] = frozenset()) -> Capture:
    """A capture of these images, cameras cam00, cam01 … on a line."""
    cameras = []
    for index, frames in enumerate(images):
        height, width = frames.shape[1:3]
        pose = np.eye(4)
        pose[0, 3] = -0.1 * index
        cameras.append(Camera(f"cam{index:02d}", width, height, np.array([[60.0, 0, width / 2], [0, 60.0, height / 2], [0, 0, 1]]), pose))
    return Capture("made", Path("nowhere"), "made", tuple(cameras), len(images[0]), 30.0, ArraySource(images, broken))


def noise(count: int, frames: int, size: tuple[int, int] = (48, 64)) -> list[np.ndarray]:
    """Images of as many cameras, every frame other noise."""
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (frames, *size, 3), dtype=np.uint8) for _ in range(count)]
