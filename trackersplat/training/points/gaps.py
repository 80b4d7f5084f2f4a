"""Features that were triangulated where dense matching found nothing."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from trackersplat.captures.capture import PointCloud
from trackersplat.training.points.settings import GapSettings


def fill_gaps(dense: PointCloud, features: PointCloud, settings: GapSettings, seed: int) -> PointCloud:
    """``dense`` and those of ``features`` that are further from it than its points are from each other (median nearest neighbour)."""
    if len(dense.xyz) < 2 or not len(features.xyz):
        return dense
    tree = cKDTree(dense.xyz)
    spacing = float(np.median(tree.query(dense.xyz, k=2, workers=-1)[0][:, 1]))
    alone = np.flatnonzero(tree.query(features.xyz, workers=-1)[0] > spacing)
    most = int(settings.largest_share * len(dense.xyz))
    if len(alone) > most:
        alone = np.sort(np.random.default_rng(seed).choice(alone, most, replace=False))
    return PointCloud(np.concatenate([dense.xyz, features.xyz[alone]]), np.concatenate([dense.rgb, features.rgb[alone]]))
