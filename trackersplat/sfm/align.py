"""Robust alignment of one set of poses with another by a similarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 30  # of reweighting, after which the result no longer changes
SMALLEST = 1e-9  # lower limit of residuals, so that their weights stay finite


@dataclass(frozen=True, eq=False)
class Similarity:
    """``x -> scale * rotation @ x + translation`` on world coordinates."""

    scale: float
    rotation: np.ndarray  # (3, 3)
    translation: np.ndarray  # (3,)

    def points(self, xyz: np.ndarray) -> np.ndarray:
        """(N, 3) moved points."""
        return self.scale * xyz @ self.rotation.T + self.translation

    def pose(self, world_to_camera: np.ndarray) -> np.ndarray:
        """(4, 4) pose of the same camera in the moved world; its lengths are multiplied by the scale."""
        moved = np.eye(4)
        moved[:3, :3] = world_to_camera[:3, :3] @ self.rotation.T
        moved[:3, 3] = self.scale * world_to_camera[:3, 3] - moved[:3, :3] @ self.translation
        return moved


@dataclass(frozen=True)
class PoseChange:
    """The difference of two poses of one camera."""

    degrees: float
    distance: float  # scene units


def align_poses(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> Similarity:
    """The similarity that takes the world of ``found`` to that of ``wanted``: (4, 4) world to camera of the same cameras, two at least.

    First the rotation that changes the directions of the cameras least, then the scale and translation that move their centres least. Both
    minimise sums of distances, not of squares, by iterative reweighting, so that a few wrong poses do not matter. The scale is 1 if all
    centres of ``found`` coincide.
    """
    a, b = np.stack(found), np.stack(wanted)
    relative = np.einsum("cji,cjk->cik", b[:, :3, :3], a[:, :3, :3])  # world of found -> world of wanted, by each camera
    weights = np.ones(len(a))
    rotation = np.eye(3)
    for _ in range(ROUNDS):
        u, _, vt = np.linalg.svd(np.einsum("c,cij->ij", weights, relative))
        rotation = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
        weights = 1 / np.maximum(np.linalg.norm(relative - rotation, axis=(1, 2)), SMALLEST)
    x = _centers(a) @ rotation.T
    y = _centers(b)
    weights = np.ones(len(a))
    scale, translation = 1.0, np.zeros(3)
    for _ in range(ROUNDS):
        share = (weights / weights.sum())[:, None]
        middle_x, middle_y = (share * x).sum(axis=0), (share * y).sum(axis=0)
        spread = float((share * (x - middle_x) ** 2).sum())
        size = float((share * (x - middle_x) * (y - middle_y)).sum()) / spread if spread > SMALLEST**2 else 1.0
        scale = size if size > 0 else scale  # mirrored: the centres do not belong together
        translation = middle_y - scale * middle_x
        weights = 1 / np.maximum(np.linalg.norm(scale * x + translation - y, axis=1), SMALLEST)
    return Similarity(scale, rotation, translation)


def upright(poses: Sequence[np.ndarray], points: np.ndarray) -> Similarity:
    """A frame for poses of unknown frame and scale.

    +y is the cameras' mean down axis, +z the part of their mean forward axis at right angles to it. The median depths of the points (N, 3)
    in the cameras are 1 unit in the mean. The origin is the median of the points.
    """
    rotations = np.stack([pose[:3, :3] for pose in poses])
    down, forward = rotations[:, 1].sum(axis=0), rotations[:, 2].sum(axis=0)
    down = down / np.linalg.norm(down) if np.linalg.norm(down) > 1e-6 else rotations[0, 1]
    right = np.cross(down, forward)
    right = right if np.linalg.norm(right) > 1e-6 * len(rotations) else np.cross(down, rotations[0, 2] + 1e-3 * rotations[0, 0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, down, np.cross(right, down)])
    depths = [np.median(points @ pose[2, :3] + pose[2, 3]) for pose in poses]
    scale = 1 / max(float(np.mean(np.abs(depths))), SMALLEST)
    return Similarity(scale, rotation, -scale * rotation @ np.median(points, axis=0))


def change(found: np.ndarray, wanted: np.ndarray) -> PoseChange:
    """Between two (4, 4) poses in one world."""
    between = found[:3, :3] @ wanted[:3, :3].T
    sine = 0.5 * np.linalg.norm([between[2, 1] - between[1, 2], between[0, 2] - between[2, 0], between[1, 0] - between[0, 1]])
    degrees = float(np.degrees(np.arctan2(sine, 0.5 * (np.trace(between) - 1))))
    return PoseChange(degrees, float(np.linalg.norm(_centers(found[None]) - _centers(wanted[None]))))


def _centers(poses: np.ndarray) -> np.ndarray:
    return -np.einsum("cji,cj->ci", poses[:, :3, :3], poses[:, :3, 3])
