"""Through time: what continues a selection in other frames under other ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trackersplat.document.carrying import CarrySettings, carried
from trackersplat.document.run_frames import require_frame
from trackersplat.document.scene_edit import SceneArguments, listed
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selecting.way import Way
from trackersplat.document.selection import NOTHING, Selection


@dataclass(frozen=True)
class ThroughTime(Way):
    """And the Gaussians of earlier and later frames that take its place there (`document.carrying`)."""

    kind = "through_time"
    selection: Selection
    frame: int  # in which it was selected
    settings: CarrySettings = field(default_factory=CarrySettings)

    @classmethod
    def parse(cls, arguments: SceneArguments) -> ThroughTime:
        return cls(arguments.selection("of", may_be_empty=True), arguments.frame())

    def to_json(self) -> dict[str, Any]:
        return {"of": listed(self.selection), "frame": self.frame + 1}

    def select(self, scene: SeenScene) -> Selection:
        frames = scene.edited.run_frames.frames
        require_frame(frames, self.frame)
        if not len(self.selection):
            return NOTHING
        return carried(self.selection, self.frame, frames, lambda frame: (scene.ids(frame), scene.gaussians(frame)), self.settings)
