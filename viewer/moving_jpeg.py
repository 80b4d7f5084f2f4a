"""JPEG files of pictures that move: by the GPU where torchvision is there and proves faster, else by OpenCV."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import torch

QUALITY = 60
WORTHWHILE = 200_000  # pixels from which on the GPU is tried: smaller pictures take OpenCV a millisecond
TRIES = 3  # of each way, after one that warms it up; the fastest counts

Encode = Callable[[np.ndarray], bytes]  # of (H, W, 3) uint8 RGB

log = logging.getLogger(__name__)


class MovingJpeg:
    """Measures the two ways with the first large picture and keeps the faster one. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._fastest: Encode | None = None

    def __call__(self, image: np.ndarray, device: torch.device | None = None) -> bytes:
        """``image``: (H, W, 3) uint8 RGB. ``device``: what it was rendered on."""
        if self._fastest is not None:
            return self._fastest(image)
        if device is None or device.type != "cuda" or image.shape[0] * image.shape[1] < WORTHWHILE:
            return on_processor(image)
        self._fastest = self._faster(image, device)
        return self._fastest(image)

    def _faster(self, image: np.ndarray, device: torch.device) -> Encode:
        on_gpu = gpu_encoder(device)
        if on_gpu is None:
            return on_processor
        try:
            seconds = [self._seconds(way, image) for way in (on_processor, on_gpu)]
        except RuntimeError as error:  # a torchvision without nvJPEG, or a driver that does not fit it
            log.info("pictures are not encoded on the GPU: %s", error)
            return on_processor
        log.info(
            "JPEG of %d x %d: %.1f ms by the processor, %.1f ms by the GPU", image.shape[1], image.shape[0], *(1e3 * s for s in seconds)
        )
        return on_gpu if seconds[1] < seconds[0] else on_processor

    def _seconds(self, way: Encode, image: np.ndarray) -> float:
        way(image)
        taken = []
        for _ in range(TRIES):
            began = self._clock()
            way(image)
            taken.append(self._clock() - began)
        return min(taken)


def on_processor(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1].tobytes()


def gpu_encoder(device: torch.device) -> Encode | None:
    """nvJPEG on a CUDA device; None without torchvision. What it returns raises RuntimeError where that has no nvJPEG."""
    try:
        from torchvision.io import encode_jpeg
    except ImportError:
        return None
    import torch

    def encode(image: np.ndarray) -> bytes:
        with torch.inference_mode():
            planes = torch.from_numpy(image).to(device).permute(2, 0, 1).contiguous()
            data: bytes = encode_jpeg(planes, quality=QUALITY).cpu().numpy().tobytes()
        return data

    return encode
