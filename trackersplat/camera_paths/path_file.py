"""Camera paths as JSON. A file may come from anybody: it is bounded and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trackersplat.camera_paths.path import MOST_KEYS, CameraPath, Key
from trackersplat.errors import InputError
from trackersplat.files import read_json, write_json

FORMAT = "trackersplat camera path 1"


def read_path(file: Path) -> CameraPath:
    """Raises InputError if the file is missing, too large, or holds no camera path."""
    data = read_json(file)
    try:
        return from_json(data)
    except InputError as error:
        raise InputError(f"{file} holds no camera path that can be used: {error}") from error


def write_path(file: Path, path: CameraPath) -> None:
    """Raises InputError if the file cannot be written."""
    write_json(file, to_json(path))


def to_json(path: CameraPath) -> dict[str, Any]:
    """Angles in degrees, frames counted from 1."""
    keys = [
        {
            "at": key.at,
            "position": list(key.position),
            "rotation_wxyz": list(key.rotation),
            "fov_y_degrees": math.degrees(key.fov),
            "frame": None if key.frame is None else key.frame + 1,
        }
        for key in path.keys
    ]
    return {"format": FORMAT, "seconds": path.seconds, "loop": path.loop, "constant_speed": path.constant_speed, "keys": keys}


def from_json(data: Mapping[str, Any]) -> CameraPath:
    """The inverse of to_json. Raises InputError, without the name of the file, if it is no camera path."""
    keys = data.get("keys")
    if data.get("format") != FORMAT:
        raise InputError(f'expected "format": "{FORMAT}", as the page and `trackersplat render --save-path` write it.')
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_KEYS:
        raise InputError(f'expected "keys", a list of 1 to {MOST_KEYS} keys.')
    flags = [data.get(name, False) for name in ("loop", "constant_speed")]
    if not all(isinstance(flag, bool) for flag in flags):
        raise InputError('"loop" and "constant_speed" are true or false.')
    return CameraPath(tuple(_key(entry, number) for number, entry in enumerate(keys, 1)), _number(data, "seconds", "The path"), *flags)


def _key(entry: Any, number: int) -> Key:
    what = f"Key {number}"
    if not isinstance(entry, Mapping):
        raise InputError(f"{what} must be an object with at, position, rotation_wxyz, fov_y_degrees and perhaps frame.")
    frame = None if entry.get("frame") is None else _number(entry, "frame", what) - 1
    x, y, z = _numbers(entry, "position", 3, what)
    rotation = _numbers(entry, "rotation_wxyz", 4, what)
    fov = math.radians(_number(entry, "fov_y_degrees", what))
    try:
        return Key(_number(entry, "at", what), (x, y, z), (rotation[0], rotation[1], rotation[2], rotation[3]), fov, frame)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def _number(entry: Mapping[str, Any], name: str, what: str) -> float:
    return _finite(entry.get(name), f'{what}: "{name}" must be a number.')


def _numbers(entry: Mapping[str, Any], name: str, count: int, what: str) -> list[float]:
    values, sentence = entry.get(name), f'{what}: "{name}" must be a list of {count} numbers.'
    if not isinstance(values, list) or len(values) != count:
        raise InputError(sentence)
    return [_finite(value, sentence) for value in values]


def _finite(value: Any, sentence: str) -> float:
    """Also for whole numbers of any length, which JSON may hold."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise InputError(sentence)
