"""Where tracks come from: a tracker of the images, or tracks stored with the capture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import torch

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.tracking.registry import TRACKERS, create_tracker, tracker_settings
from trackersplat.tracking.settings import GridSettings
from trackersplat.tracking.track_cache import TrackCache
from trackersplat.tracking.tracks import DenseTracks
from trackersplat.tracking.views import track_views

# (cameras, base frame, target frames) -> (camera, tracks from the base to every target), in any order.
# What else callers need to know (stride, whether to render and match) are facts: ``TRACKERS.facts(name)``.
TrackSource = Callable[[Sequence[int], int, Sequence[int]], Iterator[tuple[int, DenseTracks]]]


class StoredSource(Protocol):
    """A `TrackSource` that reads tracks stored with a capture."""

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]: ...

    def targets(self, cameras: Sequence[int], base: int) -> tuple[int, ...]:
        """The frames (ascending) to which all these cameras have tracks from ``base``. Raises InputError if there are none."""
        ...


def track_source(
    name: str,
    capture: Capture,
    device: torch.device | str,
    settings: Any = None,
    *,
    grid: GridSettings | None = None,
    cache: TrackCache | None = None,
) -> TrackSource:
    """The source of that name, on the device; ``settings`` are those of the tracker, its defaults if None.

    ``grid`` is that of the queries, for a tracker that follows chosen points only (default `GridSettings`); ``cache`` keeps what the code
    of others answers.

    Raises InputError if the name is unknown or the tracker cannot be used, or follows points of the scene.
    """
    if TRACKERS.facts(name).three_d:
        raise InputError(f"The tracker {name} tracks in 3D, and this needs one that tracks in 2D: `trackersplat trackers` lists them.")
    if TRACKERS.facts(name).stored:
        return _stored(name, capture, device, settings)
    return partial(track_views, create_tracker(name, device, settings), capture, grid=grid or GridSettings(), cache=cache)


def reachable_targets(name: str, capture: Capture, cameras: Sequence[int], base: int, settings: Any = None) -> tuple[int, ...]:
    """The frames (indices, ascending) to which the source of that name has tracks from frame ``base``, in all these cameras.

    Raises InputError if the name is unknown, or tracks are stored but not from there, or damaged, or without a common frame.
    """
    if TRACKERS.facts(name).stored:
        return _stored(name, capture, "cpu", settings).targets(cameras, base)
    return tuple(range(base + 1, capture.frame_count))


def _stored(name: str, capture: Capture, device: torch.device | str, settings: Any) -> StoredSource:
    source: StoredSource = TRACKERS.load(name)(capture, torch.device(device), tracker_settings(name) if settings is None else settings)
    return source
