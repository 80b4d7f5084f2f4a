"""The trackers there are, by name. Listing them imports nothing of what they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trackersplat.errors import InputError
from trackersplat.tracking.tracker import Tracker, TrackerInfo

DEFAULT_TRACKER = "dis"


@dataclass(frozen=True)
class _Entry:
    info: TrackerInfo
    create: Callable[[], Tracker]


def _dis() -> Tracker:
    from trackersplat.tracking.trackers.dis.tracker import DISTracker

    return DISTracker()


_ENTRIES = {
    entry.info.name: entry
    for entry in (
        _Entry(
            TrackerInfo(
                name="dis",
                title="DIS optical flow and exhaustive search with forward-backward check",
                licence="Apache-2.0 (OpenCV)",
                needs="",
                leg=1,
            ),
            _dis,
        ),
    )
}


def known_trackers() -> tuple[TrackerInfo, ...]:
    """Facts about every tracker, in the order in which they should be offered."""
    return tuple(entry.info for entry in _ENTRIES.values())


def tracker_info(name: str) -> TrackerInfo:
    """Facts about one tracker. Raises InputError if the name is unknown."""
    return _entry(name).info


def create_tracker(name: str) -> Tracker:
    """A tracker ready for use. Raises InputError if the name is unknown."""
    return _entry(name).create()


def _entry(name: str) -> _Entry:
    if name not in _ENTRIES:
        raise InputError(f"There is no tracker named {name!r}; choose one of {', '.join(_ENTRIES)}.")
    return _ENTRIES[name]
