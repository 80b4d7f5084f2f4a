"""Forward-backward error since the track began."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def loop(moment: Moment) -> np.ndarray:
    """(P,) px."""
    return np.where(moment.here, np.linalg.norm(moment.loop, axis=1), np.nan)
