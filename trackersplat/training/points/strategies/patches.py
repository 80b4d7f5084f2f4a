"""PatchMatch with slanted windows: for cameras whose neighbours see surfaces differently."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from trackersplat.events import Event, Stage
from trackersplat.training.points.clouds import no_points
from trackersplat.training.points.depth_maps import patched
from trackersplat.training.points.fusion import chance, fuse_unhindered
from trackersplat.training.points.sweep import DepthMap
from trackersplat.training.points.task import Matched, PointsFound, PointTask


def find(task: PointTask) -> Iterator[Event]:
    """Keeps patches that match well and with which more views agree than see past them.

    Cameras far apart: hardly any surface looks alike in three views.
    """
    views, rules = task.views.views, task.settings.patchmatch
    maps: list[DepthMap] = []
    with closing(patched(task)) as found:
        for depth_map in found:
            maps.append(depth_map)
            yield Stage(task.frame, "points", f"depth of view {len(maps)} of {len(views)}")
    cameras, depths = [v.camera for v in views], [m.depth for m in maps]
    surface = fuse_unhindered(cameras, depths, rules.tolerance, 1, rules.margin)
    yield PointsFound(task.frame, no_points(), Matched(surface, chance(cameras, depths, rules.tolerance)))
