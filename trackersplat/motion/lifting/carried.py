"""3D tracks of points that the Gaussians of a reconstruction carry: what the reconstruction itself says about how the scene moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.geometry.neighbours import nearest_to
from trackersplat.motion.carry import carry_points_between
from trackersplat.motion.lifting.queries import RenderedScene, SceneDepths, seen_in
from trackersplat.motion.lifting.settings import LiftSettings
from trackersplat.motion.settings import CarryPointsSettings
from trackersplat.tracking.tracks import Provenance
from trackersplat.tracking.tracks3d import Tracks3D


def carried_tracks(
    capture: Capture,
    query: np.ndarray,  # (P, 4) frame, world x, y, z
    frames: Sequence[int],  # ascending
    scene: RenderedScene,
    lineage: Callable[[int], Lineage | None],  # of a frame; None where it is not known
    settings: CarryPointsSettings | None = None,
) -> Tracks3D:
    """Each point moves from the frame of its query to every later one as the Gaussians around it do (`carry_points_between`).

    A track has a gap in frames that hold other Gaussians, or none, or whose lineage is not known. A point is visible in a training camera
    if it falls into its image and is not behind the rendered surface.

    Raises InputError if a query is in a frame that is not among these, or has no Gaussians.
    """
    settings = settings or CarryPointsSettings()
    start = np.rint(query[:, 0]).astype(int)
    bases: dict[int, tuple[Gaussians, np.ndarray]] = {}
    for base in sorted(set(start.tolist())):
        gaussians, known = scene.gaussians(base) if base in frames else None, lineage(base)
        if gaussians is None or known is None:
            raise InputError(f"Points start in frame {base + 1}, which has no Gaussians of known descent that could carry them.")
        bases[base] = (gaussians, known.ids.cpu().numpy())
    cameras = capture.training_cameras
    positions = np.full((len(frames), len(query), 3), np.nan)
    seen = np.zeros((len(cameras), len(frames), len(query)), np.float32)
    depth_of = SceneDepths(capture, cameras, scene, LiftSettings().depth_tolerance)
    for row, frame in enumerate(frames):
        after, descent = scene.gaussians(frame), lineage(frame)
        if after is None or descent is None:
            continue
        ids = descent.ids.cpu().numpy()
        for base, (before, known_ids) in bases.items():
            if frame >= base:
                chosen = np.flatnonzero(start == base)
                points = torch.from_numpy(query[chosen, 1:].astype(np.float64))
                positions[row, chosen] = carried_by_shared(points, before, known_ids, after, ids, settings)
        known_here = np.flatnonzero(np.isfinite(positions[row]).all(-1))
        seen[:, row, known_here] = seen_in(capture, cameras, positions[row, known_here], depth_of(frame))[0]
    return tracks_of_carried(query, frames, positions, seen, [capture.cameras[camera].name for camera in cameras])


def carried_by_shared(
    points: Tensor,  # (P, 3) of the base frame
    before: Gaussians,
    ids_before: np.ndarray,  # (N,) int64, as of `Lineage.ids`
    after: Gaussians,
    ids_after: np.ndarray,  # (M,)
    settings: CarryPointsSettings,
    least_left: float = 0.0,
) -> np.ndarray:  # (P, 3)
    """Where the Gaussians that are in both frames carry the points.

    nan if there are none, and for points of whose neighbours in the base frame less than ``least_left`` is in the other one.
    """
    _, first, second = np.intersect1d(ids_before, ids_after, assume_unique=True, return_indices=True)
    order = np.argsort(first)  # as they are in the base frame
    shared_before, shared_after = torch.from_numpy(first[order]), torch.from_numpy(second[order])
    found = np.full((len(points), 3), np.nan)
    if not len(order):
        return found
    held = np.ones(len(points), bool)
    if least_left > 0:
        left = torch.zeros(len(ids_before), dtype=torch.float64)
        left[shared_before] = 1.0
        around = nearest_to(points, before.means, settings.neighbours).indices.cpu()
        held = (left[around].mean(1) >= least_left).numpy()
    if held.any():
        start = points[torch.from_numpy(held)]
        found[held] = carry_points_between(start, before[shared_before], after[shared_after], settings).cpu().numpy()
    return found


def tracks_of_carried(
    query: np.ndarray,  # (P, 4)
    frames: Sequence[int],  # F
    positions: np.ndarray,  # (F, P, 3), nan in gaps
    seen: np.ndarray,  # (C, F, P) 1 where a camera sees the point
    cameras: Sequence[str],  # their names
) -> Tracks3D:
    """Tracks whose confidence is 1 where they have a position."""
    return Tracks3D(
        ids=np.arange(len(query), dtype=np.int64),
        query=query.astype(np.float64),
        frames=tuple(frames),
        positions=positions,
        visibility=seen.max(axis=0, initial=0.0),
        confidence=np.isfinite(positions).all(-1).astype(np.float32),
        provenance=Provenance("gaussians"),
        cameras=tuple(cameras),
        view_visibility=seen,
    )
