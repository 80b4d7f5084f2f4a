"""Points that calibrated cameras see: epipolar distances, triangulation, reprojection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.checks.settings import DEFAULTS, PoseSettings
from trackersplat.geometry.projection import centers


def fundamental(a: Camera, b: Camera) -> np.ndarray:
    """(3, 3) F with ``x_b^T F x_a = 0`` for pixels of one point (Hartley and Zisserman, eq. 9.2)."""
    rotation = b.rotation @ a.rotation.T
    x, y, z = b.translation - rotation @ a.translation
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.linalg.inv(b.K).T @ cross @ rotation @ np.linalg.inv(a.K)


def epipolar_distances(a: Camera, b: Camera, uv_a: np.ndarray, uv_b: np.ndarray) -> np.ndarray:
    """(M,) pixels: mean of the distances of each point (M, 2) from the epipolar line of its partner, in both images."""
    F = fundamental(a, b)
    x = np.column_stack([uv_a, np.ones(len(uv_a))])
    y = np.column_stack([uv_b, np.ones(len(uv_b))])
    line_b, line_a = x @ F.T, y @ F
    error = np.abs((y * line_b).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        distances = 0.5 * (error / np.hypot(line_a[:, 0], line_a[:, 1]) + error / np.hypot(line_b[:, 0], line_b[:, 1]))
    return np.nan_to_num(distances, nan=np.inf)


@dataclass(frozen=True)
class Triangulated:
    points: np.ndarray  # (T, 3) world
    normal: np.ndarray  # (T, 3, 3) of the least squares in pixels: its inverse is the covariance for errors of 1 pixel
    error: np.ndarray  # (T,) pixels: root mean square reprojection error of the views used; inf behind a camera or if undetermined


def triangulate(cameras: Sequence[Camera], uv: np.ndarray, used: np.ndarray, settings: PoseSettings = DEFAULTS.poses) -> Triangulated:
    """Robust least squares of reprojection errors: reweighted linear triangulation (Hartley and Sturm 1997) with Huber's weights.

    ``uv`` (T, C, 2) pixels, ``used`` (T, C) bool: the views of each point that count, two or more.
    """
    center, size = _scene(cameras)
    moved = [c.translation + c.rotation @ center for c in cameras]
    P = np.stack([c.K @ np.column_stack([c.rotation * size, t]) for c, t in zip(cameras, moved, strict=True)])
    safe = np.where(used[..., None], uv, 0.0)
    rows = P[None, :, :2] - safe[..., None] * P[None, :, 2:3]  # (T, C, 2, 4), times the point: depth times the error
    weight = used / np.array([c.fx for c in cameras])
    X = np.zeros((len(uv), 3))
    eye = 1e-12 * np.eye(3)
    for _ in range(settings.triangulation_rounds):
        weighted = rows * weight[..., None, None]
        normal = np.einsum("tcri,tcrj->tij", weighted[..., :3], weighted[..., :3])
        right = -np.einsum("tcri,tcr->ti", weighted[..., :3], weighted[..., 3])
        trace = np.trace(normal, axis1=1, axis2=2)[:, None, None]
        X = np.linalg.solve(normal + eye * np.maximum(trace, 1e-12), right[..., None])[..., 0]
        depth, error = _reproject(P, safe, X)
        with np.errstate(divide="ignore", invalid="ignore"):
            robust = np.minimum(1.0, np.sqrt(settings.huber_px / np.maximum(error, 1e-9)))
            weight = np.where(used, robust / np.maximum(np.abs(depth), 1e-6), 0.0)
    valid = ~np.any(used & (depth <= 1e-6), axis=1)
    count = np.maximum(used.sum(axis=1), 1)
    rms = np.sqrt(np.where(used, error**2, 0).sum(axis=1) / count)
    return Triangulated(X * size + center, normal / size**2, np.where(valid, rms, np.inf))


def prediction(camera: Camera, points: Triangulated) -> tuple[np.ndarray, np.ndarray]:
    """Where the camera should see the points: (T, 2) pixels, and (T,) pixels of uncertainty if each view is 1 pixel off."""
    uv, depth = camera.project(points.points)
    local = points.points @ camera.rotation.T + camera.translation
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.array([camera.fx, camera.fy]) / depth[:, None]
        J = scale[..., None] * (camera.rotation[None, :2] - (local[:, :2] / depth[:, None])[..., None] * camera.rotation[None, 2:3])
    good = np.isfinite(points.error) & (depth > 0)
    spread = np.full(len(depth), np.inf)
    normal = points.normal[good]
    normal = normal + 1e-12 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    covariance = J[good] @ np.linalg.inv(normal) @ J[good].transpose(0, 2, 1)
    spread[good] = np.sqrt(np.maximum(np.linalg.eigvalsh(covariance)[:, 1], 0.0)) if good.any() else []
    return uv, spread


def _scene(cameras: Sequence[Camera]) -> tuple[np.ndarray, float]:
    """Centre and size of the rig, by which the equations are scaled."""
    places = centers(cameras)
    center = places.mean(axis=0)
    return center, float(max(np.linalg.norm(places - center, axis=1).max(), 1e-9))


def _reproject(P: np.ndarray, uv: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depths (T, C) and errors (T, C) in pixels."""
    projected = np.einsum("cij,tj->tci", P[..., :3], X) + P[None, ..., 3]
    depth = projected[..., 2]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        error = np.linalg.norm(projected[..., :2] / depth[..., None] - uv, axis=-1)
    return depth, np.nan_to_num(error, nan=1e9, posinf=1e9)
