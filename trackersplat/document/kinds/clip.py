"""Trim and retime: which frames of the run are played, and how fast. What edits do to frames stays with these frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from trackersplat.document.scene_edit import Clip, SceneArguments, SceneEdit
from trackersplat.edits.frame_range import FrameRange
from trackersplat.errors import InputError

SLOWEST, FASTEST = 0.01, 100.0
MOST_FRAMES = 1 << 20  # of a document: a bound for lists of them


@dataclass(frozen=True)
class Trim(SceneEdit):
    """Keeps the frames of a range; they are those of the run."""

    kind = "trim"
    frames: FrameRange

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Trim:
        return cls(arguments.frames("frames"))

    def to_json(self) -> dict[str, Any]:
        return {"frames": str(self.frames)}

    @property
    def label(self) -> str:
        return f"Keep {self.frames.words}"

    @property
    def named_frames(self) -> FrameRange | None:
        return self.frames

    def on_clip(self, clip: Clip) -> Clip:
        left = tuple(frame for frame in clip.frames if frame in self.frames)
        if not left:
            raise InputError(f"None of {self.frames.words} is in the clip: give a range that has some of its frames.")
        return replace(clip, frames=left)


@dataclass(frozen=True)
class Retime(SceneEdit):
    """Plays ``speed`` times as fast: frames are left out, or played several times. The frame rate stays."""

    kind = "retime"
    speed: float
    backwards: bool = False

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Retime:
        return cls(arguments.number("speed", SLOWEST, FASTEST), arguments.flag("backwards", False))

    def to_json(self) -> dict[str, Any]:
        return {"speed": self.speed, "backwards": self.backwards}

    @property
    def label(self) -> str:
        return f"Play {self.speed:g} times as fast" + (", backwards" if self.backwards else "")

    def on_clip(self, clip: Clip) -> Clip:
        frames = clip.frames[::-1] if self.backwards else clip.frames
        count = max(round(len(frames) / self.speed), 1)
        if count > MOST_FRAMES:
            raise InputError(f"The clip would have {count:,} frames, expected at most {MOST_FRAMES:,}: choose a higher speed.")
        return replace(clip, frames=tuple(frames[min(int(i * self.speed), len(frames) - 1)] for i in range(count)))
