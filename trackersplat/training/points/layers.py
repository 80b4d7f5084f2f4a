"""What few cameras far apart see where matching fails: what moves, the ground, and what is far behind.

Patches of surfaces that cameras see from more than about 50 degrees apart match anywhere. Where that is so, the outlines of what moves and
the ground as a whole still say where things are.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.geometry.projection import centers, common_focus
from trackersplat.training.points.backdrop import backdrop, far_radius, shown_at
from trackersplat.training.points.fusion import Surface
from trackersplat.training.points.ground import find_ground
from trackersplat.training.points.movers import mover_mask, spread_frames
from trackersplat.training.points.rig import Rig
from trackersplat.training.points.surround import foreground_hull, no_points
from trackersplat.training.points.sweep import View

DOUBTED = 0.25  # part of the matches that are chance, from which on none is believed
REACH = 0.45  # of the cameras' distance from the focus: radius of the rig that the hull is carved in, which leaves the cameras outside


def layers(
    capture: Capture,
    cameras: Sequence[int],
    frame: int,
    views: Sequence[View],
    images: Sequence[np.ndarray],
    surface: Surface,
    chance: float,
    count: int,
) -> tuple[Surface, Surface, PointCloud]:
    """What is to be believed of the matched ``surface``, the backdrop of the pixels without, and points of what moves.

    ``views`` and ``images`` (H, W, 3) uint8 are those of ``cameras`` at the working size. Only where matches are doubted, because they are
    ``chance``, does what moves get points of its own: at most ``count`` on the hull of its outlines.
    """
    own = [view.camera for view in views]
    focus = common_focus(own)
    assert focus is not None, "cameras are far apart about a focus"
    moving: list[np.ndarray | None] = [None] * len(own)
    hull = no_points()
    if chance > DOUBTED:
        surface = surface.without(np.ones(len(surface.xyz), dtype=bool))
        found = [_mover(capture, index, frame, image) for index, image in zip(cameras, images, strict=True)]
        radius = REACH * float(np.median(np.linalg.norm(centers(own) - focus, axis=1)))
        hull = foreground_hull(own, images, found, Rig(focus, radius), count, seed=0)
        if len(hull.xyz):
            moving = list(found)
    ground = find_ground(views, moving, focus)
    taken = [
        shown_at(surface.xyz, camera) if mask is None else shown_at(surface.xyz, camera) | mask
        for camera, mask in zip(own, moving, strict=True)
    ]
    return surface, backdrop(own, taken, ground, focus, far_radius(own, surface.xyz, focus)), hull


def _mover(capture: Capture, camera: int, frame: int, image: np.ndarray) -> np.ndarray:
    """(H, W) bool at the size of ``image``: the capture's own mask, or what moves in its clip."""
    h, w = image.shape[:2]
    mask = capture.mask(camera, frame)
    if mask is not None:
        return cv2.resize(mask.astype(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST) > 0
    clip = [
        cv2.resize(capture.image(camera, other), (w, h), interpolation=cv2.INTER_AREA)
        for other in spread_frames(capture.frame_count, frame)
    ]
    return mover_mask(image, clip)
