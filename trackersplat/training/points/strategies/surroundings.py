"""What surrounds an inward-looking rig: its shell, and where there are masks, the hull of the foreground."""

from __future__ import annotations

from collections.abc import Iterator

from trackersplat.errors import InputError
from trackersplat.events import Event, Stage
from trackersplat.training.points.clouds import joined
from trackersplat.training.points.surround import floating
from trackersplat.training.points.task import Matched, PointsFound, PointTask


def find(task: PointTask) -> Iterator[Event]:
    """Points of shell and hull, and the matched surface without what floats in front of the shell.

    Raises InputError if the cameras do not surround what they look at.
    """
    settings, pictures = task.settings, task.views.pictures
    yield Stage(task.frame, "points", "what surrounds the rig")
    found, surface = task.views.surroundings, task.matched.surface
    if found is None:
        raise InputError(f"The cameras of {task.capture.name} do not surround what they look at; choose another points strategy.")
    if found.shell is not None and len(surface.xyz):
        surface = surface.without(floating(surface.xyz, pictures.cameras, pictures.masks, found.shell, settings.shell))
    yield PointsFound(task.frame, joined(found.around, found.hull), Matched(surface, task.matched.chance))
