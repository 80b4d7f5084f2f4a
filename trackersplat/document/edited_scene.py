"""A run with some edits over it, at one moment: nothing here changes, so that tools may work on it in threads of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trackersplat.document.last_used import LastUsed
from trackersplat.document.run_frames import RunFrames, require_frame
from trackersplat.document.scene_edit import Clip, FrameState, SceneEdit
from trackersplat.document.selection import NOTHING, Selection
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians

_KEPT_STATES = 24  # frames with edits in memory; unchanged parameters are shared with the run's own frames
_KEPT_SHOWN = 4  # copies of most of a frame


class StateCache:
    """The last frames to which edits were applied, by the token of the scene and the frame."""

    def __init__(self) -> None:
        self.states: LastUsed[FrameState] = LastUsed(_KEPT_STATES)
        self.shown: LastUsed[tuple[Gaussians, np.ndarray]] = LastUsed(_KEPT_SHOWN)


@dataclass(frozen=True)
class _Step:
    """One edit in effect, what the document is as a whole after it, and a hash of all up to it."""

    edit: SceneEdit
    clip: Clip
    token: str


class EditedScene:
    """The run's frames with edits applied, frame by frame when they are asked for. Frames are indices of the run's frames."""

    def __init__(self, frames: RunFrames, steps: tuple[_Step, ...] = (), cache: StateCache | None = None) -> None:
        self.run_frames = frames
        self._steps = steps
        self._cache = cache or StateCache()

    def edited(self, edit: SceneEdit, token: str) -> EditedScene:
        """With one edit more. ``token`` is a hash of what it does. Raises InputError if it does not fit the document."""
        clip = edit.on_clip(self.clip)
        return EditedScene(self.run_frames, (*self._steps, _Step(edit, clip, _after(self.token, token))), self._cache)

    @property
    def token(self) -> str:
        """A hash of the run's frames as they were found, and of all edits: pictures made with the same token are the same."""
        return self._steps[-1].token if self._steps else str(self.run_frames.revision)

    @property
    def edits(self) -> tuple[SceneEdit, ...]:
        return tuple(step.edit for step in self._steps)

    @property
    def clip(self) -> Clip:
        return self._steps[-1].clip if self._steps else Clip(self.run_frames.frames, {})

    def state(self, frame: int) -> FrameState:
        """A frame with all edits applied, what is hidden and deleted included. Raises InputError if it is not there or broken."""
        require_frame(self.run_frames.frames, frame)
        count = len(self._steps)
        found = None
        while count and found is None:
            found = self._cache.states.get((self._steps[count - 1].token, frame))
            count -= found is None
        if found is None:
            gaussians, ids = self.run_frames.original(frame), self.run_frames.ids(frame)
            none = np.zeros(len(ids), bool)
            found = FrameState(frame, ids, gaussians, none, none)
        for index in range(count, len(self._steps)):
            found = self._steps[index].edit.on_frame(found, self._before(index))
        if count < len(self._steps):
            self._cache.states.keep((self.token, frame), found)
        return found

    def gaussians(self, frame: int) -> Gaussians:
        """What is shown of a frame. The run's own where no edit acts on it. Raises InputError if it is not there or broken."""
        return self._shown(frame)[0]

    def ids(self, frame: int) -> np.ndarray:
        """(N,) int64 lineage ids of `gaussians`."""
        return self._shown(frame)[1]

    def all(self, frame: int) -> Selection:
        """All that is shown of a frame."""
        return Selection.of(self.ids(frame))

    def left_out(self, frame: int) -> Selection:
        """What is deleted in this and all later frames, and so is left out when they are reconstructed."""
        found = NOTHING
        for index, step in enumerate(self._steps):
            clip = self._before(index).clip
            if (deleted := step.edit.deletes(frame, clip)) is not None:
                found = found.union(deleted)
            if (restored := step.edit.restores(frame, clip)) is not None:
                found = found.subtract(restored)
        return found

    def _shown(self, frame: int) -> tuple[Gaussians, np.ndarray]:
        found = self._cache.shown.get((self.token, frame))
        if found is None:
            state = self.state(frame)
            shown = state.shown
            if shown.all():
                return state.gaussians, state.ids
            rows = np.flatnonzero(shown)
            ids = state.ids[rows]
            ids.setflags(write=False)
            found = self._cache.shown.keep((self.token, frame), (state.gaussians[torch.from_numpy(rows)], ids))
        return found

    def _before(self, index: int) -> EditedScene:
        return EditedScene(self.run_frames, self._steps[:index], self._cache)


def applied(frames: RunFrames, edits: Sequence[tuple[SceneEdit, str]], cache: StateCache) -> tuple[EditedScene, dict[int, str]]:
    """The scene after all edits, each with its token. Those that do not fit any more are left out: index -> why."""
    steps, misfits = list[_Step](), dict[int, str]()
    first = EditedScene(frames, (), cache)
    clip, so_far = first.clip, first.token
    for index, (edit, token) in enumerate(edits):
        try:
            clip = edit.on_clip(clip)
        except InputError as error:
            misfits[index] = str(error)
            continue
        so_far = _after(so_far, token)
        steps.append(_Step(edit, clip, so_far))
    return EditedScene(frames, tuple(steps), cache), misfits


def _after(so_far: str, token: str) -> str:
    return hashlib.sha256(f"{so_far} {token}".encode()).hexdigest()[:32]
