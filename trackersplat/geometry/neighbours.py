"""The nearest neighbours of every point."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from trackersplat.geometry.devices import has_triton

_DISTANCES_AT_ONCE = 100_000_000  # for memory: 4 bytes each
_BOXES = (16, 32)  # points of a box on a GPU: the smallest that holds the neighbours that are asked for (layout)


class Neighbours(NamedTuple):
    """The k nearest points of N points, nearest first."""

    indices: Tensor  # (N, k) int64
    distances: Tensor  # (N, k) float64 scene units


def nearest_neighbours(points: Tensor, count: int) -> Neighbours:
    """The k = min(count, N - 1) nearest other points of each of the ``points`` (N, 3), all finite; ``count`` is at most 32.

    A point is never its own neighbour, also where several points coincide. On the points' device: a kd-tree on the CPU, in all its
    threads, and boxes of points on a GPU with Triton, where distances that agree to float32 count as the same.
    """
    points = points.detach().double()
    k = max(min(count, len(points) - 1), 0)
    if k == 0:
        return Neighbours(indices=points.new_zeros((len(points), 0), dtype=torch.int64), distances=points.new_zeros((len(points), 0)))
    if not has_triton(points):
        return _in_a_tree(points, k)
    from trackersplat.geometry.neighbours_triton import nearest

    indices, distances = nearest(points, k, size=_box(k))
    return Neighbours(indices=indices, distances=distances)


def nearest_to(queries: Tensor, points: Tensor, count: int) -> Neighbours:
    """The k = min(count, N) of the ``points`` (N, 3) nearest to each of the ``queries`` (Q, 3), on the points' device.

    A kd-tree on the CPU, in all its threads; on a GPU in float32, by boxes of points with Triton and by all distances without.
    """
    points, queries = points.detach().double(), queries.detach().to(points.device, torch.float64)
    k = min(count, len(points))
    if k == 0 or len(queries) == 0:
        return Neighbours(indices=points.new_zeros((len(queries), k), dtype=torch.int64), distances=points.new_zeros((len(queries), k)))
    if not points.is_cuda:
        tree = cKDTree(points.numpy(), balanced_tree=False)
        distances, indices = tree.query(queries.numpy(), k=range(1, k + 1), workers=-1)
        return Neighbours(indices=torch.from_numpy(indices.astype(np.int64)), distances=torch.from_numpy(distances))
    if has_triton(points) and k <= _BOXES[-1]:
        from trackersplat.geometry.neighbours_triton import nearest

        indices, distances = nearest(points, k, queries, size=_box(k))
        return Neighbours(indices=indices, distances=distances)
    near, asked = points.float(), queries.float()
    step = max(1, _DISTANCES_AT_ONCE // len(points))
    indices = torch.cat([_squared_distances(part, near).topk(k, dim=1, largest=False).indices for part in asked.split(step)])
    distances, order = (points[indices] - queries[:, None]).norm(dim=-1).sort(dim=1, stable=True)
    return Neighbours(indices=indices.gather(1, order), distances=distances)


def _box(k: int) -> int:
    return next(size for size in _BOXES if k <= size)


def _squared_distances(queries: Tensor, points: Tensor) -> Tensor:
    """(Q, N), axis by axis: products of coordinates would cost the digits that tell neighbours apart, and `torch.cdist` without them is
    slow for three dimensions."""
    total = (queries[:, :1] - points[:, 0]).square_()
    for axis in (1, 2):
        total += (queries[:, axis : axis + 1] - points[:, axis]).square_()
    return total


def _in_a_tree(points: Tensor, k: int) -> Neighbours:
    values = points.cpu().numpy()
    total = len(values)
    distances, indices = cKDTree(values, balanced_tree=False).query(values, k=k + 1, workers=-1)
    drop = indices == np.arange(total)[:, None]
    # Where points coincide, the tree may list others in place of the point itself: drop the furthest instead.
    drop[~drop.any(axis=1), -1] = True
    indices, distances = indices[~drop].reshape(total, k).astype(np.int64), distances[~drop].reshape(total, k)
    return Neighbours(indices=torch.from_numpy(indices).to(points.device), distances=torch.from_numpy(distances).to(points.device))
