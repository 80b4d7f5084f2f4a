from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from trackersplat.geometry.graph import Graph, GraphSettings, _shortest, _shortest_sorted, middle_distances, neighbour_graph
from trackersplat.geometry.neighbours import nearest_neighbours

SETTINGS = GraphSettings(colour_scale=0.1)


def test_copies_of_a_graph_stand_side_by_side() -> None:
    graph = Graph(torch.tensor((0, 1)), torch.tensor((1, 2)), torch.tensor((0.5, 0.25)), torch.tensor((1.0, 0.1)))
    twice = graph.repeated(3, 2)
    assert twice.first.tolist() == [0, 1, 3, 4]
    assert twice.second.tolist() == [1, 2, 4, 5]
    assert twice.length.tolist() == [0.5, 0.25, 0.5, 0.25]
    assert twice.affinity.tolist() == pytest.approx([1.0, 0.1, 1.0, 0.1])


def test_likeness_of_colours_makes_the_affinity_and_no_colour_cuts_an_edge() -> None:
    """A row of Gaussians whose colours differ by 0, 1, 2 and 20 times the scale."""
    points = torch.tensor([[0.0], [1.0], [2.1], [3.3], [4.6]], dtype=torch.float64) * torch.tensor([1.0, 0.0, 0.0])
    colours = 0.1 * torch.tensor([0.0, 0.0, 1.0, 3.0, 23.0], dtype=torch.float64)[:, None] * torch.tensor([0.6, 0.0, 0.8])
    graph = neighbour_graph(*nearest_neighbours(points, 1), colours, SETTINGS)
    assert list(zip(graph.first.tolist(), graph.second.tolist(), strict=True)) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert graph.affinity.tolist() == pytest.approx([1.0, np.exp(-0.5), np.exp(-2.0), 0.02], abs=1e-6)


def test_no_length_is_below_a_hundredth_of_the_usual_one_wherever_gaussians_coincide() -> None:
    row = torch.arange(20, dtype=torch.float64)[:, None] * torch.tensor([2.0, 0.0, 0.0])
    points = torch.cat((row, row[:1].expand(30, 3)))
    colours = torch.zeros(50, 3, dtype=torch.float64)
    indices, distances = nearest_neighbours(points, 4)
    usual = float(distances[distances > 0].median())
    lengths = neighbour_graph(indices, distances, colours, SETTINGS).length
    assert float(lengths.min()) == pytest.approx(0.01 * usual)
    assert (neighbour_graph(*nearest_neighbours(points[20:], 4), colours[20:], SETTINGS).length == 1.0).all()


def test_the_settings_bound_lengths_and_affinities() -> None:
    points = torch.tensor([[0.0], [0.1], [1.0], [2.0]], dtype=torch.float64) * torch.tensor([1.0, 0.0, 0.0])
    colours = torch.tensor([0.0, 9.0, 0.0, 0.0], dtype=torch.float64)[:, None].expand(4, 3)
    settings = replace(SETTINGS, least_affinity=0.25, shortest_of_end=0.0, shortest_of_all=0.5)
    graph = neighbour_graph(*nearest_neighbours(points, 2), colours, settings)
    assert float(graph.affinity.min()) == 0.25
    assert float(graph.length.min()) == pytest.approx(0.5 * 0.9)  # half the smaller middle one of 0.1, 0.1, 0.9, 0.9, 1, 1, 1 and 1.9


@pytest.mark.parametrize("distances", [[[0.0, 2.0, 3.0], [1.0, 5.0, 9.0]], [[0.0, 1.0], [0.0, 2.0], [0.0, 0.5], [7.0, 8.0]], [[0.0, 0.0]]])
def test_the_shortest_length_is_the_same_by_sorting(distances: list[list[float]]) -> None:
    values = torch.tensor(distances, dtype=torch.float64)
    assert float(_shortest_sorted(values, SETTINGS)) == _shortest(values, SETTINGS)
    assert torch.equal(middle_distances(values), values.median(dim=1, keepdim=True).values)
