"""A camera that is no camera of the capture, such as the view of a stage, as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from trackersplat.captures.camera import DEFAULT_NEAR, Camera
from trackersplat.errors import ShapeError

LARGEST_SIDE = 1 << 14  # px: a bound for memory
NAME = "view"


def camera_from_json(data: Any) -> Camera:
    """``{"width", "height", "K": 3x3, "world_to_camera": 4x4, "near"}``, as `Camera` has them. Raises ValueError if it is none."""
    try:
        width, height = int(data["width"]), int(data["height"])
        if not 0 < width <= LARGEST_SIDE or not 0 < height <= LARGEST_SIDE:
            raise ValueError("size")
        K, pose = np.array(data["K"], dtype=np.float64), np.array(data["world_to_camera"], dtype=np.float64)
        return Camera(NAME, width, height, K, pose, float(data.get("near", DEFAULT_NEAR)))
    except (KeyError, TypeError, AttributeError, OverflowError, ShapeError) as error:
        raise ValueError(str(error)) from error


def camera_to_json(camera: Camera) -> dict[str, Any]:
    """As `camera_from_json` reads it."""
    return {
        "width": camera.width,
        "height": camera.height,
        "K": camera.K.tolist(),
        "world_to_camera": camera.world_to_camera.tolist(),
        "near": camera.near,
    }
