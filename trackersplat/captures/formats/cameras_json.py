"""``cameras.json``: our own description of a rig of OpenCV cameras, for images in folders and for videos.

    {"cameras": [{"name": "cam00", "K": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], "w2c": 4x4, "dist": [k1, k2, p1, p2, k3],
                  "fisheye": false, "width": 1280, "height": 720}, ...],
     "width": 1280, "height": 720, "fps": 30, "frames": 300, "held_out": ["cam00"]}

Pixel centres lie at +0.5. ``dist`` (OpenCV's order) and ``fisheye`` may be left out; width and height stand with each camera or once
for all. ``frames`` is needed for images only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.formats.calibration import check_camera, lens_from_matrix, matrix
from trackersplat.captures.media.lens import OpenCVLens
from trackersplat.captures.media.video import MAX_FRAMES, MAX_SIDE
from trackersplat.captures.settings import MAX_FPS, camera_names, check_held_out, plain_name, positive_integer, positive_number
from trackersplat.errors import InputError
from trackersplat.files import read_json, write_json

MAX_CAMERAS = 10_000


@dataclass(frozen=True)
class RigCamera:
    name: str
    lens: OpenCVLens
    world_to_camera: np.ndarray  # (4, 4) float64


@dataclass(frozen=True)
class Rig:
    """What ``cameras.json`` says; None where it says nothing."""

    cameras: tuple[RigCamera, ...]
    frames: int | None
    fps: float | None
    held_out: tuple[str, ...] | None


def read_rig(path: Path) -> Rig:
    """Raises InputError if the file is not as described above."""
    data = read_json(path)
    entries = data.get("cameras")
    frames = positive_integer(data["frames"], MAX_FRAMES, f"{path}: 'frames'") if "frames" in data else None
    fps = positive_number(data["fps"], MAX_FPS, f"{path}: 'fps'") if "fps" in data else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_CAMERAS:
        raise InputError(f"{path}: 'cameras' must be a list of 1 to {MAX_CAMERAS} cameras.")
    cameras = tuple(_camera(entry, data, path) for entry in entries)
    names = [camera.name for camera in cameras]
    if len(set(names)) != len(names):
        raise InputError(f"{path} names a camera twice: every camera needs its own name.")
    held_out = check_held_out(camera_names(data["held_out"], f"{path}: 'held_out'"), names, path) if "held_out" in data else None
    return Rig(cameras, frames, fps, held_out)


def write_rig(path: Path, cameras: Sequence[Camera], frames: int, fps: float, held_out: Sequence[str] | None = None) -> None:
    entries = [
        {"name": one.name, "width": one.width, "height": one.height, "K": one.K.tolist(), "w2c": one.world_to_camera.tolist()}
        for one in cameras
    ]
    rig: dict[str, Any] = {"frames": frames, "fps": fps, "cameras": entries}
    write_json(path, rig if held_out is None else {**rig, "held_out": list(held_out)})


def _camera(entry: Any, data: dict[str, Any], path: Path) -> RigCamera:
    if not isinstance(entry, dict):
        raise InputError(f"{path}: every entry of 'cameras' must be an object.")
    name = plain_name(entry.get("name"), f"{path}: a camera's name")
    width, height = (positive_integer(entry.get(key, data.get(key)), MAX_SIDE, f"{path}: {key!r} of {name}") for key in ("width", "height"))
    K = matrix(entry.get("K"), (3, 3), f"{path}: 'K' of {name}")
    world_to_camera = matrix(entry.get("w2c"), (4, 4), f"{path}: 'w2c' of {name}")
    fisheye = entry.get("fisheye", False)
    if not isinstance(fisheye, bool):
        raise InputError(f"{path}: 'fisheye' of {name} must be true or false.")
    lens = lens_from_matrix(width, height, K, entry.get("dist", []), fisheye, f"{path}: {name}")
    if np.abs(world_to_camera[3] - (0, 0, 0, 1)).max() > 1e-9:
        raise InputError(f"{path}: the last row of 'w2c' of {name} must be 0 0 0 1.")
    check_camera(width, height, lens.K, world_to_camera, f"{path}: {name}")
    return RigCamera(name, lens, world_to_camera)
