"""Forward-backward error from frame to frame."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def forward_backward(moment: Moment) -> np.ndarray:
    """(P,) px."""
    return np.linalg.norm(moment.back - moment.previous, axis=1)
