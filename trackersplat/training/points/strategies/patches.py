"""PatchMatch with slanted windows: for cameras whose neighbours see surfaces differently."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np

from trackersplat.events import Event, Stage
from trackersplat.training.points.clouds import no_points
from trackersplat.training.points.each_view import helpers, on_threads
from trackersplat.training.points.fusion import chance, fuse_unhindered
from trackersplat.training.points.patchmatch import patchmatch
from trackersplat.training.points.sweep import DepthMap, View
from trackersplat.training.points.task import Matched, PointsFound, PointTask


def find(task: PointTask) -> Iterator[Event]:
    """Keeps patches that match well and with which more views agree than see past them.

    Cameras far apart: hardly any surface looks alike in three views.
    """
    settings, views, ranges = task.settings, task.views.views, task.views.ranges
    rules = settings.patchmatch

    def one(reference: View, others: list[View], near: float, far: float) -> DepthMap:
        return patchmatch(reference, others, near, far, rules, settings.seed)

    maps: list[DepthMap] = []
    with closing(on_threads(views, helpers(views, ranges, replace(settings.neighbours, count=rules.neighbours)), ranges, one)) as found:
        for depth_map in found:
            maps.append(depth_map)
            yield Stage(task.frame, "points", f"depth of view {len(maps)} of {len(views)}")
    cameras = [v.camera for v in views]
    depths = [np.where(m.mismatch < rules.mismatch, m.depth, 0) for m in maps]
    surface = fuse_unhindered(cameras, depths, rules.tolerance, 1, rules.margin)
    yield PointsFound(task.frame, no_points(), Matched(surface, chance(cameras, depths, rules.tolerance)))
