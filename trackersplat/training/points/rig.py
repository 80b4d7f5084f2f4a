"""Rigs whose cameras stand around a scene and look inwards, such as domes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.geometry.projection import common_focus, inside_image
from trackersplat.training.points.settings import RigSettings


@dataclass(frozen=True, eq=False)
class Rig:
    """What the cameras stand around."""

    focus: np.ndarray  # (3,) nearest to all optical axes
    radius: float  # median distance of a camera from it


def surrounding_rig(cameras: Sequence[Camera], settings: RigSettings) -> Rig | None:
    """The rig of cameras that stand on all sides of what they look at; None for any other arrangement."""
    focus = common_focus(list(cameras)) if len(cameras) >= settings.fewest else None
    if focus is None:
        return None
    offsets = np.stack([camera.center - focus for camera in cameras])
    distance = np.linalg.norm(offsets, axis=1)
    if distance.min() <= 0 or np.linalg.norm((offsets / distance[:, None]).mean(axis=0)) > settings.one_sided:
        return None
    seeing = 0
    for camera in cameras:
        uv, depth = camera.project(focus[None])
        seeing += bool(depth[0] > 0 and inside_image(uv[0], camera.width, camera.height))
    return Rig(focus, float(np.median(distance))) if seeing >= settings.seeing * len(cameras) else None
