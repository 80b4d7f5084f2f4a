"""Opacities of 8 bits, as several formats store them."""

from __future__ import annotations

import numpy as np


def opacity_logits(alpha: np.ndarray) -> np.ndarray:
    """Logits of opacities from 0 to 255. These two are moved inwards by a quarter of a step: their own logits are infinite."""
    opacity = np.clip(alpha.astype(np.float64) / 255, 1 / 1020, 1 - 1 / 1020)
    return np.log(opacity / (1 - opacity))
