"""The graph of neighbouring points that are likely to belong to one surface."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class GraphSettings:
    """How edges are chosen and weighted."""

    neighbours: int = 8  # of every point that it gets an edge to
    colour_scale: float = 0.15  # difference of colour in [0, 1] at which two neighbours start to count as two surfaces
    least_affinity: float = 0.02  # texture is no border: a strong edge of colour alone only weakens an edge
    shortest_of_end: float = 0.5  # shortest edge over the median of its end's: points that almost coincide make systems stiff
    shortest_of_all: float = 1e-2  # shortest edge over the median of all: the median of an end is 0 where many points coincide


@dataclass(frozen=True)
class Graph:
    """Undirected edges between neighbouring points; every pair once."""

    first: Tensor  # (E,) int64
    second: Tensor  # (E,) int64
    length: Tensor  # (E,) float64 scene units
    affinity: Tensor  # (E,) float64 in (0, 1]: how likely both belong to one surface

    def repeated(self, count: int, times: int) -> Graph:
        """``times`` copies of a graph of ``count`` nodes side by side: node i of copy c is ``c * count + i``."""
        shift = count * torch.arange(times, device=self.first.device)[:, None]
        first, second = ((shift + end).reshape(-1) for end in (self.first, self.second))
        return Graph(first=first, second=second, length=self.length.repeat(times), affinity=self.affinity.repeat(times))


@dataclass(frozen=True, eq=False)
class Edges:
    """The pairs of points of which one is a neighbour of the other, every pair once."""

    first: Tensor  # (E,) int64
    second: Tensor  # (E,) int64, larger
    place: Tensor  # (E,) int64: in the flat (N, k) neighbours, where the pair comes first

    @staticmethod
    def between(indices: Tensor) -> Edges:
        """Of neighbours (N, k) int64."""
        count, k = indices.shape
        first = torch.arange(count, device=indices.device).repeat_interleave(k)
        second = indices.reshape(-1)
        low, high = torch.minimum(first, second), torch.maximum(first, second)
        # Sorted, a pair found from both ends stands twice in a row.
        order = torch.argsort(low * count + high, stable=True)
        low, high = low[order], high[order]
        new = torch.ones_like(low, dtype=torch.bool)
        new[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
        kept = new.nonzero()[:, 0]
        return Edges(first=low[kept], second=high[kept], place=order[kept])


def neighbour_graph(
    indices: Tensor,  # (N, k) int64, nearest first
    distances: Tensor,  # (N, k) float64 scene units
    colours: Tensor,  # (N, 3) float64, about [0, 1]
    settings: GraphSettings,
) -> Graph:
    """The symmetric graph of nearest neighbours; likeness of colours makes the affinity.

    All k neighbours become edges: pass ``settings.neighbours`` of them. No edge is shorter than ``shortest_of_end`` times the median
    distance of its end's neighbours, nor than ``shortest_of_all`` times that of all that are apart (1, where none are).
    """
    middle = middle_distances(distances) if indices.shape[1] else distances
    return graph_of_edges(Edges.between(indices), distances, middle, colours, settings)


def graph_of_edges(edges: Edges, distances: Tensor, middle: Tensor, colours: Tensor, settings: GraphSettings) -> Graph:
    """`neighbour_graph` of known edges. ``distances`` (N, k) of the neighbours that these are of, in the order that they had there, and the
    ``middle`` (N, 1) of each row."""
    if distances.numel():
        distances = distances.maximum(settings.shortest_of_end * middle).clamp_min(_shortest(distances, settings))
    difference = (colours[edges.first] - colours[edges.second]).square().sum(-1)
    affinity = torch.exp(-0.5 * difference / settings.colour_scale**2).clamp_min(settings.least_affinity)
    return Graph(first=edges.first, second=edges.second, length=distances.reshape(-1)[edges.place], affinity=affinity)


def middle_distances(distances: Tensor) -> Tensor:
    """(N, 1) medians of the rows (N, k) of distances that ascend, k > 0; of an even number the lower middle one, as PyTorch's."""
    return distances[:, (distances.shape[1] - 1) // 2, None]


def _shortest(distances: Tensor, settings: GraphSettings) -> float | Tensor:
    """``shortest_of_all`` times the median of the distances above 0, 1 where there are none; on a GPU without waiting for it."""
    if distances.is_cuda:
        return _shortest_sorted(distances, settings)
    apart = distances[distances > 0]
    return settings.shortest_of_all * float(apart.median()) if len(apart) else 1.0


def _shortest_sorted(distances: Tensor, settings: GraphSettings) -> Tensor:
    ascending = distances.flatten().sort().values
    zeros = (ascending <= 0).sum()
    place = (zeros + (len(ascending) - zeros - 1) // 2).clamp_max(len(ascending) - 1)
    middle = ascending.index_select(0, place[None])  # an index without a dimension would be waited for
    return torch.where(zeros < len(ascending), settings.shortest_of_all * middle, 1.0)
