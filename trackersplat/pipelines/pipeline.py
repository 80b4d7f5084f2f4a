"""What a pipeline is: one step from a frame to the frames of its batch, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.edits.applied import AppliedEdits
from trackersplat.events import Event
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.metrics.measure import unavailable, why_unusable
from trackersplat.motion.followed_tracks import FollowedTracks
from trackersplat.motion.motion import CarriedMotion, Motion
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.registry import Facts
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.track_cache import TrackCache
from trackersplat.training.photometric import ColourAffines


@dataclass(frozen=True)
class PipelineFacts(Facts):
    """Facts about a pipeline. ``load`` names a class without arguments that is a `Pipeline`."""

    folder: str = ""  # of its frames below the run, as the published system names it; "{tracker}" is replaced
    tracks: bool = True  # whether it asks a tracker

    def folder_for(self, tracker: str) -> str:
        return self.folder.format(tracker=tracker)


@dataclass(frozen=True)
class Batch:
    """Frames that are moved from one base; ``base`` is None for a frame that is fitted from scratch."""

    base: int | None
    targets: tuple[int, ...]

    @property
    def through(self) -> range:
        """The frames to go through: from the base to the last target, also where only some of them are wanted or missing.

        What moves is followed from frame to frame, and so a batch that was stopped in its middle ends the same.
        """
        first = self.targets[0] if self.base is None else self.base + 1
        return range(first, self.targets[-1] + 1)


@dataclass(frozen=True, eq=False)
class Origin:
    """A frame as it was fitted to its images. Static content of later frames is reset to it."""

    frame: int
    gaussians: Gaussians


@dataclass(frozen=True, eq=False)
class ChainState:
    """All that one step of a pipeline hands to the next, on the rasteriser's device. Read from disk only to resume."""

    frame: int
    gaussians: Gaussians
    lineage: Lineage | None  # None in runs of the published system, which keep none
    origin: Origin | None = None  # None where the lineage is not known, or the origin's frame is not there any more
    carried: CarriedMotion | None = None  # of the motion that led to this frame
    colours: ColourAffines | None = None  # by which the training cameras' colours differ, where they do
    tracks: FollowedTracks | None = None  # the sparse tracks, where they are in this frame

    def __len__(self) -> int:
        return len(self.gaussians)


@dataclass(frozen=True, eq=False)
class FrameResult(Event):
    """One reconstructed frame. The last event about its frame."""

    state: ChainState  # what the next step starts from
    base: int | None  # the frame it was moved from, None for a first frame
    motion: Motion | None  # from the base; None where nothing was moved by tracks
    replaced: Tensor  # (B,) int64, ascending: indices that hold other Gaussians than the base does
    iterations: int  # optimisation steps
    scores: Mapping[str, Mapping[str, float]]  # score name (`metrics.names`) -> camera name -> value; training cameras too
    unavailable: Mapping[str, str]  # metrics that were not computed, and why
    seconds: Mapping[str, float] = field(default_factory=dict)  # wall time per stage

    @property
    def frame(self) -> int:
        return self.state.frame

    @property
    def measured(self) -> float:
        """Share of the Gaussians that were moved by their own tracks."""
        return 0.0 if self.motion is None else self.motion.measured.float().mean().item()

    @property
    def static(self) -> float:
        """Share of the Gaussians that were found static."""
        return 0.0 if self.motion is None else self.motion.is_static.float().mean().item()


@dataclass(frozen=True, eq=False)
class Context:
    """What every step of a reconstruction works with."""

    capture: Capture
    rasterizer: Rasterizer
    settings: ReconstructSettings
    weights: Path | None = None  # folder of the weights of metrics; None: where torch keeps what it has downloaded
    edits: AppliedEdits = field(default_factory=AppliedEdits)
    track_cache: TrackCache | None = None  # keeps what trackers of others answer; None: nothing is kept
    others: tuple[Rasterizer, ...] = ()  # of further devices, on which frames are refined at the same time

    def at(self, frame: int) -> Context:
        """With the cameras that edits leave to fit, refine and measure this frame. Raises InputError if none is left to train on."""
        capture = self.edits.capture_at(self.capture, frame)
        return self if capture is self.capture else replace(self, capture=capture)

    @cached_property
    def unavailable_metrics(self) -> dict[str, str]:
        """Those of the settings that cannot be computed here: name -> why, and what to do."""
        known = unavailable(self.weights)
        return {name: why for name in self.settings.metrics if (why := known.get(name) or why_unusable(name, self.weights))}

    @property
    def available_metrics(self) -> tuple[str, ...]:
        return tuple(name for name in self.settings.metrics if name not in self.unavailable_metrics)


class Pipeline(Protocol):
    """A named recipe. It touches no disk but the capture's images."""

    def first_frame(self, frame: int, context: Context) -> Iterator[Event]:
        """Fits a frame from scratch. The last event is its `FrameResult`."""
        ...

    def step(self, state: ChainState, batch: Batch, context: Context) -> Iterator[Event]:
        """From the base frame to the targets of its batch: a `FrameResult` for each, in order, the last event among them."""
        ...
