"""Speed in the image."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def speed(moment: Moment) -> np.ndarray:
    """(P,) px/frame."""
    return np.linalg.norm(moment.position - moment.previous, axis=1) / max(moment.elapsed, 1)
