"""3D tracks of points that the Gaussians of a reconstruction carry: what the reconstruction itself says about how the scene moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
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
    bases: dict[int, tuple[Gaussians, Lineage]] = {}
    for base in sorted(set(start.tolist())):
        gaussians, known = scene.gaussians(base) if base in frames else None, lineage(base)
        if gaussians is None or known is None:
            raise InputError(f"Points start in frame {base + 1}, which has no Gaussians of known descent that could carry them.")
        bases[base] = (gaussians, known)
    cameras = capture.training_cameras
    positions = np.full((len(frames), len(query), 3), np.nan)
    seen = np.zeros((len(cameras), len(frames), len(query)), np.float32)
    depth_of = SceneDepths(capture, cameras, scene, LiftSettings().depth_tolerance)
    for row, frame in enumerate(frames):
        after, descent = scene.gaussians(frame), lineage(frame)
        if after is None or descent is None:
            continue
        for base, (before, known) in bases.items():
            chosen = np.flatnonzero(start == base)
            if frame < base or known.origin != descent.origin:
                continue
            same = known.born == descent.born  # the others made way for new ones in between
            points = torch.from_numpy(query[chosen, 1:].astype(np.float64))
            positions[row, chosen] = carry_points_between(points, before[same], after[same], settings).cpu().numpy()
        known_here = np.flatnonzero(np.isfinite(positions[row]).all(-1))
        seen[:, row, known_here] = seen_in(capture, cameras, positions[row, known_here], depth_of(frame))[0]
    there = np.isfinite(positions).all(-1)
    return Tracks3D(
        ids=np.arange(len(query), dtype=np.int64),
        query=query.astype(np.float64),
        frames=tuple(frames),
        positions=positions,
        visibility=seen.max(axis=0, initial=0.0),
        confidence=there.astype(np.float32),
        provenance=Provenance("gaussians"),
        cameras=tuple(capture.cameras[camera].name for camera in cameras),
        view_visibility=seen,
    )
