"""Rigs whose cameras stand around a scene and look inwards, such as domes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.geometry.projection import common_focus, inside_image

MIN_CAMERAS = 8
ONE_SIDED = 0.6  # length of the mean direction from the focus to the cameras: 0 all around, 0.5 a half dome, 1 all on one spot
SEEING = 0.9  # share of the cameras that must have the focus in their image


@dataclass(frozen=True, eq=False)
class Rig:
    """What the cameras stand around."""

    focus: np.ndarray  # (3,) nearest to all optical axes
    radius: float  # median distance of a camera from it


def surrounding_rig(cameras: Sequence[Camera]) -> Rig | None:
    """The rig of cameras that stand on all sides of what they look at; None for any other arrangement."""
    focus = common_focus(list(cameras)) if len(cameras) >= MIN_CAMERAS else None
    if focus is None:
        return None
    offsets = np.stack([camera.center - focus for camera in cameras])
    distance = np.linalg.norm(offsets, axis=1)
    if distance.min() <= 0 or np.linalg.norm((offsets / distance[:, None]).mean(axis=0)) > ONE_SIDED:
        return None
    seeing = 0
    for camera in cameras:
        uv, depth = camera.project(focus[None])
        seeing += bool(depth[0] > 0 and inside_image(uv[0], camera.width, camera.height))
    return Rig(focus, float(np.median(distance))) if seeing >= SEEING * len(cameras) else None
