"""``rerun``: frames are made again, with all that is edited before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from trackersplat.edits.arguments import Arguments
from trackersplat.edits.edit import Edit
from trackersplat.edits.frame_range import FrameRange


@dataclass(frozen=True)
class Rerun(Edit):
    """It changes nothing but that the frames, and those that come from them, are stale."""

    kind: ClassVar[str] = "rerun"
    frames: FrameRange

    @classmethod
    def parse(cls, arguments: Arguments) -> Rerun:
        return cls(arguments.frames())

    def to_json(self) -> dict[str, Any]:
        return {"frames": str(self.frames)}

    @property
    def label(self) -> str:
        return f"Run {self.frames.words} again"

    @property
    def last_frame(self) -> int:
        return self.frames.first if self.frames.last is None else self.frames.last

    def changes_fit(self, frame: int) -> bool:
        return self.changes_gaussians(frame)

    def changes_gaussians(self, frame: int) -> bool:
        return frame in self.frames
