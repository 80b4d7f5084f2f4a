"""Residual against the point that the other views agree on."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def leave_one_out(moment: Moment) -> np.ndarray:
    """(P,) px."""
    return np.linalg.norm(moment.position - moment.points.without, axis=1)
