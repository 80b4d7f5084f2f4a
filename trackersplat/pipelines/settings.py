"""Every choice of a reconstruction, with its defaults. All of it is in ``run.json``: whatever changes a number is here."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from trackersplat.metrics.dynamic import DynamicSettings
from trackersplat.motion.followed_tracks import FollowSettings
from trackersplat.motion.settings import MotionSettings
from trackersplat.tracking.registry import (
    DEFAULT_MATCHER,
    DEFAULT_TRACKER,
    default_matcher,
    default_tracker,
    matcher_settings,
    tracker_settings,
)
from trackersplat.tracking.settings import GridSettings
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.refine.registry import DEFAULT_REFINEMENT, refinement_settings

DEFAULT_PIPELINE = "base-propagate"
MEASURE_EVERY = 50  # steps of a first frame between two held-out measurements, for whoever watches


@dataclass(frozen=True)
class ReconstructSettings:
    """Frames of a batch share one base frame, from which all are refined; the last of them is the base of the next batch."""

    pipeline: str = DEFAULT_PIPELINE
    first: FirstFrameSettings = field(default_factory=FirstFrameSettings)
    tracker: str = DEFAULT_TRACKER  # or "exact": the capture's own tracks; unused by pipelines that ask no tracker
    tracking: Any = field(default_factory=lambda: tracker_settings(DEFAULT_TRACKER))  # the tracker's own settings
    queries: GridSettings = field(default_factory=GridSettings)  # where a tracker that follows chosen points only is asked
    depth_tracker: str = DEFAULT_TRACKER  # moves the Gaussians whose depths a tracker in 3D is given
    tracker_failure: Literal["stop", "keep"] = "stop"  # keep: where it fails, Gaussians stay as in the base frame until they are refined
    matcher: str = DEFAULT_MATCHER  # compares renderings with photographs, and the origin's photographs with later ones
    matching: Any = field(default_factory=lambda: matcher_settings(DEFAULT_MATCHER))  # the matcher's own settings
    motion: MotionSettings = field(default_factory=MotionSettings)
    follow: FollowSettings = field(default_factory=FollowSettings)  # of the sparse tracks that are kept
    refinement: str = DEFAULT_REFINEMENT
    refine: Any = field(default_factory=lambda: refinement_settings(DEFAULT_REFINEMENT))  # the refinement's own settings
    metrics: tuple[str, ...] = ("psnr", "ssim", "lpips", "lpips_alex")
    dynamic: DynamicSettings = field(default_factory=DynamicSettings)  # which pixels count as dynamic
    batch: int = 1  # target frames that share a base
    seed: int = 0

    @staticmethod
    def for_device(
        device: str,
        *,
        tracker: str | None = None,
        refinement: str = DEFAULT_REFINEMENT,
        pipeline: str = DEFAULT_PIPELINE,
        moved: bool = True,
    ) -> ReconstructSettings:
        """Defaults that suit a "cpu" or a "cuda" device, for a pipeline that has Gaussians ``moved`` by tracks, or not.

        Raises InputError if a name is unknown.
        """
        tracker, matcher = tracker or default_tracker(device), default_matcher(device)
        first = dataclasses.replace(FirstFrameSettings.for_device(device), measure_every=MEASURE_EVERY)
        return ReconstructSettings(
            pipeline=pipeline,
            first=first,
            tracker=tracker,
            tracking=tracker_settings(tracker),
            depth_tracker=default_tracker(device),
            matcher=matcher,
            matching=matcher_settings(matcher),
            refinement=refinement,
            refine=refinement_settings(refinement, device, moved),
        )

    def to_json(self) -> dict[str, Any]:
        """As it reads back from a file (lists for tuples), so that settings can be compared with those of a run."""
        values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return values
