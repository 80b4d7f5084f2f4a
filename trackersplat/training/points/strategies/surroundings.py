"""What surrounds an inward-looking rig: its shell, and where there are masks, the hull of the foreground."""

from __future__ import annotations

from collections.abc import Iterator

from trackersplat.errors import InputError
from trackersplat.events import Event, Stage
from trackersplat.training.points.clouds import joined
from trackersplat.training.points.rig import surrounding_rig
from trackersplat.training.points.surround import floating, foreground_hull, shell_points
from trackersplat.training.points.task import Matched, PointsFound, PointTask


def find(task: PointTask) -> Iterator[Event]:
    """Points of shell and hull, and the matched surface without what floats in front of the shell.

    Raises InputError if the cameras do not surround what they look at.
    """
    settings, pictures = task.settings, task.views.pictures
    rig = surrounding_rig(pictures.cameras, settings.rig)
    if rig is None:
        raise InputError(f"The cameras of {task.capture.name} do not surround what they look at; choose another points strategy.")
    yield Stage(task.frame, "points", "what surrounds the rig")
    views = task.views.at(min(settings.shell.side, settings.max_side))
    around, shell = shell_points(views, pictures, rig, round(settings.shell.share * settings.count), settings.shell)
    surface = task.matched.surface
    if shell is not None and len(surface.xyz):
        surface = surface.without(floating(surface.xyz, pictures.cameras, pictures.masks, shell, settings.shell))
    hull = foreground_hull(pictures, rig, round(settings.hull.share * settings.count), settings.hull, settings.seed)
    yield PointsFound(task.frame, joined(around, hull), Matched(surface, task.matched.chance))
