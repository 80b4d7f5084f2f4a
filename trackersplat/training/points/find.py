"""The first points of a frame: by one strategy, or by those that suit the cameras, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.errors import InputError
from trackersplat.events import Event, Stage
from trackersplat.training.points.clouds import joined, no_points
from trackersplat.training.points.gaps import fill_gaps
from trackersplat.training.points.registry import POINT_STRATEGIES
from trackersplat.training.points.rig import surrounding_rig
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.points.task import PointsFound, PointTask
from trackersplat.training.points.thin import thinned
from trackersplat.training.points.views import far_apart

AUTO = "auto"


def first_points(capture: Capture, cameras: Sequence[int], frame: int, settings: PointSettings) -> PointCloud:
    """`find_points` on the CPU, at once."""
    *_, last = find_points(PointTask.of(capture, cameras, frame, settings))
    assert isinstance(last, PointsFound)
    return last.points


def find_points(task: PointTask) -> Iterator[Event]:
    """Yields events.Stage, last PointsFound with all ``points``.

    "auto" takes the capture's own points where they are dense enough and of this frame. Else it matches the views, adds what suits the
    arrangement of the cameras, and fills gaps with the capture's own points. Any other name runs that strategy alone.

    Raises InputError if nothing is found, there are too few cameras, or no strategy has that name.
    """
    return _auto(task) if task.settings.strategy == AUTO else _alone(task, task.settings.strategy)


def _alone(task: PointTask, name: str) -> Iterator[Event]:
    strategy = POINT_STRATEGIES.load(name)
    if name != "capture":
        _check_cameras(task)
    for event in strategy(task):
        if not isinstance(event, PointsFound):
            yield event
            continue
        if not len(event.points.xyz) and not len(event.matched.surface.xyz):
            raise InputError(f"{task.capture.name}, frame {task.frame + 1}: the points strategy {name} finds nothing; choose another.")
        yield PointsFound(task.frame, _assembled(task, event))


def _auto(task: PointTask) -> Iterator[Event]:
    capture, settings = task.capture, task.settings
    own = capture.points if task.frame == 0 else None
    if own is not None and not own.sparse and len(own.xyz) >= settings.enough:
        yield from POINT_STRATEGIES.load("capture")(task)
        return
    _check_cameras(task)
    found = PointsFound(task.frame, no_points())
    for name in suited(task):
        if name == "ground" and not len(found.matched.surface.xyz):
            continue
        for event in POINT_STRATEGIES.load(name)(replace(task, matched=found.matched)):
            if isinstance(event, PointsFound):
                found = replace(event, points=joined(found.points, event.points))
            else:
                yield event
    if not len(found.matched.surface.xyz) and not len(found.points.xyz):
        if capture.points is None or not len(capture.points.xyz):
            raise InputError(
                f"{capture.name}, frame {task.frame + 1}: no two views agree on any surface; check the calibration, or give the capture "
                "points."
            )
        yield Stage(task.frame, "points", f"no surface found; {len(capture.points.xyz):,} points of the capture")
        yield PointsFound(task.frame, capture.points)
        return
    cloud = _assembled(task, found)
    yield Stage(task.frame, "points", f"{len(cloud.xyz):,} points from {len(task.cameras)} views")
    if own is not None and len(own.xyz):
        before = len(cloud.xyz)
        cloud = fill_gaps(cloud, own, settings.gaps, settings.seed)
        yield Stage(task.frame, "points", f"{len(cloud.xyz) - before:,} of the capture's own points added")
    yield PointsFound(task.frame, cloud)


def suited(task: PointTask) -> tuple[str, ...]:
    """The strategies that suit the arrangement of the cameras, in the order in which each works on what those before have matched."""
    cameras, settings = task.views.cameras, task.settings
    if far_apart(cameras, settings.far_apart):
        names: tuple[str, ...] = ("patches", "ground")
    else:
        names = ("planes",)
    return (*names, "surround") if surrounding_rig(cameras, settings.rig) is not None else names


def _assembled(task: PointTask, found: PointsFound) -> PointCloud:
    """The points as they are and, to the number that is wanted, points of the matched surface."""
    settings = task.settings
    count = settings.count - len(found.points.xyz)
    cloud = thinned(found.matched.surface, task.views.small, count, settings.detail_floor, settings.seed)
    return joined(found.points, cloud) if len(found.points.xyz) else cloud


def _check_cameras(task: PointTask) -> None:
    if len(task.cameras) < 2:
        count = "one training camera" if task.cameras else "no training camera"
        raise InputError(f"{task.capture.name} has {count}; first points need at least 2: add cameras, or hold fewer out.")
