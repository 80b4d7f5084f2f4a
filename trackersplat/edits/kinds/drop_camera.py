"""``drop_camera``: from a frame on, a camera is used neither for the motion nor for the refinement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from trackersplat.edits.arguments import Arguments
from trackersplat.edits.edit import Edit


@dataclass(frozen=True)
class DropCamera(Edit):
    """As `DropView`, and the images of the camera fit and refine nothing. It is not measured as a training camera either."""

    kind: ClassVar[str] = "drop_camera"
    camera: str
    frame: int = 0

    @classmethod
    def parse(cls, arguments: Arguments) -> DropCamera:
        return cls(arguments.text("camera"), arguments.frame() if arguments.has("frame") else 0)

    def to_json(self) -> dict[str, Any]:
        return {"camera": self.camera, "frame": self.frame + 1}

    @property
    def label(self) -> str:
        return f"Drop the camera {self.camera}" + (f" from frame {self.frame + 1} on" if self.frame else "")

    @property
    def cameras(self) -> tuple[str, ...]:
        return (self.camera,)

    @property
    def last_frame(self) -> int:
        return self.frame

    def changes_fit(self, frame: int) -> bool:
        return self.changes_gaussians(frame)

    def changes_gaussians(self, frame: int) -> bool:
        return frame >= self.frame

    def drops_view(self, camera: str, frame: int) -> bool:
        return self.drops_camera(camera, frame)

    def drops_camera(self, camera: str, frame: int) -> bool:
        return camera == self.camera and frame >= self.frame
