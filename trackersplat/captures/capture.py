"""A capture: calibrated cameras times frames. Readers of each layout on disk build one of these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError, ShapeError


class FrameSource(Protocol):
    """Random access to the images of a capture: thread-safe, bounded memory, read-only."""

    def read(self, camera: int, frame: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB, read-only, undistorted. Raises InputError if the file cannot be decoded."""
        ...

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Starts decoding (camera, frame) pairs in the background; a newer call replaces what has not started yet."""
        ...

    def close(self) -> None: ...


class MaskSource(Protocol):
    """Random access to the foreground masks of a capture: thread-safe, bounded memory, read-only."""

    def has(self, camera: int) -> bool:
        """Whether any frame of this camera has a mask."""
        ...

    def read(self, camera: int, frame: int) -> np.ndarray | None:
        """(H, W) bool, read-only, True = foreground; None where there is no mask. Raises InputError if it cannot be decoded."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class PointCloud:
    """Coloured points of the first frame. Raises ShapeError if there is not one colour per point."""

    xyz: np.ndarray  # (N, 3) float32, scene units; float64 while a capture is read
    rgb: np.ndarray  # (N, 3) uint8
    sparse: bool = False  # only where there are features: a region without points need not be empty

    def __post_init__(self) -> None:
        if self.xyz.ndim != 2 or self.xyz.shape[1] != 3 or self.rgb.shape != self.xyz.shape:
            raise ShapeError(f"Points must be (N, 3) with one colour each, got {self.xyz.shape} and {self.rgb.shape}.")


@dataclass(frozen=True, eq=False)
class Capture:
    """Calibrated multi-view video. Frames are indexed from 0 here; files and pages show them as numbers from 1."""

    name: str
    root: Path
    layout: str  # name of the reader, e.g. "n3dv"
    cameras: tuple[Camera, ...]
    frame_count: int
    fps: float
    source: FrameSource
    held_out: tuple[str, ...] = ()  # camera names, never used for reconstruction, only for measuring
    points: PointCloud | None = None  # the capture's own points of frame 0, if it has any
    depth_bounds: np.ndarray | None = None  # (C, 2) near and far in scene units, where the capture has them
    warnings: tuple[str, ...] = ()
    masks: MaskSource | None = None  # of the foreground, where the capture has any
    unused: tuple[str, ...] = ()  # camera names, used neither for reconstruction nor for measuring
    filmed: bool = True  # False: nobody filmed it; its cameras are made up and its images blank
    origin: np.ndarray | None = None  # (3,) float64: this capture's origin in the coordinates of its files; None: the same origin

    def image(self, camera: int, frame: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB, read-only. Raises IndexError outside the capture, InputError if it cannot be decoded."""
        self._check_inside(camera, frame)
        return self.source.read(camera, frame)

    def mask(self, camera: int, frame: int) -> np.ndarray | None:
        """(H, W) bool, read-only, True = foreground; None where the capture has no mask. Raises as `image` does."""
        self._check_inside(camera, frame)
        return None if self.masks is None else self.masks.read(camera, frame)

    def has_masks(self, camera: int) -> bool:
        return self.masks is not None and self.masks.has(camera)

    def prefetch(self, cameras: Sequence[int], frames: Iterable[int]) -> None:
        """Starts decoding in the background, frame by frame in the order given."""
        self.source.prefetch((c, f) for f in frames for c in cameras if 0 <= f < self.frame_count)

    @property
    def training_cameras(self) -> tuple[int, ...]:
        """Indices of the cameras that reconstruction may use."""
        return tuple(i for i, c in enumerate(self.cameras) if c.name not in self.held_out and c.name not in self.unused)

    @property
    def held_out_cameras(self) -> tuple[int, ...]:
        """Indices of the cameras kept for measuring."""
        return tuple(i for i, c in enumerate(self.cameras) if c.name in self.held_out)

    def camera_index(self, name: str) -> int:
        """Raises InputError if no camera has that name."""
        for i, camera in enumerate(self.cameras):
            if camera.name == name:
                return i
        known = ", ".join(c.name for c in self.cameras)
        raise InputError(f"{self.name} has no camera named {name!r}; its cameras are {known}.")

    def close(self) -> None:
        self.source.close()
        if self.masks is not None:
            self.masks.close()

    def _check_inside(self, camera: int, frame: int) -> None:
        if not (0 <= camera < len(self.cameras) and 0 <= frame < self.frame_count):
            raise IndexError(f"{self.name} has {len(self.cameras)} cameras and {self.frame_count} frames, asked for {camera}, {frame}")
