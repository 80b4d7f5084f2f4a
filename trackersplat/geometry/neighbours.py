"""The nearest neighbours of every point."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from trackersplat.geometry.devices import available


def nearest_neighbours(points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Indices (N, k) and distances (N, k) float64 of the nearest other points, nearest first; k = min(count, N - 1), at most 32.

    A point is never its own neighbour, also where several points coincide. ``points`` (N, 3) finite. On the points' device: a kd-tree on
    the CPU, in all its threads, and boxes of points on a GPU with Triton, where distances that agree to float32 count as the same.
    """
    points = points.detach().double()
    k = max(min(count, len(points) - 1), 0)
    if k == 0:
        return points.new_zeros((len(points), 0), dtype=torch.int64), points.new_zeros((len(points), 0))
    if not available(points):
        return _in_a_tree(points, k)
    from trackersplat.geometry.neighbours_triton import nearest

    indices = nearest(points.float(), k)
    distances, order = (points[indices] - points[:, None]).norm(dim=-1).sort(dim=1, stable=True)
    return indices.gather(1, order), distances


def _in_a_tree(points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    values = points.cpu().numpy()
    total = len(values)
    distances, indices = cKDTree(values, balanced_tree=False).query(values, k=k + 1, workers=-1)
    drop = indices == np.arange(total)[:, None]
    # Where points coincide, the tree may list others in place of the point itself: drop the furthest instead.
    drop[~drop.any(axis=1), -1] = True
    indices, distances = indices[~drop].reshape(total, k).astype(np.int64), distances[~drop].reshape(total, k)
    return torch.from_numpy(indices).to(points.device), torch.from_numpy(distances).to(points.device)
