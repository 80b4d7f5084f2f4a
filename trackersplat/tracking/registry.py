"""The trackers and matchers there are, by name. Listing them imports nothing of what they need."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from trackersplat.errors import InputError
from trackersplat.registry import Registry
from trackersplat.tracking.settings import NoSettings
from trackersplat.tracking.tracker import MatcherFacts, TrackerFacts

if TYPE_CHECKING:
    import torch

    from trackersplat.tracking.tracker import Matcher, Tracker

DEFAULT_TRACKER = "dis"
DEFAULT_MATCHER = "dis"

TRACKERS: Registry[TrackerFacts] = Registry(
    "tracker",
    (
        TrackerFacts(
            name="dis",
            title="DIS optical flow and exhaustive search with forward-backward check",
            load="trackersplat.tracking.trackers.dis.tracker:DISTracker",
            settings="trackersplat.tracking.trackers.dis.settings:DISSettings",
            licence="Apache-2.0 (OpenCV)",
            stride=1,
        ),
        TrackerFacts(
            name="exact",
            title="Exact tracks stored with the capture",
            load="trackersplat.tracking.trackers.exact:StoredTracks",
            licence="that of the capture",
            devices=("cuda", "cpu"),
            hidden_weight=1.0,
            stored=True,
            frames_between=False,
            render_and_match=False,
        ),
        TrackerFacts(
            name="file",
            title="Tracks read from a file, with --tracks",
            load="trackersplat.tracking.trackers.file:FileTracks",
            settings="trackersplat.tracking.trackers.file:FileTrackSettings",
            licence="that of the tracks",
            devices=("cuda", "cpu"),
            hidden_weight=1.0,
            stored=True,
            frames_between=False,
        ),
    ),
)

MATCHERS: Registry[MatcherFacts] = Registry(
    "matcher",
    (
        MatcherFacts(
            name="dis",
            title="DIS optical flow and exhaustive search, there and back",
            load="trackersplat.tracking.trackers.dis.matcher:DISMatcher",
            settings="trackersplat.tracking.trackers.dis.settings:MatchSettings",
            licence="Apache-2.0 (OpenCV)",
        ),
    ),
)


def create_tracker(name: str, device: torch.device | str, settings: Any = None) -> Tracker:
    """A tracker ready for use on the device, or on the CPU if it runs only there; ``settings`` default to `tracker_settings`.

    Raises InputError if the name is unknown, a package is missing, it cannot run on this device, or its tracks are stored with a
    capture (`sources.track_source` reads those).
    """
    facts = TRACKERS.facts(name)
    if facts.stored:
        raise InputError(f"The tracks of {name!r} are stored with a capture: there is no tracker to create.")
    chosen = _device(facts, device, TRACKERS.kind)
    tracker: Tracker = TRACKERS.load(name)(chosen, tracker_settings(name) if settings is None else settings)
    return tracker


def tracker_settings(name: str) -> Any:
    """The tracker's settings with their defaults: a frozen dataclass. Raises InputError if the name is unknown."""
    return _defaults(TRACKERS.facts(name).settings)


def create_matcher(name: str, device: torch.device | str, settings: Any = None) -> Matcher:
    """A matcher ready for use on the device, or on the CPU if it runs only there; ``settings`` default to `matcher_settings`.

    Raises InputError if the name is unknown, a package is missing, or it cannot run on this device.
    """
    chosen = _device(MATCHERS.facts(name), device, MATCHERS.kind)
    matcher: Matcher = MATCHERS.load(name)(chosen, matcher_settings(name) if settings is None else settings)
    return matcher


def matcher_settings(name: str) -> Any:
    """The matcher's settings with their defaults: a frozen dataclass. Raises InputError if the name is unknown."""
    return _defaults(MATCHERS.facts(name).settings)


def _defaults(settings: str) -> Any:
    if not settings:
        return NoSettings()
    module, _, attribute = settings.partition(":")
    return getattr(importlib.import_module(module), attribute)()


def _device(facts: TrackerFacts | MatcherFacts, device: torch.device | str, kind: str) -> torch.device:
    import torch

    wanted = torch.device(device)
    if wanted.type in facts.devices:
        return wanted
    if "cpu" in facts.devices:
        return torch.device("cpu")
    raise InputError(f"The {kind} {facts.name} needs a device of type {' or '.join(facts.devices)}, this one is {wanted.type}.")
