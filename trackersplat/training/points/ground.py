"""The ground that cameras far apart look down at: the plane on which their pictures agree.

Seen from 60 degrees apart, a patch of a floor has little in common with itself; stripes match anywhere along themselves, and a handful of
such matches makes a tilted plane. Here the plane is looked for as a whole: all pictures are resampled on it, seen from above, and compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import minimize

from trackersplat.geometry.projection import centers
from trackersplat.training.points.resample_on_plane import OUTSIDE, Window, resample_on_plane
from trackersplat.training.points.settings import GroundSettings
from trackersplat.training.points.shell import spread_directions
from trackersplat.training.points.sweep import View


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


def find_ground(views: Sequence[View], hidden: Sequence[np.ndarray | None], focus: np.ndarray, settings: GroundSettings) -> Plane | None:
    """The plane below the ``focus`` (3,) and all cameras on which the views agree best; None if they agree on none.

    ``hidden``: per view (H, W) bool at its size, True where something stands on the ground; None if nobody knows. Cameras are taken to
    be held more or less upright.
    """
    distance = float(np.median(np.linalg.norm(centers(v.camera for v in views) - focus, axis=1)))
    up = -np.mean([view.camera.rotation[1] for view in views], axis=0)
    if np.linalg.norm(up) < settings.upright:  # pictures that stand on their heads or sides tell no direction
        return None
    grays = []
    for view, mask in zip(views, hidden, strict=True):
        grays.append(view.gray if mask is None else np.where(mask, np.float32(OUTSIDE), view.gray))
    scene = PlaneScene(views, grays, focus, distance, settings)
    directions = spread_directions(settings.directions)
    directions = directions[directions @ up > np.cos(np.radians(settings.tilt)) * np.linalg.norm(up)]
    tried = []
    for normal in directions:
        highest = min(float((centers(v.camera for v in views) @ normal).min()) - settings.above * distance, float(focus @ normal))
        for offset in np.linspace(focus @ normal - settings.deepest * distance, focus @ normal, settings.offsets, endpoint=False):
            if offset < highest:
                tried.append((agreement(scene, normal, offset), normal, float(offset)))
    best, plane = settings.agreed, None
    for normal, offset in _starts(tried, scene):
        value, refined = _refined(scene, normal, offset)
        if value > best:
            best, plane = value, refined
    return plane


@dataclass(frozen=True, eq=False)
class PlaneScene:
    """What the planes are compared on."""

    views: Sequence[View]
    grays: Sequence[np.ndarray]  # of the views, OUTSIDE where something stands on the ground
    focus: np.ndarray  # (3,)
    distance: float  # median, of the cameras from the focus
    settings: GroundSettings

    @cached_property
    def square(self) -> tuple[np.ndarray, np.ndarray]:
        """Two coordinates (cells^2,) on a plane, row by row, of the points of the square that is compared."""
        side = np.linspace(-self.settings.half * self.distance, self.settings.half * self.distance, self.settings.cells)
        x, y = np.meshgrid(side, side)
        return x.ravel(), y.ravel()


def agreement(scene: PlaneScene, normal: np.ndarray, offset: float) -> float:
    """Sum over the pairs of views of the correlation of what they show of a plane around the foot of ``focus``, mean over the square.

    What only one view sees adds 0, so that a plane gains by being seen by many. 0 where hardly anything is shared.
    """
    s, focus = scene.settings, scene.focus
    across, along = _tangents(normal)
    x, y = scene.square
    foot = focus - (focus @ normal - offset) * normal
    points = foot[:, None] + across[:, None] * x + along[:, None] * y
    seen = resample_on_plane(scene.views, scene.grays, points, (s.cells, s.cells), Window(s.window, s.known, s.flat))
    if float((seen.votes > 1.5).mean()) < s.shared:
        return 0.0
    return float((seen.sums * seen.sums - seen.squares).mean()) / 2


def _starts(tried: list[tuple[float, np.ndarray, float]], scene: PlaneScene) -> list[tuple[np.ndarray, float]]:
    """The best planes that differ from one another."""
    s, focus = scene.settings, scene.focus
    starts: list[tuple[np.ndarray, float]] = []
    for value, normal, offset in sorted(tried, key=lambda each: -each[0]):
        if len(starts) == s.starts or value <= 0:
            break
        height = focus @ normal - offset
        turned = [n @ normal < np.cos(np.radians(s.apart_angle)) for n, _ in starts]
        moved = [abs(focus @ n - o - height) > s.apart_height * scene.distance for n, o in starts]
        if all(a or b for a, b in zip(turned, moved, strict=True)):
            starts.append((normal, offset))
    return starts


def _refined(scene: PlaneScene, normal: np.ndarray, offset: float) -> tuple[float, Plane]:
    """The agreement of the best plane nearby, and that plane (downhill simplex: the agreement is rough)."""
    s, focus = scene.settings, scene.focus
    across, along = _tangents(normal)

    def plane(change: np.ndarray) -> Plane:
        turned = normal + change[0] * across + change[1] * along
        turned /= np.linalg.norm(turned)
        return Plane(turned, float(focus @ turned + (offset - focus @ normal) + change[2] * scene.distance))

    def loss(change: np.ndarray) -> float:
        candidate = plane(change)
        return -agreement(scene, candidate.normal, candidate.offset)

    simplex = np.vstack((np.zeros(3), np.diag((s.first_turn, s.first_turn, s.first_shift))))
    found = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"initial_simplex": simplex, "maxfev": s.evaluations})
    return -float(found.fun), plane(found.x)


def _tangents(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors (3,) across each other and the normal."""
    x, y, z = normal.tolist()  # np.cross takes longer than a view of a plane
    least = int(np.argmin(np.abs(normal)))
    across = np.array(((0.0, z, -y), (-z, 0.0, x), (y, -x, 0.0))[least])
    across /= np.linalg.norm(across)
    a, b, c = across.tolist()
    return across, np.array((y * c - z * b, z * a - x * c, x * b - y * a))
