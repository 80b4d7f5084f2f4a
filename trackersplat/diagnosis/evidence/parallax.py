"""The largest angle between the rays of the views."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def parallax(moment: Moment) -> np.ndarray:
    """(P,) degrees."""
    return np.where(moment.here, moment.points.parallax, np.nan)
