"""Delete and restore: what is deleted is not drawn, not exported, and left out when later frames are reconstructed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trackersplat.document.scene_edit import Clip, EditScene, FrameState, SceneArguments, Target, TargetEdit
from trackersplat.document.selection import Selection


@dataclass(frozen=True)
class Delete(TargetEdit):
    kind = "delete"

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Delete:
        return cls(Target.parse(arguments), arguments.range())

    @property
    def label(self) -> str:
        return f"Delete {self.where}"

    def on_rows(self, state: FrameState, rows: np.ndarray, scene: EditScene) -> FrameState:
        return state.marked("deleted", rows, True)

    def deletes(self, frame: int, clip: Clip) -> Selection | None:
        return self.target.within(clip) if self.frames.last is None and frame in self.frames else None


@dataclass(frozen=True)
class Restore(TargetEdit):
    kind = "restore"

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Restore:
        return cls(Target.parse(arguments), arguments.range())

    @property
    def label(self) -> str:
        return f"Restore {self.where}"

    def on_rows(self, state: FrameState, rows: np.ndarray, scene: EditScene) -> FrameState:
        return state.marked("deleted", rows, False)

    def restores(self, frame: int, clip: Clip) -> Selection | None:
        """Also for a part of the later frames: what is to be there in one of them is not left out before."""
        return self.target.within(clip) if self.frames.last is None or self.frames.last >= frame else None
