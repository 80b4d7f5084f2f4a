"""The frames of one or more runs as one clip: what a video shows at a time."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.store.run import Run

KEPT = 3  # frames in memory
SAME_PLACE = 1e-4  # of the matrices of two cameras that are the same one

# The Gaussians of a frame (index from 0) of a run. Raises InputError if it cannot be read.
GaussiansOf = Callable[[Run, int], Gaussians]


def as_stored(run: Run, frame: int) -> Gaussians:
    """As the run has them."""
    return run.read_frame(frame)


class Clip:
    """The frames of runs whose ranges follow each other; where two have the same frame, that of the run named first is shown.

    Raises InputError if there are no frames, or the cameras of the runs differ: then they are not of one capture.
    """

    def __init__(self, runs: Sequence[Run], gaussians_of: GaussiansOf = as_stored) -> None:
        self._gaussians_of = gaussians_of
        self._runs: dict[int, Run] = {}
        self._kept: OrderedDict[int, Gaussians] = OrderedDict()
        self.twice: list[int] = []  # frames that several runs have
        self.cameras = runs[0].read_cameras()
        for run in runs:
            if run is not runs[0] and _differ(self.cameras, run.read_cameras()):
                raise InputError(f"The runs {runs[0].path} and {run.path} have different cameras: give runs of one capture.")
            for frame in run.frames():
                if frame in self._runs:
                    self.twice.append(frame)
                self._runs.setdefault(frame, run)
        if not self._runs:
            raise InputError(f"The run {runs[0].path} has no frames to render: reconstruct some first.")
        self.frames = tuple(sorted(self._runs))

    def nearest(self, time: float) -> int:
        """The frame that is shown at a time of the clip, given in frames; of two equally near ones the later."""
        return min(self.frames, key=lambda frame: (abs(frame - time), -frame))

    def gaussians(self, frame: int) -> Gaussians:
        """Of a frame of the clip, on the CPU."""
        if frame not in self._kept:
            self._kept[frame] = self._gaussians_of(self._runs[frame], frame)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(frame)
        return self._kept[frame]

    def between(self, time: float) -> Gaussians:
        """The Gaussians on their straight way from the frame before to the one after; those of the nearest frame where they are not the
        same ones, or the frames are not of one reconstruction."""
        before, after = math.floor(time), math.floor(time) + 1
        share = time - before
        run = self._runs.get(before)
        if share < 1e-6 or run is None or self._runs.get(after) is not run or self._gaussians_of is not as_stored:
            return self.gaussians(self.nearest(time))
        lineage = run.lineage()
        old, new = lineage.of(before), lineage.of(after)
        start, end = self.gaussians(before), self.gaussians(after)
        if old is None or new is None or old.origin != new.origin or not len(start) == len(end) == len(old.born) == len(new.born):
            return self.gaussians(self.nearest(time))
        return _blended(start, end, share, old.ids == new.ids)

    def remarks(self) -> tuple[str, ...]:
        """What was changed in frames that were read, and frames that the runs have lost."""
        runs = dict.fromkeys(self._runs.values())
        return tuple(remark for run in runs for remark in (*run.lost(), *run.remarks))


def _blended(start: Gaussians, end: Gaussians, share: float, same: torch.Tensor) -> Gaussians:
    """Linear in everything but rotations, which are linear quaternions of the nearer sign. ``same`` (N,): the others are not blended."""
    towards = torch.where(((start.quats * end.quats).sum(-1) < 0)[:, None], -end.quats, end.quats)
    end = replace(end, quats=towards)
    nearer = start if share < 0.5 else end
    mixed = {
        name: torch.where(same.view(-1, *[1] * (tensor.ndim - 1)), torch.lerp(tensor, end.tensors()[name], share), nearer.tensors()[name])
        for name, tensor in start.tensors().items()
    }
    return Gaussians(**mixed)


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
