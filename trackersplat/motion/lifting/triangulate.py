"""Positions of points from pixels in several views, some of which are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.motion.lifting.settings import LiftSettings

_RIDGE = 1e-9  # of the trace of the normal equations: keeps them regular along a lone ray


@dataclass(frozen=True, eq=False)
class RobustPoints:
    """P points of one frame with what each of V views says about them."""

    positions: np.ndarray  # (P, 3) float64; nan where the views do not determine one
    residual_px: np.ndarray  # (V, P) reprojection error; nan where the view was not asked or there is no position
    left_out_px: np.ndarray  # (V, P) the same against the position from the other views alone; nan where it was not among those that agree
    agrees: np.ndarray  # (V, P) bool
    parallax: np.ndarray  # (P,) radians, largest angle between rays of views that agree; 0 without two
    deviation_px: np.ndarray  # (P,) standard deviation of the position in pixels of the views; inf where there is none
    rms_px: np.ndarray  # (P,) over the views that agree; nan where there is no position


@dataclass(frozen=True, eq=False)
class _Rig:
    """V cameras as arrays."""

    rotation: np.ndarray  # (V, 3, 3)
    translation: np.ndarray  # (V, 3)
    focal: np.ndarray  # (V, 2)
    middle: np.ndarray  # (V, 2)
    center: np.ndarray  # (V, 3)
    near: np.ndarray  # (V,)

    @staticmethod
    def of(cameras: Sequence[Camera]) -> _Rig:
        return _Rig(
            rotation=np.stack([camera.rotation for camera in cameras]),
            translation=np.stack([camera.translation for camera in cameras]),
            focal=np.array([(camera.fx, camera.fy) for camera in cameras]),
            middle=np.array([(camera.cx, camera.cy) for camera in cameras]),
            center=np.stack([camera.center for camera in cameras]),
            near=np.array([camera.near for camera in cameras]),
        )

    def local(self, points: np.ndarray) -> np.ndarray:
        """(V, P, 3) camera coordinates of points (P, 3)."""
        found: np.ndarray = points @ self.rotation.transpose(0, 2, 1) + self.translation[:, None]
        return found

    def error(self, points: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """(V, P, 2) px; very large behind a camera."""
        local = self.local(points)
        depth = local[..., 2:]
        with np.errstate(divide="ignore", invalid="ignore"):
            found = local[..., :2] / depth * self.focal[:, None] + self.middle[:, None] - pixels
        return np.where(depth > self.near[:, None, None], found, 1e6)

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """(V, P, 3) unit directions in the world."""
        local = np.concatenate(((pixels - self.middle[:, None]) / self.focal[:, None], np.ones((*pixels.shape[:2], 1))), axis=-1)
        world = local @ self.rotation
        found: np.ndarray = world / np.linalg.norm(world, axis=-1, keepdims=True)
        return found


def triangulate_points(
    cameras: Sequence[Camera],
    pixels: np.ndarray,  # (V, P, 2); nan where a view has no position
    certainty: np.ndarray,  # (V, P) in [0, 1]
    before: np.ndarray,  # (P, 3) where the points were in the frame before; nan where not known
    settings: LiftSettings,
) -> RobustPoints:
    """Every pair of views and the frame before propose a position; the one that most views agree with is refined by all that do.

    A proposal scores ``sum_v c_v max(0, 1 - r_v^2 / t^2)`` with the certainty c and the reprojection error r, and a little for being near
    the frame before. From the best, Gauss-Newton on the reprojection errors with Geman-McClure's weights. So a track that stays with what
    hides a point does not pull it, as long as two views go with it and fewer agree on anything else.

    The error without a view is that of the linear problem at the solution: with N the normal matrix, J_v and w_v the rows and the weight
    of a view, ``r / (1 - J N^-1 J^T w)`` as 2 x 2 blocks.

    Raises ShapeError if shapes do not fit.
    """
    views, count = certainty.shape
    if len(cameras) != views or pixels.shape != (views, count, 2) or before.shape != (count, 3):
        raise ShapeError(f"Triangulation needs pixels (V, P, 2), certainty (V, P), points (P, 3), got {pixels.shape}, {certainty.shape}.")
    rig = _Rig.of(cameras)
    asked = (certainty >= settings.least_certainty) & np.isfinite(pixels).all(-1)
    certain, seen = np.where(asked, certainty, 0.0), np.where(asked[..., None], pixels, 0.0)
    views_of = _Seen(seen, certain, settings.track_noise_px**2 / np.maximum(certain, 1e-6), rig.rays(seen))
    proposed = _best_proposal(rig, views_of, before, settings)
    points = np.nan_to_num(proposed)
    for iteration in range(settings.iterations + settings.polish):
        now = _linear(rig, points, views_of, settings)
        weight = now.weight
        if iteration >= settings.iterations:  # what disagrees does not pull at all
            weight = np.where(weight * views_of.variance > settings.inlier_weight, weight, 0.0)
        gradient = np.einsum("vpki,vpk,vp->pi", now.rows, now.error, weight)
        points = points - np.linalg.solve(_normal(now.rows, weight), gradient[..., None])[..., 0]
    points = np.where(np.isfinite(proposed), points, np.nan)
    return _judged(rig, points, views_of, _linear(rig, points, views_of, settings), settings)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What V views say about P points."""

    pixels: np.ndarray  # (V, P, 2); 0 where a view says nothing
    certain: np.ndarray  # (V, P); 0 where it says nothing
    variance: np.ndarray  # (V, P) px^2
    rays: np.ndarray  # (V, P, 3)


@dataclass(frozen=True, eq=False)
class _Linear:
    """The problem around a position."""

    weight: np.ndarray  # (V, P) robust, 1 / px^2
    rows: np.ndarray  # (V, P, 2, 3) px per scene unit
    error: np.ndarray  # (V, P, 2) px


def _best_proposal(rig: _Rig, seen: _Seen, before: np.ndarray, settings: LiftSettings) -> np.ndarray:
    """(P, 3); nan where nothing was proposed."""
    certain, rays = seen.certain, seen.rays
    views = len(certain)
    known = np.isfinite(before).all(-1)
    near_depth = np.where(known, np.linalg.norm(np.nan_to_num(before)[None] - rig.center[:, None], axis=-1).min(0), 1.0)
    pixel = near_depth / rig.focal.mean()

    def score(points: np.ndarray, offered: np.ndarray) -> np.ndarray:
        square = np.square(rig.error(points, seen.pixels)).sum(-1)
        total = (certain * np.clip(1 - square / settings.truncation_px**2, 0, None)).sum(0)
        step = np.linalg.norm(points - np.nan_to_num(before), axis=-1) / pixel
        total += settings.outlier_weight * np.where(known, np.clip(1 - (step / settings.jump_px) ** 2, 0, None), 0.0)
        return np.where(offered, total, -1.0)

    best = np.where(known[:, None], before, np.nan)
    most = score(np.nan_to_num(before), known)
    pairs = list(combinations(range(views), 2))
    for first, second in pairs[:: max(1, -(-len(pairs) // settings.most_pairs))]:
        point, parallel = _midpoint(rig.center[first], rays[first], rig.center[second], rays[second])
        offered = (certain[first] > 0) & (certain[second] > 0) & ~parallel
        found = score(point, offered)
        better = found > most
        best[better], most = point[better], np.maximum(found, most)
    return np.where((most >= 0)[:, None], best, np.nan)


def _midpoint(first: np.ndarray, one: np.ndarray, second: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, 3) halfway between the nearest points of two rays, and (P,) bool whether they are nearly parallel."""
    cosine = (one * other).sum(-1)
    between = second - first
    a, b = one @ between, other @ between
    share = 1 - cosine**2
    parallel = share < 1e-6
    scale = np.where(parallel, 1.0, share)
    along, back = (a - cosine * b) / scale, (cosine * a - b) / scale
    return 0.5 * (first + along[:, None] * one + second + back[:, None] * other), parallel


def _linear(rig: _Rig, points: np.ndarray, seen: _Seen, settings: LiftSettings) -> _Linear:
    """Weights are Geman-McClure's, 0 for a view that says nothing or has the point behind it."""
    local = rig.local(np.nan_to_num(points))
    depth = np.maximum(local[..., 2], rig.near[:, None])
    slope = local[..., :2] / depth[..., None]
    across = rig.rotation[:, None, :2] - slope[..., None] * rig.rotation[:, None, 2:]
    error = slope * rig.focal[:, None] + rig.middle[:, None] - seen.pixels
    robust = (1 + np.square(error).sum(-1) / seen.variance / settings.kernel**2) ** -2.0
    used = (seen.certain > 0) & (local[..., 2] > rig.near[:, None]) & np.isfinite(points).all(-1)
    return _Linear(np.where(used, robust / seen.variance, 0.0), across * (rig.focal[:, None] / depth[..., None])[..., None], error)


def _normal(rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(P, 3, 3), regular also where no view says anything."""
    normal: np.ndarray = np.einsum("vpki,vpkj,vp->pij", rows, rows, weight)
    normal += (_RIDGE * np.trace(normal, axis1=1, axis2=2) + 1e-12)[:, None, None] * np.eye(3)
    return normal


def _judged(rig: _Rig, points: np.ndarray, seen: _Seen, now: _Linear, settings: LiftSettings) -> RobustPoints:
    """What is left of the positions (P, 3) once the views that agree are known."""
    agrees = now.weight * seen.variance > settings.inlier_weight
    kept = np.where(agrees, now.weight, 0.0)
    square = np.square(now.error).sum(-1)
    covariance = np.linalg.inv(_normal(now.rows, kept))
    number = agrees.sum(0)
    rms = np.sqrt((kept * square).sum(0) / np.maximum(kept.sum(0), 1e-30))
    distance = np.linalg.norm(np.nan_to_num(points)[None] - rig.center[:, None], axis=-1)
    footprint = (distance / rig.focal.mean(-1)[:, None] * agrees).sum(0) / np.maximum(number, 1)
    inflation = np.maximum(1.0, (kept * square).sum(0) / np.maximum(2 * number - 3, 1))
    deviation = np.sqrt(np.trace(covariance, axis1=1, axis2=2) * inflation) / np.maximum(footprint, 1e-12)
    parallax = _parallax(seen.rays, agrees)
    share = (seen.certain * agrees).sum(0) / np.maximum(seen.certain.sum(0), 1e-9)
    good = (
        np.isfinite(points).all(-1)
        & (number >= settings.minimum_views)
        & (share >= settings.agreeing_share)
        & (rms <= settings.maximum_residual_px)
        & (deviation <= settings.maximum_deviation_px)
        & (parallax >= settings.least_parallax)
    )
    return RobustPoints(
        positions=np.where(good[:, None], points, np.nan),
        residual_px=np.where((seen.certain > 0) & good, np.sqrt(square), np.nan),
        left_out_px=np.where(good, _left_out(now, kept, covariance), np.nan),
        agrees=agrees & good,
        parallax=np.where(good, parallax, 0.0),
        deviation_px=np.where(good, deviation, np.inf),
        rms_px=np.where(good, rms, np.nan),
    )


def _left_out(now: _Linear, kept: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """(V, P) px; nan where a view does not count, or the others alone determine nothing."""
    lever = np.einsum("vpki,pij,vplj,vp->vpkl", now.rows, covariance, now.rows, kept)
    remaining = np.eye(2) - lever
    solvable = (kept > 0) & (np.abs(np.linalg.det(remaining)) > 1e-6)
    found = np.full(kept.shape, np.nan)
    if solvable.any():
        found[solvable] = np.linalg.norm(np.linalg.solve(remaining[solvable], now.error[solvable][..., None])[..., 0], axis=-1)
    return found


def _parallax(rays: np.ndarray, agrees: np.ndarray) -> np.ndarray:
    """(P,) radians, the largest angle between two rays of views that agree."""
    cosine = np.einsum("vpi,wpi->vwp", rays, rays)
    both = agrees[:, None] & agrees[None]
    found: np.ndarray = np.arccos(np.clip(np.where(both, cosine, 1.0), -1, 1)).max((0, 1), initial=0.0)
    return found
