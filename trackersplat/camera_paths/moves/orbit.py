"""Around the focus, at the height of the home camera."""

from __future__ import annotations

import math

import numpy as np

from trackersplat.camera_paths.moves.registry import MoveSettings
from trackersplat.camera_paths.path import CameraPath, Key, even_path, looking_at
from trackersplat.camera_paths.rig import Rig

STEP = math.radians(22.5)  # between two keys, at most: the spline is then a circle to 1e-4 of its radius
COVERED = 0.8  # share of the arc between the outermost cameras: beside it, the edges of the picture show what no camera saw
LEAST_TURN = math.radians(10.0)  # where the cameras stand above each other, or there is only one


def orbit(rig: Rig, settings: MoveSettings) -> CameraPath:
    """A whole turn if the cameras surround the scene; else from one end of the arc that they cover to the other, over the home camera."""
    turn = turn_of(rig, settings)
    whole = math.isclose(abs(turn), 2 * math.pi)
    steps = max(math.ceil(abs(turn) / STEP - 1e-9), 2)
    start = 0.0 if abs(turn) >= 2 * math.pi - 1e-9 else -0.5 * turn
    angles = start + turn * np.arange(steps if whole else steps + 1) / steps
    keys = [at_azimuth(rig, float(angle), settings.size) for angle in angles]
    return even_path(keys, settings.seconds, loop=whole, constant_speed=True)


def turn_of(rig: Rig, settings: MoveSettings) -> float:
    """Radians: what was asked for, else a whole turn if the cameras surround the scene, else most of the arc that they cover."""
    if settings.turn is not None:
        return math.radians(settings.turn)
    return rig.span() if rig.surrounds else max(COVERED * rig.span(), LEAST_TURN)


def at_azimuth(rig: Rig, angle: float, size: float = 1.0, frame: float | None = None) -> Key:
    """The home camera, turned around the up direction through the focus, looking at the focus. ``size``: factor of the distance."""
    outward = size * (rig.start.center - rig.focus)
    along = (outward @ rig.up) * rig.up
    across = outward - along
    turned = along + math.cos(angle) * across + math.sin(angle) * np.cross(rig.up, across)
    return looking_at(rig.focus + turned, rig.focus, rig.up, rig.start.fov_y, frame)
