"""Through the cameras of the capture."""

from __future__ import annotations

from trackersplat.camera_paths.moves.registry import MoveSettings
from trackersplat.camera_paths.order import nearest_order
from trackersplat.camera_paths.path import CameraPath, Key, paced_path
from trackersplat.camera_paths.rig import Rig


def through_cameras(rig: Rig, settings: MoveSettings) -> CameraPath:
    """In an order that makes the way short; a round trip if the cameras surround the scene."""
    loop = rig.surrounds and len(rig.cameras) > 2
    keys = [Key.of(rig.cameras[index]) for index in nearest_order(rig.cameras, loop)]
    return paced_path(keys, settings.seconds, loop=loop)
