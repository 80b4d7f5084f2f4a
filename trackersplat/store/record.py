"""What a run keeps in words and numbers about each frame: ``frame.json``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trackersplat.errors import InputError
from trackersplat.events import FrameDone, from_json, to_json
from trackersplat.files import read_json, write_json

RECORD = "frame.json"  # in the folder of a frame
LARGEST = 2**53  # of a whole number: what JSON and tables hold exactly


@dataclass(frozen=True)
class FrameRecord:
    """How a frame was made and how good it is."""

    done: FrameDone
    iterations: int
    scores: dict[str, dict[str, float]]  # score name -> camera name -> value
    images: dict[str, str] = field(default_factory=dict)  # hashes of what it was made from (`captures.fingerprints`)


def write_record(path: Path, record: FrameRecord) -> None:
    """Numbers that are not finite (the PSNR of equal images) are written as text, because JSON lacks them."""
    data = {"done": to_json(record.done), "iterations": record.iterations, "scores": record.scores, "images": record.images}
    write_json(path, _spelled(data))


def read_record(path: Path) -> FrameRecord:
    """Raises InputError if the file is damaged or not a frame record."""
    data = read_json(path)
    try:
        done_data = dict(data["done"])
        for name in ("scores", "seconds"):
            done_data[name] = {str(key): _number(value) for key, value in done_data[name].items()}
        done = from_json(done_data)
        if not isinstance(done, FrameDone):
            raise ValueError("no finished frame")
        for value in _numbers(done):
            _number(value)
        scores = {
            str(name): {str(camera): _number(value) for camera, value in by_camera.items()} for name, by_camera in data["scores"].items()
        }
        images = {str(name): str(known) for name, known in data.get("images", {}).items()}
        return FrameRecord(done, int(_number(data["iterations"])), scores, images)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{path} is not a frame record of ours ({error}); remove its folder to reconstruct the frame anew.") from error


def _numbers(done: FrameDone) -> Iterator[Any]:
    yield from (done.frame, done.gaussians, done.measured, done.static, done.left_out)
    if done.base is not None:
        yield done.base


def _spelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _spelled(item) for key, item in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: Any) -> float:
    """Raises ValueError if a record holds something else where a number belongs."""
    if value in ("inf", "-inf", "nan"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (isinstance(value, int) and abs(value) > LARGEST):
        raise ValueError(f"{str(value)[:20]!r} where a number belongs")
    return value
