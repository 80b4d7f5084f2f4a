"""Speed in space."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def world_speed(moment: Moment) -> np.ndarray:
    """(P,) scene units/frame."""
    return np.linalg.norm(moment.points.world - moment.previous_world, axis=1) / max(moment.elapsed, 1)
