"""Contrast of the patch."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.fields import contrast
from trackersplat.diagnosis.moment import Moment


def texture(moment: Moment) -> np.ndarray:
    """(P,) grey levels."""
    return contrast(moment.patch)
