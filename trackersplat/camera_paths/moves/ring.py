"""A small circle around the home camera, across its view."""

from __future__ import annotations

import math

import numpy as np

from trackersplat.camera_paths.moves.registry import MoveSettings
from trackersplat.camera_paths.path import CameraPath, even_path, looking_at
from trackersplat.camera_paths.rig import Rig
from trackersplat.geometry.projection import centers

KEYS = 16  # the spline through them is a circle to 1e-4 of its radius
OF_SPREAD, OF_DISTANCE = 0.5, 0.15  # radius: shares of the cameras' spread and of the distance to the focus, whichever is less


def ring(rig: Rig, settings: MoveSettings) -> CameraPath:
    """A loop that looks at the focus all the time."""
    places = centers(rig.cameras)
    spread = float(np.sqrt(((places - places.mean(axis=0)) ** 2).sum(axis=1).mean()))
    radius = settings.size * min(OF_DISTANCE * rig.distance, OF_SPREAD * spread if spread > 0 else math.inf)
    forward = (rig.focus - rig.start.center) / rig.distance
    right = np.cross(forward, rig.up)
    right = right / np.linalg.norm(right)
    above = np.cross(right, forward)
    angles = 2 * math.pi * np.arange(KEYS) / KEYS
    keys = [
        looking_at(rig.start.center + radius * (math.cos(a) * right + math.sin(a) * above), rig.focus, rig.up, rig.start.fov_y)
        for a in angles
    ]
    return even_path(keys, settings.seconds, loop=True, constant_speed=True)
