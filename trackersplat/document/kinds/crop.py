"""Crop: in each frame, what is outside a box or a sphere there is deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trackersplat.document.region import Region, parse_region
from trackersplat.document.scene_edit import EditScene, FrameState, SceneArguments, SceneEdit
from trackersplat.edits.frame_range import ALL_FRAMES, FrameRange

INSIDE, OUTSIDE = "inside", "outside"


@dataclass(frozen=True)
class Crop(SceneEdit):
    """By the places of the centres in each frame, so that what moves out of the region is gone only while it is outside.

    Reconstruction does not leave out what is cropped: the photographs still show it.
    """

    kind = "crop"
    region: Region
    keep: str = INSIDE
    frames: FrameRange = ALL_FRAMES

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Crop:
        return cls(parse_region(arguments), arguments.choice("keep", (INSIDE, OUTSIDE), INSIDE), arguments.range())

    def to_json(self) -> dict[str, Any]:
        return {**self.region.to_json(), "keep": self.keep, "frames": str(self.frames)}

    @property
    def label(self) -> str:
        return f"Crop {self.frames.words}: keep what is {self.keep} {self.region.words}"

    @property
    def named_frames(self) -> FrameRange | None:
        return self.frames

    def on_frame(self, state: FrameState, scene: EditScene) -> FrameState:
        if state.frame not in self.frames:
            return state
        inside = self.region.contains(state.gaussians.means).numpy()
        return state.marked("deleted", np.flatnonzero(~inside if self.keep == INSIDE else inside), True)
