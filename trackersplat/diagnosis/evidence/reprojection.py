"""Residual against the point that all views agree on."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def reprojection(moment: Moment) -> np.ndarray:
    """(P,) px."""
    return np.linalg.norm(moment.position - moment.points.reprojected, axis=1)
