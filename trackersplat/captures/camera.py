"""A calibrated pinhole view."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from trackersplat.errors import ShapeError

DEFAULT_NEAR = 0.01  # scene units; `units.with_units_of_the_rig` replaces it


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated pinhole view without lens distortion (readers undistort the images they hand out).

    OpenCV axes (x right, y down, z forward); pixel centres at +0.5, so the top left pixel is centred on (0.5, 0.5);
    lengths in scene units. Readers convert other conventions.

    Nothing nearer than ``near`` is drawn. Where cameras stand in a wall that other cameras film, this keeps the wall out of their images.

    Raises ShapeError if a matrix has the wrong shape, is not finite, or ``world_to_camera`` is not a rigid motion.
    """

    name: str
    width: int  # pixels
    height: int  # pixels
    K: np.ndarray  # (3, 3) float64, true principal point, no skew
    world_to_camera: np.ndarray  # (4, 4) float64
    near: float = DEFAULT_NEAR  # depth along the optical axis, scene units

    def __post_init__(self) -> None:
        for label, shape in (("K", (3, 3)), ("world_to_camera", (4, 4))):
            matrix = np.array(getattr(self, label), dtype=np.float64)
            if matrix.shape != shape or not np.isfinite(matrix).all():
                raise ShapeError(f"Camera {self.name}: {label} must be a finite {shape} matrix, got shape {matrix.shape}.")
            matrix.setflags(write=False)
            object.__setattr__(self, label, matrix)
        if self.width < 1 or self.height < 1:
            raise ShapeError(f"Camera {self.name}: size must be positive, got {self.width}x{self.height}.")
        if self.fx <= 0 or self.fy <= 0:
            raise ShapeError(f"Camera {self.name}: focal lengths must be positive, got fx {self.fx:g}, fy {self.fy:g}.")
        if not 0 < self.near < math.inf:
            raise ShapeError(f"Camera {self.name}: the near plane must be a positive depth, got {self.near:g}.")
        rotation = self.rotation
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) or np.linalg.det(rotation) < 0:
            raise ShapeError(f"Camera {self.name}: the 3x3 part of world_to_camera is not a rotation.")

    @property
    def fx(self) -> float:
        return float(self.K[0, 0])

    @property
    def fy(self) -> float:
        return float(self.K[1, 1])

    @property
    def cx(self) -> float:
        return float(self.K[0, 2])

    @property
    def cy(self) -> float:
        return float(self.K[1, 2])

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) world to camera."""
        return self.world_to_camera[:3, :3]

    @property
    def translation(self) -> np.ndarray:
        """(3,) world to camera."""
        return self.world_to_camera[:3, 3]

    @cached_property
    def center(self) -> np.ndarray:
        """(3,) optical centre in world coordinates."""
        return -self.rotation.T @ self.translation

    @property
    def fov_y(self) -> float:
        """Vertical field of view in radians (of a centred principal point)."""
        return 2.0 * math.atan(0.5 * self.height / self.fy)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points (N, 3) to pixels (N, 2) and depths (N,) along the optical axis; behind the camera depth <= 0."""
        local = points @ self.rotation.T + self.translation
        depth = local[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            uv = local[:, :2] / depth[:, None] * (self.fx, self.fy) + (self.cx, self.cy)
        return uv, depth

    def resized(self, width: int, height: int) -> Camera:
        """The same view sampled with another number of pixels (field of view kept on each axis)."""
        sx, sy = width / self.width, height / self.height
        return replace(self, width=width, height=height, K=np.diag((sx, sy, 1.0)) @ self.K)
