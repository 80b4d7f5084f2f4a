"""Which pixels show the same as in a frame long ago: flow from there directly, over nothing in between."""

from __future__ import annotations

import numpy as np

from trackersplat.tracking.registry import tracker_info
from trackersplat.tracking.trackers.dis.matching import Image, assess, flow
from trackersplat.tracking.tracks import DenseTracks


def direct_tracks(base: np.ndarray, target: np.ndarray, frames: tuple[int, int]) -> DenseTracks:
    """Tracks from the ``base`` to the ``target``, (H, W, 3) uint8 RGB images of the two ``frames``, by plain flow.

    They hold for what is still there, and are sure of that alone: what moved far is not searched for.
    """
    a, b = (Image(np.ascontiguousarray(image)) for image in (base, target))
    found = assess(a, b, flow(a, b), flow(b, a))
    return DenseTracks(
        base=frames[0],
        targets=(frames[1],),
        positions=(a.grid + 0.5 + found.flow)[None],
        visibility=found.visibility[None],
        confidence=found.confidence[None],
        tracker=tracker_info("dis"),
    )
