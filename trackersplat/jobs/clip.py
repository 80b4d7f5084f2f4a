"""The frames of one or more runs as one clip: what a video shows at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.document.document import Document
from trackersplat.document.run_frames import RunFrames
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians, concatenate
from trackersplat.store.run import Run

SAME_PLACE = 1e-4  # of the matrices of two cameras that are the same one


class Scene(Protocol):
    """A run as it is shown: `Document` is one."""

    @property
    def frames(self) -> tuple[int, ...]:
        """Indices of the run's frames, in the order in which they are played."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]: ...

    def gaussians(self, frame: int) -> Gaussians:
        """Of a frame, on the CPU."""
        ...

    def ids(self, frame: int) -> np.ndarray:
        """(N,) the same number is the same Gaussian in every frame."""
        ...


class StoredScene:
    """A `Scene` without the edits of the document."""

    def __init__(self, run: Run) -> None:
        self._frames = RunFrames(run)
        self.gaussians, self.ids = self._frames.original, self._frames.ids

    @property
    def frames(self) -> tuple[int, ...]:
        return self._frames.frames

    @property
    def warnings(self) -> tuple[str, ...]:
        return ()


class Clip:
    """The frames of runs whose ranges follow each other; where two have the same frame, that of the run named first is shown.

    ``edits``: with what the documents of the runs change. Raises InputError if there are no frames, or the cameras of the runs differ:
    then they are not of one capture.
    """

    def __init__(self, runs: Sequence[Run], *, edits: bool = True) -> None:
        if not runs:
            raise InputError("Name a run to render: a folder made by `trackersplat reconstruct`.")
        self.runs = tuple(runs)
        self.cameras = runs[0].read_cameras()
        self.twice = 0  # how many frames several runs have
        self._scenes: dict[int, Scene] = {}
        for run in runs:
            if run is not runs[0] and _differ(self.cameras, run.read_cameras()):
                raise InputError(f"The runs {runs[0].path} and {run.path} have different cameras: give runs of one capture.")
            scene: Scene = Document.open(run) if edits else StoredScene(run)
            here = dict.fromkeys(scene.frames)
            self.twice += len(here.keys() & self._scenes.keys())
            self._scenes = {**dict.fromkeys(here, scene), **self._scenes}
        if not self._scenes:
            raise InputError(f"The run {runs[0].path} has no frames to render: reconstruct some first.")
        self.frames = tuple(sorted(self._scenes))
        # What is played: frames of a document may be trimmed or come in another order and speed.
        self.played = next(iter(self._scenes.values())).frames if len(runs) == 1 else self.frames

    def nearest(self, time: float) -> int:
        """The frame that is shown at a time of the clip, given in frames; of two equally near ones the later."""
        return min(self.frames, key=lambda frame: (abs(frame - time), -frame))

    def gaussians(self, frame: int) -> Gaussians:
        """What is shown of a frame, on the CPU. Raises InputError if it cannot be read."""
        return self._scenes[frame].gaussians(frame)

    def between(self, time: float) -> Gaussians:
        """The Gaussians on their straight way from the frame before to the one after; those that are in one of them alone, as long as that
        is the nearer one. The nearest frame where the two are not of one run, or not both there."""
        before = math.floor(time)
        share, scene = time - before, self._scenes.get(before)
        if share < 1e-6 or scene is None or self._scenes.get(before + 1) is not scene:
            return self.gaussians(self.nearest(time))
        ids = scene.ids(before), scene.ids(before + 1)
        start, end = scene.gaussians(before), scene.gaussians(before + 1)
        if start.sh.shape[1] != end.sh.shape[1]:
            return self.gaussians(self.nearest(time))
        _, first, second = np.intersect1d(*ids, assume_unique=True, return_indices=True)
        nearer, known = (start, first) if share < 0.5 else (end, second)
        alone = np.setdiff1d(np.arange(len(nearer)), known)
        moved = _blended(start[torch.from_numpy(first)], end[torch.from_numpy(second)], share)
        return concatenate([moved, nearer[torch.from_numpy(alone)]])

    def remarks(self) -> tuple[str, ...]:
        """What was changed in frames that were read, frames that the runs have lost, and edits that do not fit."""
        scenes = dict.fromkeys(self._scenes.values())
        of_runs = (remark for run in self.runs for remark in (*run.lost(), *run.remarks))
        return (*of_runs, *(warning for scene in scenes for warning in scene.warnings))


def _blended(start: Gaussians, end: Gaussians, share: float) -> Gaussians:
    """Linear in everything; quaternions of the nearer sign."""
    towards = torch.where(((start.quats * end.quats).sum(-1) < 0)[:, None], -end.quats, end.quats)
    there = replace(end, quats=towards).tensors()
    return Gaussians(**{name: torch.lerp(tensor, there[name], share) for name, tensor in start.tensors().items()})


def _differ(ours: Sequence[Camera], others: Sequence[Camera]) -> bool:
    """Whether two runs have cameras that are not the same; a run without any says nothing."""
    if not ours or not others:
        return False
    if [camera.name for camera in ours] != [camera.name for camera in others]:
        return True
    return not all(
        np.allclose(a.world_to_camera, b.world_to_camera, rtol=SAME_PLACE, atol=SAME_PLACE) and np.allclose(a.K, b.K, rtol=SAME_PLACE)
        for a, b in zip(ours, others, strict=True)
    )
