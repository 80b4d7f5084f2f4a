"""Points of the scene that a tracker in 3D follows in all views together, over depths rendered from Gaussians."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.motion.lifting.queries import RenderedScene, surface_queries
from trackersplat.motion.rendered_clip import rendered_clip
from trackersplat.tracking.parts import follow_points
from trackersplat.tracking.tracker3d import Tracker3D
from trackersplat.tracking.tracks3d import Tracks3D


def follow_in_space(
    tracker: Tracker3D,
    capture: Capture,
    cameras: Sequence[int],
    query: np.ndarray,  # (P, 4) frame, world x, y, z
    frames: Sequence[int],
    scene: RenderedScene,
) -> tuple[Tracks3D, tuple[str, ...]]:
    """The tracks of the queries through the ascending ``frames`` in these views, and remarks about how the tracker was asked.

    Raises InputError if a query is not in one of the frames, or a frame has no Gaussians whose depth the tracker could be given;
    TrackerFailed if the tracker fails.
    """
    start = np.rint(query[:, 0]).astype(int)
    strange = sorted({int(frame) + 1 for frame in start if frame not in frames})
    if strange:
        raise InputError(f"A query is in frame {strange[0]}, which is not among the {len(frames)} that are tracked.")
    found = {frame: scene.gaussians(frame) for frame in frames}
    missing = [frame + 1 for frame, gaussians in found.items() if gaussians is None]
    if missing:
        name = tracker.facts.name
        raise InputError(f"The tracker {name} needs depths, and frame {missing[0]} has no Gaussians to render them: reconstruct it first.")
    there = {frame: gaussians for frame, gaussians in found.items() if gaussians is not None}
    clip = rendered_clip(capture, cameras, frames, there.__getitem__, scene.rasterizer)
    index = {frame: at for at, frame in enumerate(frames)}
    asked = np.concatenate((np.array([index[frame] for frame in start], np.float64)[:, None], query[:, 1:]), axis=1)
    motion, remarks = follow_points(tracker, clip, torch.from_numpy(asked).float().to(clip.device))
    tracks = Tracks3D(
        ids=np.arange(len(query), dtype=np.int64),
        query=query.astype(np.float64),
        frames=tuple(frames),
        positions=motion.positions.double().cpu().numpy(),
        visibility=motion.visibility.cpu().numpy(),
        confidence=motion.confidence.cpu().numpy(),
        provenance=tracker.provenance,
    )
    return tracks, remarks


def surface_grid(capture: Capture, scene: RenderedScene, frame: int, cameras: Sequence[int], step_px: int) -> np.ndarray:
    """(P, 4): the rendered surface at a grid of pixels in each of the views; of points that lie close together, one.

    Raises InputError if there are no Gaussians in that frame.
    """
    found, spacing = [], []
    for camera in cameras:
        view = capture.cameras[camera]
        found.append(surface_queries(capture, scene, frame, camera, step_px))
        depth = found[-1][:, 1:] @ view.rotation[2] + view.translation[2]
        spacing.append(step_px * depth / view.fx)
    query = np.concatenate(found)
    if not len(query):
        return query
    cell = float(np.median(np.concatenate(spacing)))
    kept = np.unique(np.floor(query[:, 1:] / cell), axis=0, return_index=True)[1]
    return query[np.sort(kept)]
