"""The trackers and matchers there are, by name. Listing them imports nothing of what they need."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from trackersplat.errors import InputError
from trackersplat.registry import Registry
from trackersplat.tracking.learned import LEARNED
from trackersplat.tracking.settings import NoSettings
from trackersplat.tracking.tracker import MatcherFacts, TrackerFacts

if TYPE_CHECKING:
    import torch

    from trackersplat.tracking.tracker import Matcher, Tracker

DEFAULT_TRACKER = "dis"
DEFAULT_MATCHER = "dis"
DEFAULT_ON = {"cuda": "dis-gpu"}  # torch device type -> the tracker and the matcher there, where they are others


class TrackerRegistry(Registry[TrackerFacts]):
    """Trackers by name; they may need code of others and weights beside packages."""

    def why_unavailable(self, name: str, weights: str = "") -> str | None:
        """See `Registry.why_unavailable`; ``weights`` is the file that settings name, "" where they name none. Imports nothing."""
        return self.code_missing(name) or self.weights_missing(name, weights)

    def code_missing(self, name: str) -> str | None:
        """What is missing of packages and of the code that a tracker runs, and how to get it; None if all is there."""
        facts = self.facts(name)
        if (missing := super().why_unavailable(name)) is not None:
            return missing
        why = None if facts.upstream is None else facts.upstream.missing()
        if facts.server and not os.environ.get(facts.server):
            why = f"the environment variable {facts.server} does not name its server"
        return None if why is None else f"{why}; `trackersplat trackers {name}` says how to get it"

    def weights_missing(self, name: str, weights: str = "") -> str | None:
        """What is missing of the weights of a tracker, and how to get it; None if all are there. ``weights`` as in `why_unavailable`."""
        files = self.facts(name).weights
        missing = [why for index, file in enumerate(files) if (why := file.missing("" if index else weights)) is not None]
        return f"{' and '.join(missing)}; `trackersplat trackers {name}` says how to get them" if missing else None

    def load(self, name: str, weights: str = "") -> Any:
        """See `Registry.load`; ``weights`` as in `why_unavailable`."""
        if (missing := self.why_unavailable(name, weights)) is not None:
            raise InputError(f"The tracker {name} cannot be used: {missing}.")
        return self.imported(name)


TRACKERS = TrackerRegistry(
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
            name="dis-gpu",
            title="The method of dis for all views at once, on a GPU",
            load="trackersplat.tracking.trackers.dis_gpu.tracker:BatchedDISTracker",
            settings="trackersplat.tracking.trackers.dis_gpu.settings:TrackSettings",
            licence="that of TrackerSplat",
            devices=("cuda", "cpu"),
            batch="views",
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
        *LEARNED,
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
        MatcherFacts(
            name="dis-gpu",
            title="The method of dis for many images at once, on a GPU",
            load="trackersplat.tracking.trackers.dis_gpu.matcher:BatchedDISMatcher",
            settings="trackersplat.tracking.trackers.dis_gpu.settings:MatchSettings",
            licence="that of TrackerSplat",
            devices=("cuda", "cpu"),
            batch="views",
        ),
    ),
)


def default_tracker(device: str) -> str:
    """The name of the tracker for "cpu" or "cuda"."""
    return DEFAULT_ON.get(device, DEFAULT_TRACKER)


def default_matcher(device: str) -> str:
    """The name of the matcher for "cpu" or "cuda"."""
    return DEFAULT_ON.get(device, DEFAULT_MATCHER)


def create_tracker(name: str, device: torch.device | str, settings: Any = None) -> Tracker:
    """A tracker ready for use on the device, or on the CPU if it runs only there; ``settings`` default to `tracker_settings`.

    Raises InputError if the name is unknown, a package is missing, it cannot run on this device, or its tracks are stored with a
    capture (`sources.track_source` reads those).
    """
    facts = TRACKERS.facts(name)
    if facts.stored:
        raise InputError(f"The tracks of {name!r} are stored with a capture: there is no tracker to create.")
    chosen = _device(facts, device, TRACKERS.kind)
    own = tracker_settings(name) if settings is None else settings
    tracker: Tracker = TRACKERS.load(name, getattr(own, "weights", ""))(chosen, own)
    return tracker


def licence_remark(name: str) -> str | None:
    """What has to be said whenever the tracker of that name is used, in one sentence; None if nothing. Raises InputError if unknown."""
    facts = TRACKERS.facts(name)
    if not facts.non_commercial:
        return None
    weights = sorted({file.licence for file in facts.weights})
    of_weights = f", weights: {', '.join(weights)}" if weights else ""
    return f"The tracker {name} may not be used commercially (code: {facts.licence}{of_weights})."


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
    needed = " or ".join("GPU" if device == "cuda" else device.upper() for device in facts.devices)
    raise InputError(f"The {kind} {facts.name} needs a {needed}, and this runs on the {wanted.type.upper()}: choose another {kind}.")
