"""Which views help which, and between which depths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.geometry.projection import centers, common_focus, inside_image
from trackersplat.training.points.settings import DepthRangeSettings, FarApartSettings, NeighbourSettings


def far_apart(cameras: Sequence[Camera], settings: FarApartSettings) -> bool:
    """Whether neighbouring cameras see surfaces so differently that planes facing one of them match little."""
    focus = common_focus(list(cameras)) if len(cameras) >= 2 else None
    if focus is None:
        return False
    directions = np.stack([camera.center - focus for camera in cameras])
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    angles = np.degrees(np.arccos(np.clip(directions @ directions.T, -1, 1)))
    np.fill_diagonal(angles, np.inf)
    return float(np.median(angles.min(axis=1))) > settings.angle


def views_of_a_place(cameras: Sequence[Camera], settings: FarApartSettings) -> float:
    """How many of the cameras see a place, on average over the volume before each camera, around what they all look at.

    All of them where they look in parallel.
    """
    focus = common_focus(list(cameras))
    if focus is None:
        return float(len(cameras))
    counts = []
    for camera in cameras:
        depth = max(float((focus - camera.center) @ camera.rotation[2]), 1e-12)
        places = frustum_points(camera, *(factor * depth for factor in settings.around))
        seen = np.zeros(len(places))
        for other in cameras:
            uv, z = other.project(places)
            seen += (z > 0) & inside_image(uv, other.width, other.height)
        counts.append(float(seen.mean()))
    return float(np.mean(counts))


def neighbours(cameras: list[Camera], reference: int, near: float, far: float, settings: NeighbourSettings) -> list[int]:
    """Indices of the views to compare ``reference`` with, best first: they see the same volume under a moderate parallax."""
    points = frustum_points(cameras[reference], near, far)
    scores = []
    for i, camera in enumerate(cameras):
        if i == reference:
            continue
        uv, depth = camera.project(points)
        seen = (depth > 0) & inside_image(uv, camera.width, camera.height)
        if not seen.any():
            continue
        one, two = cameras[reference].center - points[seen], camera.center - points[seen]
        cosine = (one * two).sum(1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1))
        angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        worth = np.exp(-0.5 * ((angle - settings.angle) / np.where(angle < settings.angle, settings.narrow, settings.wide)) ** 2)
        scores.append((float(worth.sum()), -i))
    return [-i for _, i in sorted(scores, reverse=True)[: settings.count]]


def frustum_points(camera: Camera, near: float, far: float) -> np.ndarray:
    """(M, 3) world points that sample what a camera sees between two depths, uniform in pixels and inverse depth."""
    u, v, w = np.meshgrid(
        (np.arange(6) + 0.5) * camera.width / 6, (np.arange(6) + 0.5) * camera.height / 6, np.linspace(1 / far, 1 / near, 6), indexing="ij"
    )
    return unproject(camera, np.stack((u.ravel(), v.ravel()), axis=1), 1 / w.ravel())


def unproject(camera: Camera, uv: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Pixels (N, 2) at depths (N,) along the optical axis to world points (N, 3)."""
    local = np.stack(((uv[:, 0] - camera.cx) / camera.fx * depth, (uv[:, 1] - camera.cy) / camera.fy * depth, depth), axis=1)
    return (local - camera.translation) @ camera.rotation


def depth_range(capture: Capture, cameras: Sequence[int], index: int, settings: DepthRangeSettings) -> tuple[float, float]:
    """A generous near and far of one camera in scene units: from the capture's bounds, its points, or else the rig's size.

    Raises InputError if all cameras stand at one point and nothing else tells the depth.
    """
    camera = capture.cameras[index]
    if capture.depth_bounds is not None:
        near, far = (float(v) for v in capture.depth_bounds[index])
        if 0 < near < far < np.inf:
            return settings.bounds[0] * near, settings.bounds[1] * far
    if capture.points is not None and len(capture.points.xyz) >= settings.fewest_points:
        depth = _seen_depths(camera, capture.points.xyz.astype(np.float64))
        if len(depth) >= settings.fewest_seen:
            near, far = (float(np.percentile(depth, percent)) for percent in settings.percentiles)
            return settings.points[0] * near, settings.points[1] * far
    places = centers(capture.cameras[i] for i in cameras)
    size = float(np.linalg.norm(places[:, None] - places, axis=2).max())
    if size <= 0:
        raise InputError(f"{capture.name}: all cameras stand at one point, so no depth can be measured; give the capture points.")
    focus = common_focus([capture.cameras[i] for i in cameras])
    ahead = size if focus is None else float((camera.rotation @ focus + camera.translation)[2])
    if focus is not None and ahead > settings.nearest_focus * size:
        return settings.focus[0] * ahead, settings.focus[1] * ahead
    return settings.rig[0] * size, settings.rig[1] * size


def tighten(camera: Camera, xyz: np.ndarray, known: tuple[float, float], settings: DepthRangeSettings) -> tuple[float, float]:
    """Near and far from points found at a coarse scale, with a margin, within what was known; unchanged if too few are seen."""
    depth = _seen_depths(camera, xyz)
    if len(depth) < settings.fewest_swept:
        return known
    near, far = np.percentile(depth, settings.swept_percentiles)
    return max(known[0], settings.swept[0] * float(near)), min(known[1], settings.swept[1] * float(far))


def _seen_depths(camera: Camera, xyz: np.ndarray) -> np.ndarray:
    uv, depth = camera.project(xyz)
    inside = (depth > 0) & inside_image(uv, camera.width, camera.height)
    return depth[inside]
