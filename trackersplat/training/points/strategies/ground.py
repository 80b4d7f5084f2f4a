"""What few cameras far apart see where matching fails: what moves, the ground, and what is far behind.

Patches of surfaces that cameras see from more than about 50 degrees apart match anywhere. There, the outlines of what moves and the
ground as a whole still give positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from trackersplat.captures.capture import PointCloud
from trackersplat.errors import InputError
from trackersplat.events import Event, Stage
from trackersplat.geometry.projection import centers, common_focus
from trackersplat.training.points.backdrop import backdrop, far_radius, shown_at
from trackersplat.training.points.clouds import joined, no_points
from trackersplat.training.points.fusion import Surface, no_surface
from trackersplat.training.points.ground import find_ground
from trackersplat.training.points.movers import mover_mask, spread_frames
from trackersplat.training.points.rig import Rig
from trackersplat.training.points.surround import Pictures, foreground_hull
from trackersplat.training.points.task import Matched, PointsFound, PointTask
from trackersplat.training.points.thin import thinned


def find(task: PointTask) -> Iterator[Event]:
    """Points of what moves and of the backdrop, and the matched surface, without its points if too many of them match by chance.

    Raises InputError if the cameras look at no common point.
    """
    yield Stage(task.frame, "points", "ground and backdrop")
    settings = task.settings
    found = layers(task)
    share = len(found.behind.xyz) / sum(view.gray.size for view in task.views.views)
    count = round(share * (settings.count - len(found.movers.xyz)))
    behind, _ = thinned(found.behind, task.views.small, count, settings.detail_floor, settings.seed)
    yield PointsFound(task.frame, joined(found.movers, behind), Matched(found.kept, task.matched.chance))


@dataclass(frozen=True, eq=False)
class Layers:
    """What the cameras see, from near to far."""

    movers: PointCloud
    kept: Surface  # of what was matched
    behind: Surface  # a point for every pixel that neither of them takes


def layers(task: PointTask) -> Layers:
    """The layers of a task. Movers get points, on the hull of their outlines, only where matches are dropped because they are chance.

    Raises InputError if the cameras look at no common point.
    """
    settings, views, images = task.settings, task.views.views, task.views.small
    surface = task.matched.surface
    cameras = [view.camera for view in views]
    focus = common_focus(cameras)
    if focus is None:
        raise InputError(f"The cameras of {task.capture.name} look in parallel, so no ground can be found; choose another points strategy.")
    masks: list[np.ndarray | None] = [None] * len(cameras)
    movers = no_points()
    if task.matched.chance > settings.layers.chance:
        surface = no_surface()
        found = [_mover(task, index, image) for index, image in zip(task.cameras, images, strict=True)]
        radius = settings.layers.reach * float(np.median(np.linalg.norm(centers(cameras) - focus, axis=1)))
        count = round(settings.hull.share * settings.count)
        movers = foreground_hull(Pictures(cameras, images, found), Rig(focus, radius), count, settings.hull, settings.movers.seed)
        if len(movers.xyz):
            masks = list(found)
    ground = find_ground(views, masks, focus, settings.ground)
    taken = [shown_at(surface.xyz, camera, settings.backdrop.beside) for camera in cameras]
    taken = [shown if mask is None else shown | mask for shown, mask in zip(taken, masks, strict=True)]
    radius = far_radius(cameras, surface.xyz, focus, settings.backdrop)
    return Layers(movers=movers, kept=surface, behind=backdrop(cameras, taken, ground, focus, radius))


def _mover(task: PointTask, camera: int, image: np.ndarray) -> np.ndarray:
    """(H, W) bool at the size of ``image``: the capture's own mask, or what moves in its clip."""
    capture, settings = task.capture, task.settings.movers
    h, w = image.shape[:2]
    mask = capture.mask(camera, task.frame)
    if mask is not None:
        return cv2.resize(mask.astype(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST) > 0
    clip = [
        cv2.resize(capture.image(camera, other), (w, h), interpolation=cv2.INTER_AREA)
        for other in spread_frames(capture.frame_count, task.frame, settings.frames)
    ]
    return mover_mask(image, clip, settings)
