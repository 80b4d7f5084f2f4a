"""Opacities of 8 bits, as several formats store them."""

from __future__ import annotations

import numpy as np


def opacity_logits(alpha: np.ndarray) -> np.ndarray:
    """Of opacities in 255 steps. 0 and 255 stand for a quarter of a step from the end: their own logits are infinite."""
    opacity = np.clip(alpha.astype(np.float64) / 255, 1 / 1020, 1 - 1 / 1020)
    return np.log(opacity / (1 - opacity))
