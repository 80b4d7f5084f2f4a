"""Hide and show: what is hidden is not drawn and not exported; the reconstruction still uses it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trackersplat.document.scene_edit import EditScene, FrameState, SceneArguments, Target, TargetEdit


@dataclass(frozen=True)
class Hide(TargetEdit):
    kind = "hide"

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Hide:
        return cls(Target.parse(arguments), arguments.range())

    @property
    def label(self) -> str:
        return f"Hide {self.where}"

    def on_rows(self, state: FrameState, rows: np.ndarray, scene: EditScene) -> FrameState:
        return state.marked("hidden", rows, True)


@dataclass(frozen=True)
class Show(TargetEdit):
    kind = "show"

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Show:
        return cls(Target.parse(arguments), arguments.range())

    @property
    def label(self) -> str:
        return f"Show {self.where}"

    def on_rows(self, state: FrameState, rows: np.ndarray, scene: EditScene) -> FrameState:
        return state.marked("hidden", rows, False)
