"""Correlation of the patch with that of the frame before."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.fields import correlation
from trackersplat.diagnosis.moment import Moment


def ncc_previous(moment: Moment) -> np.ndarray:
    """(P,) in [-1, 1]."""
    return correlation(moment.patch, moment.previous_patch, moment.settings.patch.noise)
