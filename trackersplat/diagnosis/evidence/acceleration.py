"""Acceleration in the image."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def acceleration(moment: Moment) -> np.ndarray:
    """(P,) px/frame^2, from three frames in equal steps."""
    return np.linalg.norm(moment.position - 2 * moment.previous + moment.earlier, axis=1) / max(moment.elapsed, 1) ** 2
