"""PatchMatch with slanted windows: for few cameras whose neighbours see surfaces differently."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np

from trackersplat.events import Event, Stage
from trackersplat.training.points.clouds import no_points
from trackersplat.training.points.each_view import helpers, on_threads
from trackersplat.training.points.fusion import chance, fuse
from trackersplat.training.points.patchmatch import patchmatch
from trackersplat.training.points.sweep import DepthMap, View
from trackersplat.training.points.task import Matched, PointsFound, PointTask


def find(task: PointTask) -> Iterator[Event]:
    """Keeps patches that match well and that another view (two, where there are many) agrees on."""
    settings, views, ranges = task.settings, task.views.views, task.views.ranges
    rules = settings.patchmatch

    def one(reference: View, others: list[View], near: float, far: float) -> DepthMap:
        return patchmatch(reference, others, near, far, rules, settings.seed)

    maps: list[DepthMap] = []
    with closing(on_threads(views, helpers(views, ranges, settings.neighbours), ranges, one)) as found:
        for depth_map in found:
            maps.append(depth_map)
            yield Stage(task.frame, "points", f"depth of view {len(maps)} of {len(views)}")
    cameras = [v.camera for v in views]
    depths = [np.where(m.mismatch < rules.mismatch, m.depth, 0) for m in maps]
    agreeing = 1 if len(views) <= settings.far_apart.most else settings.fusion.agreeing
    surface = fuse(cameras, depths, rules.tolerance, agreeing)
    yield PointsFound(task.frame, no_points(), Matched(surface, chance(cameras, depths, rules.tolerance)))
