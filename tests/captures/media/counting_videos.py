"""Videos whose frames say their own number in black and white bars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny_capture import encode

BITS = 9


def number_image(number: int, height: int = 32) -> np.ndarray:
    """(height, 8 * BITS, 3) uint8: one bar of 8 pixels per bit, the lowest first, white for 1."""
    bits = (number >> np.arange(BITS)) & 1
    return np.broadcast_to(np.repeat(bits * 255, 8)[None, :, None], (height, 8 * BITS, 3)).astype(np.uint8)


def read_number(image: np.ndarray) -> int:
    bars = image.reshape(image.shape[0], BITS, 8, 3).mean(axis=(0, 2, 3)) > 127
    return int((bars << np.arange(BITS)).sum())


def write_counting_video(path: Path, count: int, *options: str) -> Path:
    return encode(path, np.stack([number_image(number) for number in range(count)]), *options)
