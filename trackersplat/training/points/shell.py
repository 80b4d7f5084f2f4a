"""What surrounds an inward-looking rig: walls, floor and ceiling as one surface that is star-shaped around the rig's focus.

A plane sweep between neighbouring cameras finds little of them where cameras are far apart and walls are blank. Seen from the focus,
though, all cameras together show one panorama: spheres around the focus are swept instead of planes, every camera votes at every
sphere, and what stays blank follows from its surroundings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from trackersplat.training.points.resample_on_plane import OUTSIDE, Window, resample_on_plane
from trackersplat.training.points.rig import Rig
from trackersplat.training.points.semiglobal import aggregate, best_plane
from trackersplat.training.points.settings import ShellSettings
from trackersplat.training.points.sweep import View
from trackersplat.training.points.threads import in_threads


@dataclass(frozen=True, eq=False)
class Shell:
    """The surface, given by the inverse radius at directions spread over the sphere."""

    center: np.ndarray  # (3,)
    nodes: np.ndarray  # (M, 3) unit vectors
    inverse: np.ndarray  # (M,) 1 / radius, positive

    def points(self, directions: np.ndarray) -> np.ndarray:
        """(N, 3) where the rays from the centre in these directions (N, 3) meet the surface."""
        return self.center + directions / (_interpolation(self.nodes, directions) @ self.inverse)[:, None]


def find_shell(views: Sequence[View], hidden: Sequence[np.ndarray | None], rig: Rig, settings: ShellSettings) -> Shell | None:
    """The shell that best explains all views; None if they agree nowhere.

    ``hidden``: per view (H, W) bool at its size, True where something stands in front of the shell; None if nobody knows.
    """
    rays = panorama(settings.rows, settings.columns)
    inverse = np.linspace(1 / (settings.far * rig.radius), 1 / (settings.near * rig.radius), settings.spheres)
    grays = []
    for view, mask in zip(views, hidden, strict=True):
        gray = view.gray.copy()
        if mask is not None:
            gray[mask] = OUTSIDE
        grays.append(gray)
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)  # spheres in parallel are worth more than OpenCV's threads inside one
    try:
        toward = np.ascontiguousarray(rays.reshape(-1, 3).T)
        costs = in_threads(lambda w: _cost(views, grays, rig.focus[:, None] + toward / w, settings), inverse)
    finally:
        cv2.setNumThreads(before)
    cost = np.stack(costs, axis=-1)
    half = settings.columns // 2
    around = np.ascontiguousarray(np.concatenate((cost[:, half:], cost, cost[:, :half]), axis=1))  # so that paths go all around
    blank = np.zeros(around.shape[:2], dtype=np.float32)  # no image whose edges would make jumps cheaper
    total = aggregate(around, blank, settings.step_penalty, settings.jump_penalty, edge=1.0)
    plane, mismatch = np.empty(around.shape[:2], dtype=np.float32), np.empty(around.shape[:2], dtype=np.float32)
    best_plane(total, around, plane, mismatch)
    own = slice(half, half + settings.columns)
    plane, mismatch = plane[:, own], mismatch[:, own] / np.float32(255)
    area = np.sqrt(1 - rays[..., 1] ** 2)
    weight = np.maximum(settings.silent - mismatch, 0) ** 2 * area
    step = float(inverse[1] - inverse[0])
    found = inverse[0] + plane * step
    if not (weight > 0).any():
        return None
    nodes, fitted = _fit(rays[weight > 0], found[weight > 0], weight[weight > 0], step, settings)
    return Shell(rig.focus, nodes, np.clip(fitted, inverse[0], inverse[-1]))


def panorama(rows: int, columns: int) -> np.ndarray:
    """(rows, columns, 3) unit vectors: equal angles of latitude and longitude, poles along y."""
    latitude = ((np.arange(rows) + 0.5) / rows - 0.5)[:, None] * np.pi
    longitude = (np.arange(columns) + 0.5)[None] / columns * 2 * np.pi
    return np.stack(
        np.broadcast_arrays(np.cos(latitude) * np.cos(longitude), np.sin(latitude), np.cos(latitude) * np.sin(longitude)), axis=-1
    )


def spread_directions(count: int) -> np.ndarray:
    """(count, 3) unit vectors spread evenly over the sphere (Fibonacci lattice)."""
    number = np.arange(count) + 0.5
    height, angle = 1 - 2 * number / count, np.pi * (1 + np.sqrt(5)) * number
    across = np.sqrt(1 - height**2)
    return np.stack((across * np.cos(angle), height, across * np.sin(angle)), axis=1)


def _cost(views: Sequence[View], grays: Sequence[np.ndarray], points: np.ndarray, settings: ShellSettings) -> np.ndarray:
    """(rows, columns) uint8: (1 - mean correlation of all pairs of views) / 2 around each of the points, 0 to 255."""
    window = Window(settings.window, settings.known, settings.flat)
    seen = resample_on_plane(views, grays, points, (settings.rows, settings.columns), window)
    box = (settings.window, settings.window)
    correlation, pairs = cv2.blur(seen.sums * seen.sums - seen.squares, box), cv2.blur(seen.votes * (seen.votes - 1), box)
    agreement = correlation / (pairs + settings.uncorrelated)
    return np.clip(127.5 - 127.5 * agreement, 0, 255).astype(np.uint8)


def _fit(
    directions: np.ndarray, data: np.ndarray, weight: np.ndarray, step: float, settings: ShellSettings
) -> tuple[np.ndarray, np.ndarray]:
    """(M, 3) nodes and (M,) the inverse radii of the smoothest surface through most of the data.

    A plane has an inverse radius that is linear in the direction, so a node bends by what it differs from the linear fit to its
    neighbours: flat walls and floors cost nothing and are continued where there is no evidence. Misfits and bends both lose weight as
    they grow (reweighted least squares, from lenient to strict), which leaves outliers aside and keeps creases.
    """
    count, near = settings.nodes, settings.neighbours
    nodes = spread_directions(count)
    neighbours = cKDTree(nodes).query(nodes, k=near + 1)[1][:, 1:]
    prediction = np.einsum("nj,njk->nk", nodes, np.linalg.pinv(nodes[neighbours]))
    rows = np.repeat(np.arange(count), near)
    bend = sparse.identity(count, format="csr") - sparse.csr_matrix((prediction.ravel(), (rows, neighbours.ravel())), shape=(count, count))
    at = _interpolation(nodes, directions)
    mean = weight.sum() / count
    fitted = np.full(count, np.average(data, weights=weight))
    for i in range(settings.rounds):
        tolerance = settings.outlier * step * max(1.0, settings.lenient * settings.stricter**i)
        trust = weight / (1 + ((at @ fitted - data) / tolerance) ** 2) ** 2
        stiff = settings.smoothness * mean / np.sqrt(1 + ((bend @ fitted) / (settings.crease * step)) ** 2)
        system = at.T @ sparse.diags(trust) @ at + bend.T @ sparse.diags(stiff) @ bend + 1e-9 * mean * sparse.identity(count)
        fitted = spsolve(system.tocsc(), at.T @ (trust * data))
    return nodes, fitted


def _interpolation(nodes: np.ndarray, directions: np.ndarray) -> sparse.csr_matrix:
    """(N, M): each direction from its three nearest nodes, nearer ones more."""
    distance, index = cKDTree(nodes).query(directions, k=3)
    share = 1 / np.maximum(distance, 1e-9)
    share /= share.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(directions)), 3)
    return sparse.csr_matrix((share.ravel(), (rows, index.ravel())), shape=(len(directions), len(nodes)))
