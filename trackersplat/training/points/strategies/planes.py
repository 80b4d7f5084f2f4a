"""A multi-view plane sweep: for cameras whose neighbours see surfaces alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from trackersplat.events import Event, Stage
from trackersplat.training.points.clouds import no_points
from trackersplat.training.points.depth_maps import swept
from trackersplat.training.points.fusion import fuse
from trackersplat.training.points.sweep import DepthMap
from trackersplat.training.points.task import Matched, PointsFound, PointTask


def find(task: PointTask) -> Iterator[Event]:
    """Sweeps small images for the range of depths, then larger ones within it, and keeps what several views agree on."""
    settings, views = task.settings, task.views.views
    yield Stage(task.frame, "points", f"depth range of {len(views)} views")
    maps: list[DepthMap] = []
    with closing(swept(task)) as found:
        for depth_map in found:
            maps.append(depth_map)
            yield Stage(task.frame, "points", f"depth of view {len(maps)} of {len(views)}")
    surface = fuse([v.camera for v in views], [m.depth for m in maps], settings.fusion.tolerance, settings.fusion.agreeing)
    yield PointsFound(task.frame, no_points(), Matched(surface))
