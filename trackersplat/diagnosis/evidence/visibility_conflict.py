"""Claimed visibility against that by rendered depth."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def visibility_conflict(moment: Moment) -> np.ndarray:
    """(P,) in [-1, 1]."""
    claimed = moment.visibility >= moment.settings.views.visible
    known = moment.here & np.isfinite(moment.material.depth)
    return np.where(known, np.where(claimed, moment.material.covered, -moment.material.shown), np.nan)
