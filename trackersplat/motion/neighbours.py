"""The nearest neighbours of every point."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree


def nearest_neighbours(points: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (N, k) and distances (N, k) of the nearest other points, nearest first; k = min(count, N - 1).

    A point is never its own neighbour, also where several points coincide.
    """
    total = len(points)
    k = max(min(count, total - 1), 0)
    if k == 0:
        return np.zeros((total, 0), dtype=np.int64), np.zeros((total, 0))
    distances, indices = cKDTree(points).query(points, k=k + 1, workers=-1)
    drop = indices == np.arange(total)[:, None]
    # Where points coincide, the tree may list others in place of the point itself: drop the furthest instead.
    drop[~drop.any(axis=1), -1] = True
    return indices[~drop].reshape(total, k).astype(np.int64), distances[~drop].reshape(total, k)
