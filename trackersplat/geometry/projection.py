"""Pinhole projection, shared by everything that looks through a camera. OpenCV axes; pixel centres at +0.5."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:  # a capture can be opened without PyTorch
    from torch import Tensor

ArrayOrTensor = TypeVar("ArrayOrTensor", np.ndarray, "Tensor")


class Pinhole(Protocol):
    """A camera, as far as geometry needs it (`captures.camera.Camera` is one)."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def fx(self) -> float: ...
    @property
    def fy(self) -> float: ...
    @property
    def cx(self) -> float: ...
    @property
    def cy(self) -> float: ...
    @property
    def rotation(self) -> np.ndarray: ...  # (3, 3) world to camera
    @property
    def translation(self) -> np.ndarray: ...  # (3,) world to camera
    @property
    def center(self) -> np.ndarray: ...  # (3,) optical centre in world coordinates


def project(cameras: Sequence[Pinhole], points: Tensor) -> tuple[Tensor, Tensor]:
    """World points (N, 3) to pixels (V, N, 2) and depths (V, N), in the points' precision; not meaningful behind a camera."""
    from trackersplat.geometry.devices import uploaded

    rows = [np.concatenate((c.rotation, c.translation, (c.fx, c.fy, c.cx, c.cy)), axis=None) for c in cameras]
    numbers = uploaded(np.stack(rows), points.device, points.dtype)
    rotation, translation = numbers[:, :9].view(-1, 3, 3), numbers[:, 9:12]
    local = points @ rotation.mT + translation[:, None]
    depth = local[..., 2]
    safe = depth.masked_fill(depth.abs() < 1e-9, 1e-9)
    return local[..., :2] / safe[..., None] * numbers[:, None, 12:14] + numbers[:, None, 14:], depth


def inside_image(pixels: ArrayOrTensor, width: int, height: int) -> Any:
    """(...) bool: whether pixel positions (..., 2) fall into the image; false for nan. NumPy or PyTorch, as the positions are."""
    return (pixels[..., 0] >= 0) & (pixels[..., 1] >= 0) & (pixels[..., 0] < width) & (pixels[..., 1] < height)


def look_at(position: np.ndarray, target: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(4, 4) world to camera of an upright camera at ``position``; not meaningful where it looks along ``up``."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ position
    return pose


def centers(cameras: Iterable[Pinhole]) -> np.ndarray:
    """(C, 3) float64 optical centres in world coordinates, of one camera or more."""
    return np.stack([camera.center for camera in cameras])


def common_focus(cameras: Iterable[Pinhole]) -> np.ndarray | None:
    """(3,) the point nearest to all optical axes in the least-squares sense; None if they are almost parallel."""
    normal, right = np.zeros((3, 3)), np.zeros(3)
    for camera in cameras:
        across = np.eye(3) - np.outer(camera.rotation[2], camera.rotation[2])
        normal += across
        right += across @ camera.center
    if np.linalg.cond(normal) > 1e4:  # axes within about half a degree of each other
        return None
    return np.linalg.solve(normal, right)
