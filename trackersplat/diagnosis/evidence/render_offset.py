"""Displacement of the rendering from the photograph."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def render_offset(moment: Moment) -> np.ndarray:
    """(P,) px."""
    return np.where(moment.here, np.linalg.norm(moment.offset, axis=1), np.nan)
