"""The nearest neighbours of every point."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor


def nearest_neighbours(points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Indices (N, k) and distances (N, k) float64 of the nearest other points, nearest first; k = min(count, N - 1).

    A point is never its own neighbour, also where several points coincide. ``points`` (N, 3); the search runs on the CPU, in all its
    threads, and the result comes back to the device of the points.
    """
    values = points.detach().double().cpu().numpy()
    total = len(values)
    k = max(min(count, total - 1), 0)
    if k == 0:
        return torch.zeros((total, 0), dtype=torch.int64, device=points.device), points.new_zeros((total, 0), dtype=torch.float64)
    distances, indices = cKDTree(values, balanced_tree=False).query(values, k=k + 1, workers=-1)
    drop = indices == np.arange(total)[:, None]
    # Where points coincide, the tree may list others in place of the point itself: drop the furthest instead.
    drop[~drop.any(axis=1), -1] = True
    indices, distances = indices[~drop].reshape(total, k).astype(np.int64), distances[~drop].reshape(total, k)
    return torch.from_numpy(indices).to(points.device), torch.from_numpy(distances).to(points.device)
