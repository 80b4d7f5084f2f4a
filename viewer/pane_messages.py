"""The messages of the websocket /pictures (`viewer.pictures`): read, checked and written.

From the page, JSON text: ``size`` (pane, w, h in device pixels), ``view`` (pane, rect or null, camera), ``ack`` (pane, serial), ``gone``
(pane). To the page, binary: length of the header (uint32, little-endian), header (JSON), payload. Headers: ``picture`` with an image
file, ``overlay`` with float32 numbers, ``state`` with a sentence and no payload.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeGuard

import cv2
import numpy as np

from viewer.moving_jpeg import on_processor
from viewer.state import MOST_PANES
from viewer.views.painting import LARGEST_SIDE
from viewer.views.request import PanePicture, PaneRequest

MOST_BYTES = 64 << 10  # of a message from the page
MOST_CAMERAS = 1 << 20
MOST_PIXELS_AWAY = 1e6  # camera pixels; a visible part that reaches further is none
QUALITY_AT_REST = 92  # JPEG


@dataclass(frozen=True)
class Message:
    """A well-formed message of the page."""

    kind: str  # size, view, ack or gone
    pane: int
    size: tuple[int, int] = (0, 0)
    rect: tuple[float, float, float, float] | None = None
    camera: int | None = None  # that the rect belongs to
    serial: int = 0


def parse(text: str | bytes | None) -> Message | None:
    """None if it is malformed: binary, too long, no JSON object, an unknown kind, or numbers outside their bounds."""
    if not isinstance(text, str) or len(text) > MOST_BYTES or len(text.encode(errors="surrogatepass")) > MOST_BYTES:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or not _whole(data.get("pane"), 0, MOST_PANES - 1):
        return None
    kind, pane = data.get("t"), int(data["pane"])
    if kind == "gone":
        return Message("gone", pane)
    if kind == "ack":
        return Message("ack", pane, serial=data["serial"]) if _whole(data.get("serial"), 0, 1 << 53) else None
    if kind == "size":
        width, height = data.get("w"), data.get("h")
        if not _number(width, 1, LARGEST_SIDE) or not _number(height, 1, LARGEST_SIDE):
            return None
        return Message("size", pane, size=(round(width), round(height)))
    if kind == "view":
        rect, camera = data.get("rect"), data.get("camera")
        if rect is None:
            return Message("view", pane)
        if not isinstance(rect, list) or len(rect) != 4 or not all(_number(v, -MOST_PIXELS_AWAY, MOST_PIXELS_AWAY) for v in rect):
            return None
        x0, y0, x1, y1 = (float(value) for value in rect)
        fits = x0 < x1 and y0 < y1 and _whole(camera, 0, MOST_CAMERAS)
        return Message("view", pane, rect=(x0, y0, x1, y1), camera=camera) if fits else None
    return None


def _number(value: Any, low: float, high: float) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high  # false for nan


def _whole(value: Any, low: int, high: int) -> TypeGuard[int]:
    return isinstance(value, int) and _number(value, low, high)


def pack(header: dict[str, Any], payload: bytes = b"") -> bytes:
    text = json.dumps(header, allow_nan=False).encode()
    return struct.pack("<I", len(text)) + text + payload


def encode(picture: PanePicture, full: bool, moving: Callable[[np.ndarray], bytes] = on_processor) -> tuple[str, bytes]:
    """MIME type and image file. ``moving`` makes the JPEG file of a picture that is not full."""
    if not full and not picture.lossless:
        return "image/jpeg", moving(picture.image)
    bgr = cv2.cvtColor(picture.image, cv2.COLOR_RGB2BGR)
    if picture.lossless:
        return "image/png", cv2.imencode(".png", bgr, (cv2.IMWRITE_PNG_COMPRESSION, 1))[1].tobytes()
    options = (cv2.IMWRITE_JPEG_QUALITY, QUALITY_AT_REST, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    return "image/jpeg", cv2.imencode(".jpg", bgr, options)[1].tobytes()


def picture_header(index: int, serial: int, request: PaneRequest, picture: PanePicture, mime: str) -> dict[str, Any]:
    height, width = picture.image.shape[:2]
    return {
        "t": "picture", "pane": index, "serial": serial, "frame": picture.frame, "wanted": request.frame, "camera": picture.camera,
        "index": request.camera, "size": list(picture.camera_size), "role": picture.role, "w": width, "h": height,
        "rect": list(picture.rect), "mime": mime, "label": picture.title, "note": picture.note,
        "score": None if picture.score is None else picture.score.to_json(),
        "scale": None if picture.scale is None else picture.scale.to_json(),
        "wipe": picture.wipe, "exact": picture.exact,
        "content": [
            request.camera, request.frame, request.compare, request.channel, request.against, request.wipe, request.revision,
            request.selected,
        ],
    }  # fmt: skip
