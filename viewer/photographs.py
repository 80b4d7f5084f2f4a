"""Photographs as files for the page. They are there before the renderer is: nothing here needs PyTorch."""

from __future__ import annotations

import cv2

from trackersplat.captures.capture import Capture

PATH = "/photo"
LARGEST_WIDTH = 960  # pixels
QUALITY = 80  # JPEG


def photo_url(camera: int, frame: int) -> str:
    """Where the page gets the photograph of a camera; frames are indices from 0. Relative: a proxy may serve the page below a path."""
    return f"{PATH[1:]}?camera={camera}&frame={frame}"


def photo_jpeg(capture: Capture, camera: int, frame: int) -> bytes:
    """A JPEG file, smaller than the photograph if that is large. Raises InputError if it cannot be read."""
    image = capture.image(camera, frame)
    if image.shape[1] > LARGEST_WIDTH:
        height = max(round(image.shape[0] * LARGEST_WIDTH / image.shape[1]), 1)
        image = cv2.resize(image, (LARGEST_WIDTH, height), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", image[:, :, ::-1], (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1].tobytes()
