"""Textured cards before textured backgrounds."""

from __future__ import annotations

import cv2
import numpy as np

HEIGHT, WIDTH = 96, 128


def texture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Smooth random RGB texture, float32 in [0, 255]."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return np.clip(128 + 3 * (soft - soft.mean()), 0, 255)


def shifted(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """What was at (a, b) is at (a + x, b + y)."""
    moved = cv2.warpAffine(image, np.array([[1, 0, x], [0, 1, y]], dtype=np.float32), image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
    return moved.round().astype(np.uint8)


def as_bytes(image: np.ndarray) -> np.ndarray:
    return image.round().astype(np.uint8)


def with_card(background: np.ndarray, card: np.ndarray, x: float, y: float, degrees: float = 0.0) -> np.ndarray:
    """The card's centre at array index (x, y), turned by an angle (positive: from x towards y)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    middle = (np.array(card.shape[1::-1]) - 1) / 2
    place = np.array([[c, -s, x - c * middle[0] + s * middle[1]], [s, c, y - s * middle[0] - c * middle[1]]])
    size = background.shape[1::-1]
    moved = cv2.warpAffine(card.astype(np.float32), place, size, flags=cv2.INTER_CUBIC)
    cover = cv2.warpAffine(np.ones(card.shape[:2], np.float32), place, size)[..., None]
    return (background * (1 - cover) + moved * cover).clip(0, 255).round().astype(np.uint8)
