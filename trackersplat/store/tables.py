"""The tables of a run: scores per camera, ``log.csv`` in the published columns, ``metrics.csv``, ``cameras.json``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from trackersplat.captures.capture import Capture
from trackersplat.events import FrameDone

LOG_COLUMNS = ("epoch", "camera", "psnr", "ssim", "lpips", "masked_psnr", "masked_ssim", "masked_lpips")
METRICS_COLUMNS = (
    "frame",
    "camera",
    "base",
    "still_psnr",
    "moved_psnr",
    "psnr",
    "ssim",
    "gaussians",
    "measured",
    "static",
    "seconds",
)


@dataclass(frozen=True)
class CameraScore:
    """How one camera's image of one frame is reproduced, over all its pixels."""

    camera: str
    psnr: float  # dB
    ssim: float
    still_psnr: float | None = None  # of the unmoved base frame
    moved_psnr: float | None = None  # moved by tracks, before optimisation


def log_csv(scores: Iterable[CameraScore]) -> str:
    """The training cameras in the columns of the published system.

    Measured once, on the finished frame (epoch 1); what was not measured (LPIPS, masks) stays empty.
    """
    return _table(LOG_COLUMNS, (["1", s.camera, _number(s.psnr), _number(s.ssim), "", "", "", ""] for s in scores))


def metrics_csv(frames: Iterable[tuple[int, FrameDone, Sequence[CameraScore]]]) -> str:
    """The held-out cameras, one row per frame and camera; frames counted from 1. A frame without any has one row."""
    rows = []
    for frame, done, scores in frames:
        base = "" if done.base is None else str(done.base + 1)
        tail = [str(done.gaussians), _number(done.measured), _number(done.static), f"{done.seconds:.2f}"]
        if not scores:
            rows.append([str(frame + 1), "", base, "", "", "", "", *tail])
        for score in scores:
            values = [_number(v) for v in (score.still_psnr, score.moved_psnr, score.psnr, score.ssim)]
            rows.append([str(frame + 1), score.camera, base, *values, *tail])
    return _table(METRICS_COLUMNS, rows)


def camera_entries(capture: Capture) -> list[dict[str, Any]]:
    """``cameras.json`` of 3DGS: camera centre and camera-to-world rotation in OpenCV axes."""
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
        }
        for index, camera in enumerate(capture.cameras)
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
