"""``drop_view``: the tracks of one camera have no weight in the motion to some frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from trackersplat.edits.arguments import Arguments
from trackersplat.edits.edit import Edit
from trackersplat.edits.frame_range import ALL_FRAMES, FrameRange


@dataclass(frozen=True)
class DropView(Edit):
    """In evidence the view is MASKED. Its sparse tracks follow the Gaussians, as hidden ones do, and none starts in it.

    Its images are still used to refine the frames.
    """

    kind: ClassVar[str] = "drop_view"
    camera: str
    frames: FrameRange = ALL_FRAMES

    @classmethod
    def parse(cls, arguments: Arguments) -> DropView:
        return cls(arguments.text("camera"), arguments.frames() if arguments.has("frames") else ALL_FRAMES)

    def to_json(self) -> dict[str, Any]:
        return {"camera": self.camera, "frames": str(self.frames)}

    @property
    def label(self) -> str:
        return f"Drop the view {self.camera} in {self.frames.words}"

    @property
    def cameras(self) -> tuple[str, ...]:
        return (self.camera,)

    @property
    def last_frame(self) -> int:
        return self.frames.first if self.frames.last is None else self.frames.last

    def changes_gaussians(self, frame: int) -> bool:
        return frame in self.frames

    def drops_view(self, camera: str, frame: int) -> bool:
        return camera == self.camera and frame in self.frames
