"""The ground that cameras far apart look down at: the plane on which their pictures agree.

Seen from 60 degrees apart, a patch of a floor has little in common with itself; stripes match anywhere along themselves, and a handful of
such matches makes a tilted plane. Here the plane is looked for as a whole: all pictures are laid upon it, seen from above, and compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from trackersplat.geometry.projection import centers
from trackersplat.training.points.resample_on_plane import OUTSIDE, laid_upon
from trackersplat.training.points.shell import spread_directions
from trackersplat.training.points.sweep import View

TILT = 25.0  # degrees between the ground's normal and the mean upward direction of the pictures, at most
DIRECTIONS = 2000  # of the sphere, about 4 degrees apart
OFFSETS = 30  # planes per direction, from the focus down
DEEPEST = 1.2  # of the cameras' distance from the focus: how far below it the ground may lie
ABOVE = 0.02  # of that distance: how far every camera stands above the ground, at least
HALF = 0.8  # half side of the compared square, over the same distance
CELLS = 64  # along a side of it
WINDOW = 5  # cells, side of the square over which pictures are correlated
SHARED = 0.03  # of the square, which two views must see at least
FLAT = 3.0  # grey levels: standard deviation below which a window says nothing
STARTS, EVALUATIONS = 8, 80  # best planes that are refined, and tries for each
APART = 4.0, 0.06  # degrees, and part of the distance: two starts differ by one of them
AGREED = 0.09  # agreement from which on the plane is believed; noise reaches 0.08


@dataclass(frozen=True, eq=False)
class Plane:
    """The points with ``normal . x = offset``; the cameras are on the side that the normal points to."""

    normal: np.ndarray  # (3,) unit vector
    offset: float

    def depths(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        """(N,) multiples of the rays (N, 3) from ``origin`` at which they meet the plane; infinite for those that never do."""
        down = -(rays @ self.normal)
        height = float(origin @ self.normal) - self.offset
        return np.where(down > 1e-9, height / np.where(down > 1e-9, down, 1.0), np.inf)


def find_ground(views: Sequence[View], hidden: Sequence[np.ndarray | None], focus: np.ndarray) -> Plane | None:
    """The plane below the ``focus`` (3,) and all cameras on which the views agree best; None if they agree on none.

    ``hidden``: per view (H, W) bool at its size, True where something stands on the ground; None if nobody knows. Cameras are taken to
    be held more or less upright.
    """
    distance = float(np.median(np.linalg.norm(centers(v.camera for v in views) - focus, axis=1)))
    up = -np.mean([view.camera.rotation[1] for view in views], axis=0)
    if np.linalg.norm(up) < 0.5:  # pictures that stand on their heads or sides tell no direction
        return None
    grays = []
    for view, mask in zip(views, hidden, strict=True):
        grays.append(view.gray if mask is None else np.where(mask, np.float32(OUTSIDE), view.gray))
    directions = spread_directions(DIRECTIONS)
    directions = directions[directions @ up > np.cos(np.radians(TILT)) * np.linalg.norm(up)]
    tried = []
    for normal in directions:
        highest = min(float((centers(v.camera for v in views) @ normal).min()) - ABOVE * distance, float(focus @ normal))
        for offset in np.linspace(focus @ normal - DEEPEST * distance, focus @ normal, OFFSETS, endpoint=False):
            if offset < highest:
                tried.append((agreement(views, grays, normal, offset, focus, distance), normal, float(offset)))
    best, plane = AGREED, None
    for normal, offset in _starts(tried, focus, distance):
        value, refined = _refined(views, grays, normal, offset, focus, distance)
        if value > best:
            best, plane = value, refined
    return plane


def agreement(
    views: Sequence[View], grays: Sequence[np.ndarray], normal: np.ndarray, offset: float, focus: np.ndarray, distance: float
) -> float:
    """Sum over the pairs of views of the correlation of what they show of a plane around the foot of ``focus``, mean over the square.

    What only one view sees adds 0, so that a plane gains by being seen by many. 0 where hardly anything is shared.
    """
    across, along = _tangents(normal)
    side = np.linspace(-HALF * distance, HALF * distance, CELLS)
    x, y = (grid.reshape(-1, 1) for grid in np.meshgrid(side, side))
    points = focus - (focus @ normal - offset) * normal + x * across + y * along
    sums, squares, votes = laid_upon(views, grays, points, (CELLS, CELLS), WINDOW, FLAT)
    if float((votes > 1.5).mean()) < SHARED:
        return 0.0
    return float((sums * sums - squares).mean()) / 2


def _starts(tried: list[tuple[float, np.ndarray, float]], focus: np.ndarray, distance: float) -> list[tuple[np.ndarray, float]]:
    """The best planes that differ from one another."""
    starts: list[tuple[np.ndarray, float]] = []
    for value, normal, offset in sorted(tried, key=lambda each: -each[0]):
        if len(starts) == STARTS or value <= 0:
            break
        height = focus @ normal - offset
        turned = [n @ normal < np.cos(np.radians(APART[0])) for n, _ in starts]
        moved = [abs(focus @ n - o - height) > APART[1] * distance for n, o in starts]
        if all(a or b for a, b in zip(turned, moved, strict=True)):
            starts.append((normal, offset))
    return starts


def _refined(
    views: Sequence[View], grays: Sequence[np.ndarray], normal: np.ndarray, offset: float, focus: np.ndarray, distance: float
) -> tuple[float, Plane]:
    """The agreement of the best plane nearby, and that plane (downhill simplex: the agreement is rough)."""
    across, along = _tangents(normal)

    def plane(change: np.ndarray) -> Plane:
        turned = normal + change[0] * across + change[1] * along
        turned /= np.linalg.norm(turned)
        return Plane(turned, float(focus @ turned + (offset - focus @ normal) + change[2] * distance))

    def loss(change: np.ndarray) -> float:
        candidate = plane(change)
        return -agreement(views, grays, candidate.normal, candidate.offset, focus, distance)

    simplex = np.vstack((np.zeros(3), np.diag((0.05, 0.05, 0.03))))
    found = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"initial_simplex": simplex, "maxfev": EVALUATIONS})
    return -float(found.fun), plane(found.x)


def _tangents(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors (3,) across each other and the normal."""
    across = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
    across /= np.linalg.norm(across)
    return across, np.cross(normal, across)
