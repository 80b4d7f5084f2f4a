"""The tables of a run: ``log.csv`` in the published columns, ``metrics.csv``, ``cameras.json``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trackersplat.captures.camera import DEFAULT_NEAR, Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError, ShapeError
from trackersplat.files import JSON_LIMIT, read_text
from trackersplat.metrics.names import REGIONS, STAGES, ScoreName
from trackersplat.store.record import FrameRecord

# Column of the published system -> score. Its LPIPS is by AlexNet.
LOG_SCORES = {
    "psnr": "psnr", "ssim": "ssim", "lpips": "lpips_alex",
    "masked_psnr": "masked_psnr", "masked_ssim": "masked_ssim", "masked_lpips": "masked_lpips_alex",
}  # fmt: skip
LARGEST_SIDE = 1 << 15  # pixels of a picture that a file may ask for
MOST_CAMERAS = 10_000  # that are read from a file
_TAIL = ("gaussians", "measured", "static", "seconds")


def score_names(metrics: Iterable[str]) -> tuple[str, ...]:
    """The scores of these metrics that a run keeps: of the unmoved, the moved and the finished frame, and of the regions of the last."""
    found = []
    for metric in metrics:
        found += [ScoreName(metric, stage=stage) for stage in (*STAGES, "")] + [ScoreName(metric, region=region) for region in REGIONS]
    return tuple(map(str, found))


def log_csv(scores: Mapping[str, Mapping[str, float]], cameras: Iterable[str]) -> str:
    """These cameras in the columns of the published system.

    Measured once, on the finished frame (epoch 1); what was not measured stays empty.
    """
    rows = (["1", camera, *(_number(scores.get(name, {}).get(camera)) for name in LOG_SCORES.values())] for camera in cameras)
    return _table([("epoch", "camera", *LOG_SCORES), *rows])


def metrics_header(metrics: Sequence[str]) -> str:
    """The first line of ``metrics.csv``: every score of these metrics has a column."""
    return _table([("frame", "camera", "base", *score_names(metrics), *_TAIL)])


def metrics_rows(record: FrameRecord, metrics: Sequence[str], held_out: Sequence[str]) -> str:
    """The lines of one frame: one per held-out camera, or one without a camera if none is held out. Frames are counted from 1."""
    done = record.done
    base = "" if done.base is None else str(done.base + 1)
    tail = (str(done.gaussians), _number(done.measured), _number(done.static), f"{done.total_seconds:.2f}")
    rows = []
    for camera in held_out or ("",):
        values = (_number(record.scores.get(name, {}).get(camera)) for name in score_names(metrics))
        rows.append((str(done.frame + 1), camera, base, *values, *tail))
    return _table(rows)


def camera_entries(capture: Capture) -> list[dict[str, Any]]:
    """``cameras.json`` of 3DGS: camera centre and camera-to-world rotation in OpenCV axes. The near plane is ours; others pass over it."""
    return [
        {
            "id": index,
            "img_name": camera.name,
            "width": camera.width,
            "height": camera.height,
            "position": camera.center.tolist(),
            "rotation": camera.rotation.T.tolist(),
            "fx": camera.fx,
            "fy": camera.fy,
            "cx": camera.cx,
            "cy": camera.cy,
            "near": camera.near,
        }
        for index, camera in enumerate(capture.cameras)
    ]


def read_camera_entries(path: Path) -> tuple[Camera, ...]:
    """The cameras of a ``cameras.json`` of 3DGS; those of other programs lack near planes and the principal point, then the middle.

    Raises InputError if the file is missing or damaged.
    """
    try:
        entries = json.loads(read_text(path, JSON_LIMIT))
        return tuple(_camera(entry) for entry in entries[:MOST_CAMERAS])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, ShapeError) as error:
        raise InputError(f"{path} does not hold the cameras of a run ({error}): copy the run again.") from error


def _camera(entry: Any) -> Camera:
    width, height = int(entry["width"]), int(entry["height"])
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
        raise ValueError(f"a size of {width}x{height}")
    rotation = np.array(entry["rotation"], np.float64).T
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ np.array(entry["position"], np.float64)
    focus = [[entry["fx"], 0, entry.get("cx", width / 2)], [0, entry["fy"], entry.get("cy", height / 2)], [0, 0, 1]]
    near = float(entry.get("near", DEFAULT_NEAR))
    return Camera(str(entry["img_name"]), width, height, np.array(focus, np.float64), pose, near=near)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _table(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
