"""Points that a network guessed, aligned with the known cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import PointCloud
from trackersplat.errors import InputError
from trackersplat.geometry.projection import inside_image
from trackersplat.sfm.align import align_poses, change
from trackersplat.sfm.instantsplat import GuessedScene
from trackersplat.sfm.settings import GuessSettings
from trackersplat.sfm.triangulate import CameraFit, SparsePoints


@dataclass(frozen=True)
class Alignment:
    """How well the network's cameras fit the known ones in one frame; medians over the cameras."""

    error: float  # pixels, between a point's projections by the known camera and by the network's camera of the same image
    degrees: float  # between the two views' directions
    distance: float  # scene units, between their centres
    disagreeing: tuple[str, ...]  # cameras whose own error is above `GuessSettings.max_error_share`


@dataclass(frozen=True, eq=False)
class GuessedPoints:
    points: SparsePoints  # in the frame of the known cameras; errors per camera as in Alignment
    alignment: Alignment
    found: int  # points before any was left out


def align_guess(guess: GuessedScene, known: Sequence[Camera], title: str, settings: GuessSettings) -> GuessedPoints:
    """The points of ``guess`` in the frame and scale of the ``known`` cameras of the same images.

    The cameras are aligned by a robust similarity; the network's cameras are used for nothing else. Points that no known camera has in its
    image and beyond its near plane are left out.

    Raises InputError (beginning with ``title``) if most cameras do not fit, or no point is left.
    """
    frame = align_poses([camera.world_to_camera for camera in guess.cameras], [camera.world_to_camera for camera in known])
    xyz = frame.points(guess.xyz)
    errors = [_error(guess.xyz, own, xyz, camera) for own, camera in zip(guess.cameras, known, strict=True)]
    between = [change(frame.pose(own.world_to_camera), camera.world_to_camera) for own, camera in zip(guess.cameras, known, strict=True)]
    limits = [settings.max_error_share * max(camera.width, camera.height) for camera in known]
    off = tuple(camera.name for camera, error, limit in zip(known, errors, limits, strict=True) if error > limit)
    alignment = Alignment(
        float(np.median(errors)),
        float(np.median([one.degrees for one in between])),
        float(np.median([one.distance for one in between])),
        off,
    )
    if not alignment.error <= np.median(limits):
        raise InputError(
            f"{title}'s cameras do not fit the known poses: projections of its points differ by {alignment.error:.0f} pixels (median), "
            f"expected at most {np.median(limits):.0f}; try another initialiser or --points features, and check the poses."
        )
    seen = np.stack([_inside(camera, *camera.project(xyz), camera.near) for camera in known])
    kept = np.flatnonzero(seen.any(axis=0))
    if not len(kept):
        raise InputError(f"{title} found no point that a training camera sees: try another initialiser, or --points features.")
    if len(kept) > settings.max_points:
        kept = np.sort(np.random.default_rng(settings.seed).choice(kept, settings.max_points, replace=False))
    counts = seen[:, kept].sum(axis=1)
    fits = tuple(CameraFit(camera.name, None, int(n), error) for camera, n, error in zip(known, counts, errors, strict=True))
    cloud = PointCloud(xyz[kept].astype(np.float32), guess.rgb[kept])
    return GuessedPoints(SparsePoints(cloud, fits), alignment, len(guess.xyz))


def _error(guessed: np.ndarray, own: Camera, xyz: np.ndarray, known: Camera) -> float:
    """Pixels, median over the points in the image of the network's own camera; no point counts more than the image's diagonal."""
    there, own_depth = own.project(guessed)
    shown = _inside(own, there, own_depth, 0.0)
    here, depth = known.project(xyz)
    diagonal = float(np.hypot(known.width, known.height))
    off = np.where(depth > 0, np.linalg.norm(here - there, axis=1), diagonal)[shown]
    return float(np.median(np.minimum(off, diagonal))) if len(off) else diagonal


def _inside(camera: Camera, uv: np.ndarray, depth: np.ndarray, near: float) -> np.ndarray:
    """(N,) whether points lie in the image and beyond ``near``."""
    return np.asarray((depth > near) & inside_image(uv, camera.width, camera.height))
