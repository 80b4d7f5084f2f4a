"""Correlation of the patch with that in which the track began."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.fields import correlation
from trackersplat.diagnosis.moment import Moment


def ncc_query(moment: Moment) -> np.ndarray:
    """(P,) in [-1, 1]."""
    return np.where(moment.begins, np.nan, correlation(moment.patch, moment.query_patch, moment.settings.patch.noise))
