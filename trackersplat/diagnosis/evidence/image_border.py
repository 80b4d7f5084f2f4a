"""Distance to the border of the image."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def image_border(moment: Moment) -> np.ndarray:
    """(P,) px, negative outside."""
    return np.minimum(moment.position, moment.size - moment.position).min(axis=1)
