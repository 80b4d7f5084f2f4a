"""Where tracks come from: a tracker that looks at the images, or exact tracks that lie with the capture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from trackersplat.captures.capture import Capture
from trackersplat.tracking.registry import create_tracker, tracker_info
from trackersplat.tracking.trackers.exact import EXACT, stored_tracks
from trackersplat.tracking.tracks import DenseTracks, TrackerInfo
from trackersplat.tracking.views import track_views

# (cameras, base frame, target frames) -> (camera, tracks from the base to every target), in any order
TrackSource = Callable[[Sequence[int], int, Sequence[int]], Iterator[tuple[int, DenseTracks]]]


def track_source(name: str, capture: Capture) -> TrackSource:
    """The tracker of that name, or with "exact" the capture's own tracks. Raises InputError if the name is unknown."""
    if name == EXACT.name:
        return partial(stored_tracks, capture)
    return partial(track_views, create_tracker(name), capture)


def source_info(name: str) -> TrackerInfo:
    """Facts about the source of that name. Raises InputError if it is unknown."""
    return EXACT if name == EXACT.name else tracker_info(name)
