"""Doubt that came with the track."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def distrust(moment: Moment) -> np.ndarray:
    """(P,) in [0, 1]."""
    return np.where(moment.here & ~moment.begins, 1.0 - moment.confidence, np.nan)
