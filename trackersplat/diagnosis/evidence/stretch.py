"""Change of the distance to neighbouring tracks."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from trackersplat.diagnosis.moment import Moment


def stretch(moment: Moment) -> np.ndarray:
    """(P,) the median over the neighbours on the same surface of ``|distance now / distance before - 1|``."""
    settings = moment.settings.neighbours
    result = np.full(len(moment), np.nan)
    there = moment.here & np.isfinite(moment.previous[:, 0]) & np.isfinite(moment.material.depth)
    for camera in np.unique(moment.camera[there]):
        chosen = np.flatnonzero(there & (moment.camera == camera))
        if len(chosen) <= settings.least:
            continue
        before, now, depth = moment.previous[chosen], moment.position[chosen], moment.material.depth[chosen]
        _, near = cKDTree(before).query(before, k=min(settings.count + 1, len(chosen)))
        near = near[:, 1:]
        surface = np.abs(depth[near] - depth[:, None]) <= settings.depth * depth[:, None]
        apart_before = np.linalg.norm(before[near] - before[:, None], axis=2)
        apart_now = np.linalg.norm(now[near] - now[:, None], axis=2)
        change = np.abs(apart_now - apart_before) / np.maximum(apart_before, 1.0)
        enough = surface.sum(1) >= settings.least
        change = np.where(surface, change, np.nan)[enough]
        result[chosen[enough]] = np.nanmedian(change, axis=1) if len(change) else np.nan
    return result
