"""A multi-view plane sweep: for cameras whose neighbours see surfaces alike."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing

from trackersplat.events import Event, Stage
from trackersplat.training.points.clouds import no_points
from trackersplat.training.points.each_view import helpers, on_threads, swept_on_device
from trackersplat.training.points.fusion import fuse
from trackersplat.training.points.sweep import DepthMap, View, sweep
from trackersplat.training.points.task import Matched, PointsFound, PointTask
from trackersplat.training.points.views import tighten


def find(task: PointTask) -> Iterator[Event]:
    """Sweeps small images for the range of depths, then larger ones within it, and keeps what several views agree on."""
    settings, views, ranges = task.settings, task.views.views, task.views.ranges
    coarse = task.views.at(settings.sweep.coarse_side)
    yield Stage(task.frame, "points", f"depth range of {len(coarse)} views")
    rough = fuse(
        [v.camera for v in coarse],
        [m.depth for m in _depth_maps(task, coarse, ranges)],
        settings.sweep.coarse_tolerance,
        settings.fusion.agreeing,
    )
    tight = [tighten(v.camera, rough.xyz, known, settings.depth_range) for v, known in zip(coarse, ranges, strict=True)]
    maps: list[DepthMap] = []
    with closing(_depth_maps(task, views, tight)) as found:
        for depth_map in found:
            maps.append(depth_map)
            yield Stage(task.frame, "points", f"depth of view {len(maps)} of {len(views)}")
    surface = fuse([v.camera for v in views], [m.depth for m in maps], settings.fusion.tolerance, settings.fusion.agreeing)
    yield PointsFound(task.frame, no_points(), Matched(surface))


def _depth_maps(task: PointTask, views: list[View], ranges: list[tuple[float, float]]) -> Generator[DepthMap, None, None]:
    others = helpers(views, ranges, task.settings.neighbours)
    if task.device.type != "cpu":
        return swept_on_device(views, others, ranges, task.device, task.settings.sweep)
    return on_threads(views, others, ranges, lambda reference, rest, near, far: sweep(reference, rest, near, far, task.settings.sweep))
