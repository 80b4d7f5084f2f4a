"""The capture's own points, as they are."""

from __future__ import annotations

from collections.abc import Iterator

from trackersplat.errors import InputError
from trackersplat.events import Event, Stage
from trackersplat.training.points.task import PointsFound, PointTask


def find(task: PointTask) -> Iterator[Event]:
    """Raises InputError if the capture has none."""
    points = task.capture.points
    if points is None or not len(points.xyz):
        raise InputError(f"{task.capture.name} has no points of its own; choose another points strategy, or give it some.")
    yield Stage(task.frame, "points", f"{len(points.xyz):,} points of the capture")
    yield PointsFound(task.frame, points)
