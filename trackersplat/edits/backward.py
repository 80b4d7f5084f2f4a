"""Points followed backward in time, from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trackersplat.motion.follow_tracks import TrackedPoints, sample_tracks
from trackersplat.tracking.sources import TrackSource


@dataclass(frozen=True)
class BackwardQuery:
    """Pixels of one camera (its index in the capture) in one frame, to be followed back by a tracker."""

    tracker: str
    camera: int
    frame: int
    pixels: tuple[tuple[float, float], ...]


class BackwardPaths:
    """The paths that were asked for, each as far back as it was needed; every frame is tracked once."""

    def __init__(self) -> None:
        self._known: dict[BackwardQuery, list[TrackedPoints]] = {}

    def at(self, query: BackwardQuery, source: TrackSource, frame: int) -> TrackedPoints:
        """Where the points are in a frame at or before that of the query, on the CPU; nan from where the tracker lost them."""
        start = torch.tensor(query.pixels, dtype=torch.float64)
        ones = torch.ones(len(start))
        path = self._known.setdefault(query, [TrackedPoints(start, ones, ones)])
        while query.frame - frame >= len(path):
            path.append(_step(path[-1], query, source, query.frame - len(path)))
        return path[query.frame - frame]


def _step(last: TrackedPoints, query: BackwardQuery, source: TrackSource, target: int) -> TrackedPoints:
    ((_, dense),) = source([query.camera], target + 1, [target])
    there = last.positions.isfinite().all(-1)
    found = sample_tracks(torch.where(there[:, None], last.positions, 0.0), dense, target)
    return TrackedPoints(
        positions=torch.where(there[:, None], found.positions, torch.nan),
        visibility=torch.where(there, torch.minimum(last.visibility, found.visibility), 0.0),
        confidence=torch.where(there, torch.minimum(last.confidence, found.confidence), 0.0),
    )
