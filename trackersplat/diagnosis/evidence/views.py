"""How many other views agree on the point."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def views(moment: Moment) -> np.ndarray:
    """(P,) a number of views."""
    return np.where(moment.here, moment.points.views, np.nan)
