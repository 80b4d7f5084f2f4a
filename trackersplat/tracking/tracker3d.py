"""The contract of trackers that follow points of the scene, in the world, in all views together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError

if TYPE_CHECKING:
    from trackersplat.tracking.tracker import TrackerFacts
    from trackersplat.tracking.tracks import Provenance


@dataclass(frozen=True, eq=False)
class Clip3D:
    """T frames of V calibrated views with the depth of what they see, for example rendered from Gaussians."""

    images: tuple[Tensor, ...]  # of each view (T, H, W, 3) uint8 RGB, at the size of its camera
    depths: tuple[Tensor, ...]  # of each view (T, H, W) float32, distance along the optical axis; 0 where it is not known
    cameras: tuple[Camera, ...]
    frames: tuple[int, ...]  # T frame indices, ascending

    def __post_init__(self) -> None:
        if not self.cameras or len(self.images) != len(self.cameras) or len(self.depths) != len(self.cameras):
            raise ShapeError(f"A clip needs images and depths of each of its {len(self.cameras)} cameras, and at least one.")
        for image, depth, camera in zip(self.images, self.depths, self.cameras, strict=True):
            size = (len(self.frames), camera.height, camera.width)
            if tuple(image.shape) != (*size, 3) or image.dtype != torch.uint8:
                raise ShapeError(f"The images of {camera.name} must be uint8 {(*size, 3)}, got {image.dtype} {tuple(image.shape)}.")
            if tuple(depth.shape) != size or depth.dtype != torch.float32:
                raise ShapeError(f"The depths of {camera.name} must be float32 {size}, got {depth.dtype} {tuple(depth.shape)}.")

    @property
    def device(self) -> torch.device:
        return self.images[0].device


@dataclass(frozen=True, eq=False)
class PointMotion3D:
    """Where P points are in T frames. A point has no position (nan) before its query, nor visibility or confidence."""

    positions: Tensor  # (T, P, 3) float32, world
    visibility: Tensor  # (T, P) float32 in [0, 1]: seen in at least one view
    confidence: Tensor  # (T, P) float32 in [0, 1]

    @staticmethod
    def after_query(positions: Tensor, visibility: Tensor, confidence: Tensor, queries: Tensor) -> PointMotion3D:
        """Without what a tracker says about frames before the queries (P, 4)."""
        before = torch.arange(len(positions), device=positions.device)[:, None] < queries[:, 0].round()
        return PointMotion3D(
            positions=positions.float().masked_fill(before[..., None], torch.nan),
            visibility=visibility.float().masked_fill(before, 0.0),
            confidence=confidence.float().masked_fill(before, 0.0),
        )


class Tracker3D(Protocol):
    """Follows points of the scene."""

    facts: TrackerFacts
    device: torch.device
    provenance: Provenance

    def track_points(self, clip: Clip3D, queries: Tensor) -> PointMotion3D:
        """``queries`` (P, 4) float32: an index into the frames of the clip, and x, y, z of the world. Raises ShapeError if not so."""
        ...


def matrices(cameras: tuple[Camera, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Intrinsics (V, 3, 3), pixel centres at +0.5, and world to camera (V, 4, 4), float64."""
    intrinsics = np.stack([camera.K for camera in cameras])
    poses = np.stack([camera.world_to_camera for camera in cameras])
    return torch.as_tensor(intrinsics, dtype=torch.float64, device=device), torch.as_tensor(poses, dtype=torch.float64, device=device)


def project(points: Tensor, intrinsics: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels (..., 2) and depths (...) of world points (..., 3) in one view; pixels behind the camera mean nothing."""
    local = points.double() @ pose[:3, :3].T + pose[:3, 3]
    depth = local[..., 2]
    pixels = local @ intrinsics.T
    return (pixels[..., :2] / depth.where(depth.abs() > 1e-9, 1e-9)[..., None]).float(), depth.float()


def unproject(pixels: Tensor, depth: Tensor, intrinsics: Tensor, pose: Tensor) -> Tensor:
    """World points (..., 3) of pixels (..., 2) at depths (...) of one view."""
    rays = torch.cat((pixels.double(), torch.ones_like(pixels[..., :1], dtype=torch.float64)), dim=-1) @ torch.linalg.inv(intrinsics).T
    local = rays * depth.double()[..., None]
    return ((local - pose[:3, 3]) @ pose[:3, :3]).float()


def depth_at(depth: Tensor, pixels: Tensor) -> Tensor:
    """(P,) the depth (H, W) of the pixels that positions (P, 2) fall into; 0 outside the image."""
    height, width = depth.shape
    column, row = pixels.floor().long().unbind(-1)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return depth[row.clamp(0, height - 1), column.clamp(0, width - 1)].where(inside, 0.0)


def check_queries(queries: Tensor, clip: Clip3D) -> None:
    """Raises ShapeError if the queries are not those of the clip."""
    if queries.ndim != 2 or queries.shape[1] != 4 or not bool(torch.isfinite(queries).all()):
        raise ShapeError(f"3D queries must be finite (P, 4) of frame and position, got {tuple(queries.shape)}.")
    if len(queries) and (int(queries[:, 0].min()) < 0 or int(queries[:, 0].max()) >= len(clip.frames)):
        raise ShapeError(f"3D queries must start in one of the {len(clip.frames)} frames of the clip.")
