"""What surrounds an inward-looking rig: walls, floor and ceiling as one surface that is star-shaped around the rig's focus.

A plane sweep between neighbouring cameras finds little of them where cameras are far apart and walls are blank. Seen from the focus,
though, all cameras together show one panorama: spheres around the focus are swept instead of planes, every camera votes at every
sphere, and what stays blank follows from its surroundings.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from trackersplat.training.points.resample_on_plane import OUTSIDE, laid_upon
from trackersplat.training.points.rig import Rig
from trackersplat.training.points.semiglobal import aggregate, best_plane
from trackersplat.training.points.sweep import View

ROWS, COLUMNS = 160, 320  # of the panorama
SPHERES = 80
NEAR, FAR = 0.4, 6.0  # smallest and largest radius, relative to the rig's
WINDOW = 7  # pixels of the panorama, side of the square over which patches are correlated
STEP_PENALTY, JUMP_PENALTY = 12, 60  # in units of the 8-bit cost
FLAT = 1.5  # grey levels: standard deviation below which a patch says nothing
DOUBT = 12  # ordered pairs of views without correlation that are added: two views agree by chance more easily than ten
SILENT = 0.47  # mismatch from which on a direction says nothing; 0.5 is chance
NODES = 3000  # of the fitted surface
NEIGHBOURS = 8
ROUNDS = 14  # of reweighting
SMOOTHNESS = 1.0  # of a bend, against the mean evidence of a node
OUTLIER, CREASE = 1.5, 0.3  # spheres: misfit from which on evidence loses weight, bend from which on it counts as a crease


@dataclass(frozen=True, eq=False)
class Shell:
    """The surface, given by the inverse radius at directions spread over the sphere."""

    center: np.ndarray  # (3,)
    nodes: np.ndarray  # (M, 3) unit vectors
    inverse: np.ndarray  # (M,) 1 / radius, positive

    def points(self, directions: np.ndarray) -> np.ndarray:
        """(N, 3) where the rays from the centre in these directions (N, 3) meet the surface."""
        return self.center + directions / (_interpolation(self.nodes, directions) @ self.inverse)[:, None]


def find_shell(views: Sequence[View], hidden: Sequence[np.ndarray | None], rig: Rig) -> Shell | None:
    """The shell that best explains all views; None if they agree nowhere.

    ``hidden``: per view (H, W) bool at its size, True where something stands in front of the shell; None if nobody knows.
    """
    rays = panorama()
    inverse = np.linspace(1 / (FAR * rig.radius), 1 / (NEAR * rig.radius), SPHERES)
    grays = []
    for view, mask in zip(views, hidden, strict=True):
        gray = view.gray.copy()
        if mask is not None:
            gray[mask] = OUTSIDE
        grays.append(gray)
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)  # spheres in parallel are worth more than OpenCV's threads inside one
    try:
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 16)) as pool:
            costs = list(pool.map(lambda w: _cost(views, grays, rig.focus + rays.reshape(-1, 3) / w), inverse))
    finally:
        cv2.setNumThreads(before)
    cost = np.stack(costs, axis=-1)
    half = COLUMNS // 2
    around = np.ascontiguousarray(np.concatenate((cost[:, half:], cost, cost[:, :half]), axis=1))  # so that paths go all around
    total = aggregate(around, np.zeros(around.shape[:2], dtype=np.float32), STEP_PENALTY, JUMP_PENALTY)
    plane, mismatch = np.empty(around.shape[:2], dtype=np.float32), np.empty(around.shape[:2], dtype=np.float32)
    best_plane(total, around, plane, mismatch)
    own = slice(half, half + COLUMNS)
    plane, mismatch = plane[:, own], mismatch[:, own] / np.float32(255)
    area = np.sqrt(1 - rays[..., 1] ** 2)
    weight = np.maximum(SILENT - mismatch, 0) ** 2 * area
    step = float(inverse[1] - inverse[0])
    found = inverse[0] + plane * step
    if not (weight > 0).any():
        return None
    nodes, fitted = _fit(rays[weight > 0], found[weight > 0], weight[weight > 0], step)
    return Shell(rig.focus, nodes, np.clip(fitted, inverse[0], inverse[-1]))


def panorama() -> np.ndarray:
    """(ROWS, COLUMNS, 3) unit vectors: equal angles of latitude and longitude, poles along y."""
    latitude = ((np.arange(ROWS) + 0.5) / ROWS - 0.5)[:, None] * np.pi
    longitude = (np.arange(COLUMNS) + 0.5)[None] / COLUMNS * 2 * np.pi
    return np.stack(
        np.broadcast_arrays(np.cos(latitude) * np.cos(longitude), np.sin(latitude), np.cos(latitude) * np.sin(longitude)), axis=-1
    )


def spread_directions(count: int) -> np.ndarray:
    """(count, 3) unit vectors spread evenly over the sphere (Fibonacci lattice)."""
    number = np.arange(count) + 0.5
    height, angle = 1 - 2 * number / count, np.pi * (1 + np.sqrt(5)) * number
    across = np.sqrt(1 - height**2)
    return np.stack((across * np.cos(angle), height, across * np.sin(angle)), axis=1)


def _cost(views: Sequence[View], grays: Sequence[np.ndarray], points: np.ndarray) -> np.ndarray:
    """(ROWS, COLUMNS) uint8: (1 - mean correlation of all pairs of views) / 2 around each of the points, 0 to 255."""
    sums, squares, votes = laid_upon(views, grays, points, (ROWS, COLUMNS), WINDOW, FLAT)
    box = (WINDOW, WINDOW)
    agreement = cv2.blur(sums * sums - squares, box) / (cv2.blur(votes * (votes - 1), box) + DOUBT)
    return np.clip(127.5 - 127.5 * agreement, 0, 255).astype(np.uint8)


def _fit(directions: np.ndarray, data: np.ndarray, weight: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """(M, 3) nodes and (M,) the inverse radii of the smoothest surface through most of the data.

    A plane has an inverse radius that is linear in the direction, so a node bends by what it differs from the linear fit to its
    neighbours: flat walls and floors cost nothing and are continued where there is no evidence. Misfits and bends both lose weight as
    they grow (reweighted least squares, from lenient to strict), which leaves outliers aside and keeps creases.
    """
    nodes = spread_directions(NODES)
    neighbours = cKDTree(nodes).query(nodes, k=NEIGHBOURS + 1)[1][:, 1:]
    prediction = np.einsum("nj,njk->nk", nodes, np.linalg.pinv(nodes[neighbours]))
    rows = np.repeat(np.arange(NODES), NEIGHBOURS)
    bend = sparse.identity(NODES, format="csr") - sparse.csr_matrix((prediction.ravel(), (rows, neighbours.ravel())), shape=(NODES, NODES))
    at = _interpolation(nodes, directions)
    mean = weight.sum() / NODES
    fitted = np.full(NODES, np.average(data, weights=weight))
    for i in range(ROUNDS):
        tolerance = OUTLIER * step * max(1.0, 25 * 0.7**i)
        trust = weight / (1 + ((at @ fitted - data) / tolerance) ** 2) ** 2
        stiff = SMOOTHNESS * mean / np.sqrt(1 + ((bend @ fitted) / (CREASE * step)) ** 2)
        system = at.T @ sparse.diags(trust) @ at + bend.T @ sparse.diags(stiff) @ bend + 1e-9 * mean * sparse.identity(NODES)
        fitted = spsolve(system.tocsc(), at.T @ (trust * data))
    return nodes, fitted


def _interpolation(nodes: np.ndarray, directions: np.ndarray) -> sparse.csr_matrix:
    """(N, M): each direction from its three nearest nodes, nearer ones more."""
    distance, index = cKDTree(nodes).query(directions, k=3)
    share = 1 / np.maximum(distance, 1e-9)
    share /= share.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(directions)), 3)
    return sparse.csr_matrix((share.ravel(), (rows, index.ravel())), shape=(len(directions), len(nodes)))
