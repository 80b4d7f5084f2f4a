"""Image folders: ``images/<camera>/<frame>.png`` and ``cameras.json`` with OpenCV cameras (pixel centres at +0.5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.captures.decode import ImageFileSource
from trackersplat.captures.points import read_points
from trackersplat.captures.settings import (
    MAX_FPS,
    camera_names,
    check_held_out,
    plain_name,
    positive_integer,
    positive_number,
    read_settings,
)
from trackersplat.captures.video import MAX_FRAMES, MAX_SIDE
from trackersplat.errors import InputError
from trackersplat.files import read_json

NAME = "image_folder"
FILES = "cameras.json and images/<camera>/0000.png"
MAX_CAMERAS = 10_000
SUFFIXES = (".png", ".jpg", ".jpeg")


def detects(folder: Path) -> bool:
    return (folder / "cameras.json").is_file() and (folder / "images").is_dir()


def read(folder: Path) -> Capture:
    """``capture.json``, where there is one, overrides name, rate and held-out cameras.

    Raises InputError if ``cameras.json`` is not as expected, or an image is missing.
    """
    path = folder / "cameras.json"
    data = read_json(path)
    frame_count = positive_integer(data.get("frames"), MAX_FRAMES, f"{path}: 'frames'")
    fps = positive_number(data.get("fps"), MAX_FPS, f"{path}: 'fps'")
    entries = data.get("cameras")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_CAMERAS:
        raise InputError(f"{path}: 'cameras' must be a list of 1 to {MAX_CAMERAS} cameras.")
    cameras = tuple(_camera(entry, data, path) for entry in entries)
    names = [camera.name for camera in cameras]
    if len(set(names)) != len(names):
        raise InputError(f"{path} names a camera twice: every camera needs its own name.")
    held_out = check_held_out(camera_names(data.get("held_out", []), f"{path}: 'held_out'"), names, path)
    settings = read_settings(folder)
    if settings.held_out is not None:
        held_out = check_held_out(settings.held_out, names, folder / "capture.json")
    warnings = () if held_out else ("No camera is held out, so quality can be measured on training cameras only.",)
    paths = [_frame_paths(folder / "images" / name, frame_count) for name in names]
    points = read_points(folder / "points3D.ply") if (folder / "points3D.ply").is_file() else None
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=NAME,
        cameras=cameras,
        frame_count=frame_count,
        fps=settings.fps or fps,
        source=ImageFileSource(paths, [(camera.width, camera.height) for camera in cameras]),
        held_out=held_out,
        points=points,
        warnings=warnings,
    )


def _camera(entry: Any, data: dict[str, Any], path: Path) -> Camera:
    if not isinstance(entry, dict):
        raise InputError(f"{path}: every entry of 'cameras' must be an object with name, K and w2c.")
    name = plain_name(entry.get("name"), f"{path}: a camera's name")
    width, height = (positive_integer(entry.get(key, data.get(key)), MAX_SIDE, f"{path}: {key!r} of {name}") for key in ("width", "height"))
    K = _matrix(entry.get("K"), (3, 3), f"{path}: 'K' of {name}")
    world_to_camera = _matrix(entry.get("w2c"), (4, 4), f"{path}: 'w2c' of {name}")
    distortion = entry.get("dist", [])
    if not isinstance(distortion, list) or any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in distortion):
        raise InputError(f"{path}: 'dist' of {name} must be a list of numbers.")
    if any(value != 0 for value in distortion):
        raise InputError(
            f"{path}: {name} has lens distortion, which image folders do not support: undistort its images and set 'dist' to zeros."
        )
    if abs(K[0, 1]) > 1e-9 or np.abs(K[1, 0]) > 1e-9 or np.abs(K[2] - (0, 0, 1)).max() > 1e-9:
        raise InputError(f"{path}: 'K' of {name} must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]].")
    if np.abs(world_to_camera[3] - (0, 0, 0, 1)).max() > 1e-9:
        raise InputError(f"{path}: the last row of 'w2c' of {name} must be 0 0 0 1.")
    return Camera(name, width, height, K, world_to_camera)


def _matrix(value: Any, shape: tuple[int, int], what: str) -> np.ndarray:
    rows_fit = isinstance(value, list) and len(value) == shape[0] and all(isinstance(row, list) and len(row) == shape[1] for row in value)
    if not rows_fit or any(isinstance(cell, bool) or not isinstance(cell, (int, float)) for row in value for cell in row):
        raise InputError(f"{what} must be a {shape[0]}x{shape[1]} matrix of numbers.")
    try:
        matrix = np.array(value, dtype=np.float64)
    except OverflowError:
        matrix = np.full(shape, np.inf)
    if not np.isfinite(matrix).all():
        raise InputError(f"{what} has a number that is not finite.")
    return matrix


def _frame_paths(folder: Path, frame_count: int) -> list[Path]:
    """The first ``frame_count`` images by name. Raises InputError if there are fewer, or the numbering has a gap."""
    if not folder.is_dir():
        raise InputError(f"{folder} is missing: every camera needs a folder with its {frame_count} images.")
    images = sorted((path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()), key=lambda path: path.name)
    numbered = {int(path.stem): path for path in images if path.stem.isascii() and path.stem.isdigit() and len(path.stem) < 10}
    start = min(numbered, default=0)
    for frame in range(start, start + frame_count):
        if frame not in numbered:
            raise InputError(
                f"{folder} has no image number {frame:04d}: cameras.json promises {frame_count} frames, numbered without gaps, "
                f"and {len(images)} images are there."
            )
    return [numbered[frame] for frame in range(start, start + frame_count)]
