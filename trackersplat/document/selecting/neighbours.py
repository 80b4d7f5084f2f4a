"""Grow, shrink and connected: selections changed by what is near in space, and by what moves together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from trackersplat.document.scene_edit import FARTHEST, SceneArguments, listed
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selecting.way import Way
from trackersplat.document.selection import NOTHING, Selection, rows_of
from trackersplat.geometry.neighbours import nearest_neighbours

COUNT = 12  # neighbours of each Gaussian that it may be connected with
MOST_FRAMES = 8  # in which motion is compared, evenly spread over the run: a bound for time


@dataclass(frozen=True)
class _Changed(Way):
    selection: Selection
    frame: int
    distance: float  # scene units

    @classmethod
    def parse(cls, arguments: SceneArguments) -> _Changed:
        return cls(arguments.selection("of", may_be_empty=True), arguments.frame(), arguments.number("distance", 0.0, FARTHEST))

    def to_json(self) -> dict[str, Any]:
        return {"of": listed(self.selection), "frame": self.frame + 1, "distance": self.distance}


class Grow(_Changed):
    """And all whose centre is at most ``distance`` from one that is selected."""

    kind = "grow"

    def select(self, scene: SeenScene) -> Selection:
        mask = self.selection.mask(scene.ids(self.frame))
        if not mask.any():
            return self.selection
        means = scene.gaussians(self.frame).means.numpy()
        return self.selection.union(scene.chosen(self.frame, mask | _within(means, means[mask], self.distance)))


class Shrink(_Changed):
    """Without those whose centre is at most ``distance`` from one that is shown and not selected."""

    kind = "shrink"

    def select(self, scene: SeenScene) -> Selection:
        mask = self.selection.mask(scene.ids(self.frame))
        if not mask.any() or mask.all():
            return self.selection
        means = scene.gaussians(self.frame).means.numpy()
        near = np.zeros(len(mask), bool)
        near[mask] = _within(means[mask], means[~mask], self.distance)
        return self.selection.subtract(scene.chosen(self.frame, near))


@dataclass(frozen=True)
class Connected(Way):
    """And all that can be reached from it over neighbours that are near each other and, if asked, move together.

    Two neighbours move together if their distance never changes by more than ``stretch`` times what it is in this frame. Only frames that
    have both count.
    """

    kind = "connected"
    selection: Selection
    frame: int
    gap: float = 3.0  # largest distance of two neighbours, in median distances to the nearest neighbour
    stretch: float | None = None  # None: motion does not count

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Connected:
        selection, frame = arguments.selection("of", may_be_empty=True), arguments.frame()
        gap = arguments.number("gap", 0.0, 1e6) if arguments.has("gap") else cls.gap
        return cls(selection, frame, gap, arguments.number("stretch", 0.0, 1e6) if arguments.has("stretch") else None)

    def to_json(self) -> dict[str, Any]:
        stretch = {} if self.stretch is None else {"stretch": self.stretch}
        return {"of": listed(self.selection), "frame": self.frame + 1, "gap": self.gap, **stretch}

    def select(self, scene: SeenScene) -> Selection:
        mask = self.selection.mask(scene.ids(self.frame))
        if not mask.any():
            return NOTHING
        means = scene.gaussians(self.frame).means
        found = nearest_neighbours(means, COUNT)
        length = found.distances.numpy()
        if not length.size:
            return self.selection
        joined = length <= self.gap * float(np.median(length[:, 0]))
        first = np.broadcast_to(np.arange(len(mask))[:, None], joined.shape)[joined]
        second, length = found.indices.numpy()[joined], length[joined]
        if self.stretch is not None:
            together = self._together(scene, first, second, length)
            first, second = first[together], second[together]
        graph = coo_matrix((np.ones(len(first), bool), (first, second)), shape=(len(mask), len(mask)))
        _, label = connected_components(graph, directed=False)
        return self.selection.union(scene.chosen(self.frame, np.isin(label, np.unique(label[mask]))))

    def _together(self, scene: SeenScene, first: np.ndarray, second: np.ndarray, length: np.ndarray) -> np.ndarray:
        """(E,) bool: which pairs of rows move together; ``length`` (E,) is their distance in this frame."""
        frames = scene.edited.run_frames.frames
        chosen = np.unique(np.linspace(0, len(frames) - 1, min(MOST_FRAMES, len(frames))).round().astype(int))
        ids, together = scene.ids(self.frame), np.ones(len(first), bool)
        assert self.stretch is not None
        for other in (frames[index] for index in chosen):
            rows = rows_of(ids, scene.ids(other))
            means = scene.gaussians(other).means[torch.from_numpy(np.maximum(rows, 0))].numpy()
            there = np.linalg.norm(means[first] - means[second], axis=1)
            known = (rows[first] >= 0) & (rows[second] >= 0)
            together &= ~known | (np.abs(there - length) <= self.stretch * length)
        return together


def _within(points: np.ndarray, others: np.ndarray, distance: float) -> np.ndarray:
    """(N,) bool: which of the ``points`` (N, 3) are at most ``distance`` from one of the ``others`` (M, 3)."""
    found, _ = cKDTree(others).query(points, distance_upper_bound=np.nextafter(distance, np.inf), workers=-1)
    return np.isfinite(found)
