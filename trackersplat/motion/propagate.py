"""Motion of the Gaussians that no track could measure, from those around them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg
from scipy.spatial.transform import Rotation

_FLOOR = 1e-3  # no edge is ever cut for good, so motion reaches the whole connected component
_COLOUR_FLOOR = 0.02  # texture is no border: a strong edge of colour alone only weakens
_ROUNDS = 2  # the second trusts measurements less that disagree with their surroundings
_KERNEL = 3.0  # standard deviations of disagreement at which trust has quartered
_TOLERANCE = 1e-7  # relative residual of the conjugate gradients
_STIFFEST = 300.0  # largest weight of a measurement over that of its edges: as good as fixed, and the system stays well conditioned
_COMPANY = 3  # measured neighbours from which a Gaussian can be told to be out of line
_ALONE = 0.2  # share of them, by affinity, that must move with it
_FADE = 0.02  # loss of confidence per edge between a measurement and a propagated motion


@dataclass(frozen=True)
class Graph:
    """Undirected edges between neighbouring Gaussians; every pair once."""

    first: np.ndarray  # (E,) int64
    second: np.ndarray  # (E,) int64
    length: np.ndarray  # (E,) scene units
    affinity: np.ndarray  # (E,) in (0, 1]: how likely both belong to one surface


@dataclass(frozen=True)
class Field:
    """A rigid motion per Gaussian. Rotations are rotation vectors in radians about the Gaussian's own mean."""

    translation: np.ndarray  # (N, 3) scene units
    rotation: np.ndarray  # (N, 3)
    confidence: np.ndarray  # (N,) in [0, 1]


def neighbour_graph(indices: np.ndarray, distances: np.ndarray, colours: np.ndarray, colour_scale: float) -> Graph:
    """The symmetric graph of nearest neighbours (N, k); likeness of colours (N, 3) makes the affinity."""
    count, k = indices.shape
    first, second = np.repeat(np.arange(count), k), indices.reshape(-1)
    low, high = np.minimum(first, second), np.maximum(first, second)
    _, unique = np.unique(low * count + high, return_index=True)
    low, high = low[unique], high[unique]
    difference = np.square(colours[low] - colours[high]).sum(-1)
    return Graph(low, high, distances.reshape(-1)[unique], np.maximum(np.exp(-0.5 * difference / colour_scale**2), _COLOUR_FLOOR))


def weakened(graph: Graph, one: np.ndarray, other: np.ndarray, factor: float) -> Graph:
    """The graph with the edges between the masked sets ``one`` and ``other`` (both (N,) bool) multiplied by ``factor``."""
    between = (one[graph.first] & other[graph.second]) | (other[graph.first] & one[graph.second])
    return replace(graph, affinity=np.where(between, factor * graph.affinity, graph.affinity))


def propagate(
    points: np.ndarray,  # (N, 3)
    measured: Field,  # confidence 0 where nothing was measured
    precision: np.ndarray,  # (N,) 1 / variance of the measured translations per axis, 0 where nothing was measured
    rotation_precision: np.ndarray,  # (N,) the same for rotations, 1 / rad^2
    static: np.ndarray,  # (N,) bool
    graph: Graph,
    *,
    strain: float,  # expected deviation of neighbours from rigid motion, over their distance
    bend: float,  # radians, expected difference of neighbours' rotations
) -> Field:
    """The most likely field: measurements as soft data, static Gaussians as a boundary that does not move, neighbours as rigid as can be.

    Two graph Laplacian systems by conjugate gradients. First rotations: ``sum c_i |r_i - r^_i|^2 + sum a_ij |r_i - r_j|^2``;
    then translations, where a neighbour's motion is continued with the rotation of the edge between them,
    ``|t_i - t_j - (R_ij - 1)(x_i - x_j)|^2``, so that rigid motion propagates exactly and is not bent by being smoothed.
    Edges across which the measurements move apart count little. Every Gaussian connected to any data gets a motion; those
    that are not get none, with confidence 0.
    """
    free = ~static
    translation, rotation = np.zeros_like(measured.translation), np.zeros_like(measured.rotation)
    keep = free[graph.first] | free[graph.second]
    first, second = graph.first[keep], graph.second[keep]
    length = np.maximum(graph.length[keep], 1e-9)
    affinity = graph.affinity[keep]
    offset = points[first] - points[second]

    agreement = _agreement(measured, precision, first, second, offset, strain * length)
    precision = np.where(_out_of_line(precision > 0, first, second, affinity, agreement), 0.0, precision)
    known = static | (precision > 0)
    affinity = affinity * np.where(known[first] & known[second], agreement, 1.0)
    rotation_precision = np.where(precision > 0, rotation_precision, 0.0)

    system = _System(free, first, second)
    reach = system.reached(precision > 0)
    rotation[free] = system.solve(
        np.where(reach, rotation_precision, 0.0), measured.rotation, affinity / bend**2, np.zeros_like(offset), reach
    )[free]

    edge_rotation = Rotation.from_rotvec(0.5 * (rotation[first] + rotation[second]))
    turned = edge_rotation.apply(offset) - offset
    trust = precision.copy()
    for _ in range(_ROUNDS):
        solved = system.solve(trust, measured.translation, affinity / (strain * length) ** 2, turned, reach)
        error = np.square(solved - measured.translation).sum(-1) * precision
        trust = precision / (1.0 + error / _KERNEL**2) ** 2
        translation[free] = solved[free]

    support = np.where(precision > 0, 1.0, 0.0)
    certainty = system.solve(support, measured.confidence[:, None], _FADE * 10 * affinity, np.zeros_like(offset[:, :1]), reach, fade=_FADE)[
        :, 0
    ]
    confidence = np.where(static, measured.confidence, np.where(reach, certainty, 0.0))
    return Field(translation, rotation, np.clip(confidence, 0.0, 1.0))


def _agreement(
    measured: Field, precision: np.ndarray, first: np.ndarray, second: np.ndarray, offset: np.ndarray, slack: np.ndarray
) -> np.ndarray:
    """(E,) in [floor, 1]: do the two ends move like one rigid piece? Means something only where both are known."""
    half = Rotation.from_rotvec(0.5 * (measured.rotation[first] + measured.rotation[second]))
    gap = measured.translation[first] - measured.translation[second] - (half.apply(offset) - offset)
    noise = np.where(precision > 0, 1.0 / np.maximum(precision, 1e-30), 0.0)
    variance = slack**2 + noise[first] + noise[second]
    return np.maximum((1.0 + np.square(gap).sum(-1) / (_KERNEL**2 * variance)) ** -2, _FLOOR)


def _out_of_line(measured: np.ndarray, first: np.ndarray, second: np.ndarray, affinity: np.ndarray, agreement: np.ndarray) -> np.ndarray:
    """(N,) bool: measured Gaussians that move with almost none of their measured neighbours: wrong tracks, not another surface."""
    count = len(measured)
    both = measured[first] & measured[second]
    ends = np.concatenate((first[both], second[both]))
    weight = np.tile(affinity[both], 2)
    company = np.bincount(ends, minlength=count)
    total = np.bincount(ends, weight, count)
    agreed = np.bincount(ends, weight * np.tile(agreement[both], 2), count)
    return measured & (company >= _COMPANY) & (agreed < _ALONE * total)


class _System:
    """``(C + L) x = C d + b`` on the free nodes of a graph; nodes that are not free have the value 0."""

    def __init__(self, free: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
        self.free, self.first, self.second = free, first, second

    def reached(self, data: np.ndarray) -> np.ndarray:
        """(N,) bool: free and connected, through free nodes, to data or to a node that is not free."""
        count = len(self.free)
        inside = self.free[self.first] & self.free[self.second]
        edges = coo_array((np.ones(inside.sum()), (self.first[inside], self.second[inside])), shape=(count, count))
        _, component = connected_components(edges, directed=False)
        anchored = data & self.free
        border = ~inside
        anchored[self.first[border]] = True
        anchored[self.second[border]] = True
        fed = np.zeros(component.max(initial=-1) + 1, dtype=bool)
        fed[component[anchored & self.free]] = True
        return fed[component] & self.free

    def solve(
        self, data: np.ndarray, target: np.ndarray, edges: np.ndarray, jump: np.ndarray, reach: np.ndarray, fade: float = 0.0
    ) -> np.ndarray:
        """Minimises ``sum data |x - target|^2 + sum edges |x_first - x_second - jump|^2 + fade |x|^2``; 0 outside ``reach``."""
        count, columns = target.shape
        result = np.zeros((count, columns))
        if not reach.any():
            return result
        place = np.full(count, -1)
        place[reach] = np.arange(reach.sum())
        size = int(reach.sum())
        i, j = place[self.first], place[self.second]
        stiffness = np.zeros(size)
        for end in (i, j):
            stiffness += np.bincount(end[end >= 0], edges[end >= 0], size)
        weight = np.where(stiffness > 0, np.minimum(data[reach], _STIFFEST * stiffness), data[reach])
        diagonal = weight + stiffness + fade
        right = weight[:, None] * target[reach]
        for end, sign in ((i, 1.0), (j, -1.0)):
            inside = end >= 0
            for column in range(columns):
                right[:, column] += np.bincount(end[inside], sign * edges[inside] * jump[inside, column], size)
        both = (i >= 0) & (j >= 0)
        off = coo_array((-edges[both], (i[both], j[both])), shape=(size, size))
        matrix = csr_array(off + off.T + diags_array(diagonal))
        precondition = diags_array(1.0 / diagonal)
        for column in range(columns):
            if right[:, column].any():
                result[reach, column] = cg(matrix, right[:, column], rtol=_TOLERANCE, maxiter=1000, M=precondition)[0]
        return result
