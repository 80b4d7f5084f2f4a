"""Every choice of a reconstruction, with its defaults."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from trackersplat.motion.settings import MotionSettings
from trackersplat.tracking.registry import DEFAULT_TRACKER
from trackersplat.training.first_frame.fit import FirstFrameSettings
from trackersplat.training.refine.refine import RefineSettings

MEASURE_EVERY = 50  # steps of a first frame between two held-out measurements, for whoever watches


@dataclass(frozen=True)
class ReconstructSettings:
    """Frames of a batch share one base frame, from which all are refined; the last of them is the base of the next batch."""

    first: FirstFrameSettings = field(default_factory=FirstFrameSettings)
    refine: RefineSettings = field(default_factory=RefineSettings)
    motion: MotionSettings = field(default_factory=MotionSettings)
    tracker: str | None = DEFAULT_TRACKER  # None: no motion, refinement starts from the base frame as it is
    looks: int = 1  # times at most that tracks in doubt are corrected by matching the moved scene with the images
    batch: int = 1  # target frames that share a base
    seed: int = 0

    @staticmethod
    def for_device(device: str) -> ReconstructSettings:
        """Defaults that suit a "cpu" or a "cuda" device."""
        first = dataclasses.replace(FirstFrameSettings.for_device(device), measure_every=MEASURE_EVERY)
        return ReconstructSettings(first=first, refine=RefineSettings.for_device(device))

    def to_json(self) -> dict[str, Any]:
        """As it reads back from a file (lists for tuples), so that settings can be compared with those of a run."""
        return json.loads(json.dumps(dataclasses.asdict(self)))
