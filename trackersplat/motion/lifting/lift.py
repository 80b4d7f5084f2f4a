"""2D tracks of all views to 3D tracks: a position where views agree, a gap where they do not, and what each of them said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.motion.lifting.settings import LiftSettings
from trackersplat.motion.lifting.triangulate import triangulate_points
from trackersplat.tracking.tracks import Provenance
from trackersplat.tracking.tracks3d import Tracks3D


@dataclass(frozen=True, eq=False)
class ViewTracks:
    """What a tracker said in V views about P points over F frames. The raw observations: lifting changes nothing of them."""

    cameras: tuple[str, ...]
    frames: tuple[int, ...]
    positions: np.ndarray  # (V, F, P, 2) float32 px, centres at +0.5; nan where the view does not follow the point
    visibility: np.ndarray  # (V, F, P) float32 in [0, 1]
    confidence: np.ndarray  # (V, F, P) float32 in [0, 1]

    def __post_init__(self) -> None:
        shape = (len(self.cameras), len(self.frames), self.positions.shape[2] if self.positions.ndim == 4 else -1)
        if self.positions.shape != (*shape, 2) or self.visibility.shape != shape or self.confidence.shape != shape:
            raise ShapeError(f"The tracks of views must be {shape}, got {self.positions.shape}, {self.visibility.shape}.")


@dataclass(frozen=True, eq=False)
class LiftedTracks:
    """3D tracks with the evidence that they rest on."""

    tracks: Tracks3D
    observed: ViewTracks
    residual_px: np.ndarray  # (V, F, P) of the 3D position against the view; nan where it says nothing, or there is no position
    left_out_px: np.ndarray  # (V, F, P) against the position from the other views alone; nan where the view did not agree
    agrees: np.ndarray  # (V, F, P) bool: the views that made the position
    parallax: np.ndarray  # (F, P) radians between the rays of those views
    hidden: np.ndarray  # (V, F, P) bool: the rendered surface lies before the point; False where nothing was rendered


def lift_tracks(
    cameras: Sequence[Camera],
    query: np.ndarray,  # (P, 4) frame, world x, y, z
    observed: ViewTracks,
    provenance: Provenance,
    settings: LiftSettings | None = None,
    hidden: np.ndarray | None = None,  # (V, F, P) bool: see `LiftedTracks.hidden`
) -> LiftedTracks:
    """Each frame is triangulated from the views, starting from the position before; the frame of the query has the query's.

    Frames before the query have no position. A view counts by its visibility times confidence, and not where the point is ``hidden``.
    A point is visible in a view if the tracker says so, the view agrees, and it is not hidden. Confidence falls with the deviation of a
    position and the share of views that disagree. Raises ShapeError if shapes do not fit.
    """
    settings = settings or LiftSettings()
    views, frames, count = observed.visibility.shape
    if query.shape != (count, 4) or len(cameras) != views:
        raise ShapeError(f"Lifting needs one query (P, 4) per track and one camera per view, got {query.shape} and {len(cameras)}.")
    covered = np.zeros((views, frames, count), bool) if hidden is None else hidden
    start = np.rint(query[:, 0]).astype(int)
    positions = np.full((frames, count, 3), np.nan)
    residual, left_out = (np.full((views, frames, count), np.nan, np.float32) for _ in range(2))
    agrees = np.zeros((views, frames, count), bool)
    parallax, confidence = (np.zeros((frames, count), np.float32) for _ in range(2))
    last = np.full((count, 3), np.nan)
    for row, frame in enumerate(observed.frames):
        after = start <= frame
        certainty = np.where(after & ~covered[:, row], observed.visibility[:, row] * observed.confidence[:, row], 0.0)
        found = triangulate_points(cameras, observed.positions[:, row].astype(np.float64), certainty, last, settings)
        begins = start == frame
        at = np.where(begins[:, None], query[:, 1:], found.positions)
        positions[row] = np.where(after[:, None], at, np.nan)
        residual[:, row], left_out[:, row], agrees[:, row] = found.residual_px, found.left_out_px, found.agrees
        parallax[row] = found.parallax
        share = (found.agrees * certainty).sum(0) / np.maximum(certainty.sum(0), 1e-9)
        trust = share / (1 + (found.deviation_px / settings.maximum_deviation_px) ** 2)
        confidence[row] = np.where(begins, 1.0, np.where(np.isfinite(found.positions).all(-1), trust, 0.0))
        last = np.where(np.isfinite(positions[row]), positions[row], last)
    seen = agrees & ~covered & (observed.visibility >= settings.visible)
    begins = np.array(observed.frames)[:, None] == start
    seen |= begins & (observed.visibility >= settings.visible) & ~covered
    known = np.isfinite(positions).all(-1)
    view_visibility = np.where(seen & known, observed.visibility, 0.0).astype(np.float32)
    tracks = Tracks3D(
        ids=np.arange(count),
        query=query,
        frames=observed.frames,
        positions=positions,
        visibility=view_visibility.max(0) if views else np.zeros((frames, count), np.float32),
        confidence=np.where(known, confidence, 0.0),
        provenance=provenance,
        cameras=observed.cameras,
        view_visibility=view_visibility,
    )
    return LiftedTracks(tracks, observed, residual, left_out, agrees, parallax, covered)
