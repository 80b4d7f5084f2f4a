"""Acceleration in space."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def world_acceleration(moment: Moment) -> np.ndarray:
    """(P,) scene units/frame^2, from three frames in equal steps."""
    change = moment.points.world - 2 * moment.previous_world + moment.earlier_world
    return np.linalg.norm(change, axis=1) / max(moment.elapsed, 1) ** 2
