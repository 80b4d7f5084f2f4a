"""The first points of a frame: by one strategy, or by those that suit the cameras, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.captures.pose_readings import far_off
from trackersplat.captures.settings import leave_out
from trackersplat.captures.still_cameras import some
from trackersplat.errors import InputError
from trackersplat.events import Event, Stage
from trackersplat.training.points.backdrop import shown_at
from trackersplat.training.points.clouds import joined, no_points
from trackersplat.training.points.fusion import Surface
from trackersplat.training.points.gaps import fill_gaps
from trackersplat.training.points.registry import POINT_STRATEGIES
from trackersplat.training.points.rig import surrounding_rig
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.points.task import Candidate, PointsFound, PointTask
from trackersplat.training.points.thin import thinned
from trackersplat.training.points.threads import in_threads
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
    arrangement of the cameras, and fills gaps with the capture's own points. Where something was added, cameras are far apart, or matching
    leaves much of the images without points, the result has candidates: with and without what was added, and the capture's own points.
    Any other name runs that strategy alone.

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
        yield PointsFound(task.frame, _assembled(task, event)[0])


def _auto(task: PointTask) -> Iterator[Event]:
    capture, settings = task.capture, task.settings
    own = capture.points if task.frame == 0 and capture.points is not None and len(capture.points.xyz) else None
    if own is not None and not own.sparse and len(own.xyz) >= settings.enough:
        yield from POINT_STRATEGIES.load("capture")(task)
        return
    _check_cameras(task)
    candidates: list[Candidate] = []
    covered = 0.0
    for chain in suited(task):
        for event in _chained(task, chain, own):
            if isinstance(event, PointsFound):
                candidates += event.candidates
                covered = max(covered, coverage(task, event.matched.surface))
            else:
                yield event
    if not candidates:
        if capture.points is None or not len(capture.points.xyz):
            raise _no_surface(capture, task.frame)
        yield Stage(task.frame, "points", f"no surface found; {len(capture.points.xyz):,} points of the capture")
        yield PointsFound(task.frame, capture.points)
        return
    cloud = candidates[0].points
    added = "" if own is None else " and the capture's own points"
    yield Stage(task.frame, "points", f"{len(cloud.xyz):,} points from {len(task.cameras)} views{added}")
    if len(candidates) == 1 and covered >= settings.covered and not far_apart(task.views.cameras, settings.far_apart):
        yield PointsFound(task.frame, cloud)
        return
    yield Stage(task.frame, "points", f"matching reaches {covered:.0%} of the pixels")
    if own is not None:
        candidates.append(Candidate("the capture's own points", own, np.full(len(own.xyz), -1)))
    yield PointsFound(task.frame, cloud, candidates=tuple(candidates))


def _chained(task: PointTask, chain: tuple[str, ...], own: PointCloud | None) -> Iterator[Event]:
    """Strategies one after the other; last PointsFound with a candidate for each of them, the last one's first."""
    found = PointsFound(task.frame, no_points())
    candidates: list[Candidate] = []
    for name in chain:
        if name == "ground" and not len(found.matched.surface.xyz):
            continue
        for event in POINT_STRATEGIES.load(name)(replace(task, matched=found.matched)):
            if not isinstance(event, PointsFound):
                yield event
                continue
            found = replace(event, points=joined(found.points, event.points))
            if len(found.matched.surface.xyz) or len(found.points.xyz):
                candidates.insert(0, _candidate(task, found, own, name if name == chain[0] else f"{chain[0]} and {name}"))
    yield replace(found, candidates=tuple(candidates))


def coverage(task: PointTask, surface: Surface) -> float:
    """Share of the pixels of all views that have a point of the surface near them."""
    beside = task.settings.backdrop.beside
    return float(np.mean(in_threads(lambda view: shown_at(surface.xyz, view.camera, beside).mean(), task.views.views)))


def suited(task: PointTask) -> tuple[tuple[str, ...], ...]:
    """The strategies that suit the arrangement of the cameras, in chains: each works on what those before it in its chain have matched."""
    cameras, settings = task.views.cameras, task.settings
    apart, around = far_apart(cameras, settings.far_apart), surrounding_rig(cameras, settings.rig) is not None
    after = ("surround",) if around else ("ground",) if apart else ()
    first = ("planes",) if not apart else ("patches", "planes") if settings.planes_too else ("patches",)
    return tuple((name, *after) for name in first)


def _candidate(task: PointTask, found: PointsFound, own: PointCloud | None, name: str) -> Candidate:
    """What was found so far, with the capture's own points in its gaps."""
    cloud, view = _assembled(task, found)
    if own is None:
        return Candidate(name, cloud, view)
    filled = fill_gaps(cloud, own, task.settings.gaps, task.settings.seed)
    view = np.concatenate((view, np.full(len(filled.xyz) - len(view), -1)))
    return Candidate(f"{name} with the capture's own points", filled, view)


def _assembled(task: PointTask, found: PointsFound) -> tuple[PointCloud, np.ndarray]:
    """The points as they are and, to the number that is wanted, points of the matched surface; and the view that proposed each, or -1."""
    settings = task.settings
    count = settings.count - len(found.points.xyz)
    cloud, view = thinned(found.matched.surface, task.views.small, count, settings.detail_floor, settings.seed)
    if not len(found.points.xyz):
        return cloud, view
    return joined(found.points, cloud), np.concatenate((np.full(len(found.points.xyz), -1), view))


def _check_cameras(task: PointTask) -> None:
    if len(task.cameras) < 2:
        count = "one training camera" if task.cameras else "no training camera"
        raise InputError(f"{task.capture.name} has {count}; first points need at least 2: add cameras, or hold fewer out.")


def _no_surface(capture: Capture, frame: int) -> InputError:
    far, _ = far_off(capture.cameras)
    stand = "stands" if len(far) == 1 else "stand"
    first = f"{some(far)} {stand} far away from the other cameras: leave {leave_out(far)}, or " if far else ""
    return InputError(
        f"{capture.name}, frame {frame + 1}: no two views agree on any surface; {first}check the calibration, or give the capture points."
    )
