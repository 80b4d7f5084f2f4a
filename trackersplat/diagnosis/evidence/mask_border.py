"""Distance to the border of the foreground mask."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def mask_border(moment: Moment) -> np.ndarray:
    """(P,) px."""
    return moment.mask_border
