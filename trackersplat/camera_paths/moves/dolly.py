"""From the home camera straight towards the focus."""

from __future__ import annotations

import math

from trackersplat.camera_paths.moves.registry import MoveSettings
from trackersplat.camera_paths.path import FOVS, CameraPath, even_path, looking_at
from trackersplat.camera_paths.rig import Rig

SHARE = 0.4  # of the distance to the focus that the camera goes
LEAST_LEFT = 0.05  # share of the distance that is left at the end, at least


def dolly(rig: Rig, settings: MoveSettings) -> CameraPath:
    return _towards(rig, settings, zoom=False)


def dolly_zoom(rig: Rig, settings: MoveSettings) -> CameraPath:
    """What the camera looks at keeps its size: the focal length is in proportion to the distance."""
    return _towards(rig, settings, zoom=True)


def _towards(rig: Rig, settings: MoveSettings, zoom: bool) -> CameraPath:
    left = max(1 - SHARE * settings.size, LEAST_LEFT)
    fov = rig.start.fov_y
    near = min(2 * math.atan(math.tan(0.5 * fov) / left), FOVS[1]) if zoom else fov
    end = rig.focus + left * (rig.start.center - rig.focus)
    keys = [looking_at(rig.start.center, rig.focus, rig.up, fov), looking_at(end, rig.focus, rig.up, near)]
    return even_path(keys, settings.seconds)
