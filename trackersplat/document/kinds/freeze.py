"""Freeze: Gaussians stay as they are in one frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from trackersplat.document.scene_edit import EditScene, FrameState, SceneArguments, Target, TargetEdit
from trackersplat.document.selection import rows_of
from trackersplat.gaussians.gaussians import concatenate


@dataclass(frozen=True, kw_only=True)
class Freeze(TargetEdit):
    """In the frames of the range, the target is exactly as in frame ``at`` (with the edits before this one).

    Those of the target that are not in frame ``at`` are deleted; those that are there, but not in a later frame (they made way for
    others), are added to it, behind the others.
    """

    kind = "freeze"
    at: int

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Freeze:
        return cls(Target.parse(arguments), arguments.range(), at=arguments.frame("at"))

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "at": self.at + 1}

    @property
    def label(self) -> str:
        return f"Freeze {self.where} as in frame {self.at + 1}"

    def on_frame(self, state: FrameState, scene: EditScene) -> FrameState:
        """Also of a frame that has none of the target itself."""
        if state.frame not in self.frames or state.frame == self.at:
            return state
        rows = self.target.within(scene.clip).rows(state.ids)
        return self.on_rows(state, rows, scene)

    def on_rows(self, state: FrameState, rows: np.ndarray, scene: EditScene) -> FrameState:
        still = scene.state(self.at)
        source = self.target.within(scene.clip).rows(still.ids)
        wanted = still.ids[source]
        place = rows_of(wanted, state.ids[rows])
        here = place >= 0
        into = rows[place[here]]
        gone = np.setdiff1d(rows, into)
        hidden, deleted = state.hidden.copy(), state.deleted.copy()
        hidden[into], deleted[into] = still.hidden[source[here]], still.deleted[source[here]]
        deleted[gone] = True
        tensors, frozen = {}, still.gaussians.tensors()
        to, of = torch.from_numpy(into), torch.from_numpy(source[here])
        for name, tensor in state.gaussians.tensors().items():
            tensors[name] = tensor.clone()
            tensors[name][to] = frozen[name][of]
        gaussians, ids, added = type(state.gaussians)(**tensors), state.ids, source[~here]
        if len(added):
            gaussians = concatenate([gaussians, still.gaussians[torch.from_numpy(added)]])
            ids = np.concatenate((ids, still.ids[added]))
            hidden = np.concatenate((hidden, still.hidden[added]))
            deleted = np.concatenate((deleted, still.deleted[added]))
        return FrameState(state.frame, ids, gaussians, hidden, deleted)
