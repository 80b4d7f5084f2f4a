from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from trackersplat.geometry.graph import Graph, GraphSettings, neighbour_graph
from trackersplat.geometry.neighbours import nearest_neighbours
from trackersplat.geometry.symmetric import isotropic
from trackersplat.motion.propagate import Field, Measured, propagate, weakened
from trackersplat.motion.settings import PropagateSettings


class Solved(NamedTuple):
    translation: np.ndarray
    rotation: np.ndarray
    confidence: np.ndarray


def graph_of(points: np.ndarray, colours: np.ndarray | None = None) -> Graph:
    shown = torch.tensor(np.zeros_like(points) if colours is None else colours)
    return neighbour_graph(*nearest_neighbours(torch.tensor(points), 8), shown, GraphSettings(colour_scale=0.1))


def solve(
    points: np.ndarray,
    moves: np.ndarray,
    known: np.ndarray,
    static: np.ndarray,
    rotations: np.ndarray | None = None,
    graph: Graph | None = None,
    precision: float = 1e8,
) -> Solved:
    turn = np.zeros_like(points) if rotations is None else rotations
    measured = [np.where(known[:, None], moves, 0.0), np.where(known[:, None], turn, 0.0), (known | static).astype(float)]
    weight, turn_weight = np.where(known, precision, 0.0), np.where(known, 1e4, 0.0)
    inputs = [torch.from_numpy(np.ascontiguousarray(value)) for value in (points, *measured, weight, turn_weight, static)]
    given = Measured(Field(*inputs[1:4]), isotropic(inputs[4]), *inputs[4:6])
    field = propagate(inputs[0], given, inputs[6], graph or graph_of(points), PropagateSettings(strain=0.1, bend=0.1))
    return Solved(field.translation.numpy(), field.rotation.numpy(), field.confidence.numpy())


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (3000, 3))


def none_of(points: np.ndarray) -> np.ndarray:
    return np.zeros(len(points), dtype=bool)


@pytest.mark.parametrize("share", [0.001, 0.05, 0.95])
def test_a_common_motion_reaches_every_unmeasured_gaussian(points: np.ndarray, share: float) -> None:
    known = np.random.default_rng(1).uniform(size=len(points)) < share
    known[0] = True
    moves = np.broadcast_to((0.2, -0.1, 0.3), points.shape)
    field = solve(points, moves, known, none_of(points))
    np.testing.assert_allclose(field.translation, moves, atol=1e-4)
    assert (field.rotation == 0).all()
    assert (field.confidence > 0).all()
    assert (field.confidence <= 1).all()


def test_a_rotation_is_continued_and_not_flattened(points: np.ndarray, rigid: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
    moves, rotation = rigid(points, 0.6, (0.2, 0.1, 1.0), np.zeros(3), np.array((0.1, 0, 0)))
    vectors = np.broadcast_to(Rotation.from_matrix(rotation).as_rotvec(), points.shape)
    known = points[:, 0] < -0.2  # the other side was never seen
    field = solve(points, moves, known, none_of(points), vectors)
    np.testing.assert_allclose(field.translation, moves, atol=2e-3)  # up to 1.2 units of motion
    np.testing.assert_allclose(field.rotation, vectors, atol=1e-3)


def test_static_gaussians_are_a_boundary_that_stays(points: np.ndarray) -> None:
    """Between a wall that stands and one that moves by d, a Laplace solution rises from 0 to d."""
    static, known = points[:, 0] < -0.8, points[:, 0] > 0.8
    field = solve(points, np.broadcast_to((0.0, 0.5, 0.0), points.shape), known, static)
    assert (field.translation[static] == 0).all()
    assert (field.rotation[static] == 0).all()
    between = ~static & ~known
    middle = between & (np.abs(points[:, 0]) < 0.1)
    assert 0.15 < field.translation[middle, 1].mean() < 0.35
    assert field.translation[between, 1].min() > 0
    assert field.translation[between, 1].max() < 0.5
    assert np.corrcoef(points[between, 0], field.translation[between, 1])[0, 1] > 0.95


def test_a_component_without_data_stays_and_says_so(points: np.ndarray) -> None:
    far = points + np.array((100.0, 0, 0))
    both = np.concatenate((points, far))
    known = np.arange(len(both)) < 50
    field = solve(both, np.ones_like(both), known, np.zeros(len(both), dtype=bool))
    assert (field.translation[len(points) :] == 0).all()
    assert (field.confidence[len(points) :] == 0).all()
    np.testing.assert_allclose(field.translation[: len(points)], 1.0, atol=1e-3)


def test_nothing_measured_moves_nothing(points: np.ndarray) -> None:
    field = solve(points, np.zeros_like(points), none_of(points), none_of(points))
    assert (field.translation == 0).all()
    assert (field.confidence == 0).all()


def test_a_lone_wrong_measurement_is_overruled_by_its_surroundings(points: np.ndarray) -> None:
    moves = np.broadcast_to((0.02, 0.0, 0.0), points.shape).copy()
    moves[7] = (0.0, 1.5, 0.0)
    turns = np.zeros_like(points)
    turns[7] = (0.0, 0.0, 2.0)
    field = solve(points, moves, ~none_of(points), none_of(points), turns, precision=1e4)
    assert np.linalg.norm(field.translation[7] - (0.02, 0, 0)) < 0.1
    assert np.linalg.norm(field.rotation[7]) < 1e-3


@pytest.mark.parametrize(("apart", "precision"), [(0.01, 1e3), (0.3, 1e3), (0.3, 20.0), (2.0, 1e3)])
def test_two_that_are_measured_pull_at_each_other_as_far_as_they_may_be_one_piece(apart: float, precision: float) -> None:
    """The 2x2 system in closed form: the edge counts by whether the gap can be strain or noise. Two are no company to be outvoted by."""
    points = np.array([[0.0, 0, 0], [0.5, 0, 0]])
    moves = np.array([[0.0, apart, 0], [0.0, 0, 0]])
    field = solve(points, moves, np.array([True, True]), np.array([False, False]), precision=precision)
    slack = 0.1 * 0.5
    agreement = max((1 + apart**2 / (9 * (slack**2 + 2 / precision))) ** -2, 1e-3)
    edge = agreement / slack**2
    sure = min(precision, 300 * edge)  # more would be as good as fixed
    expected = np.linalg.solve([[sure + edge, -edge], [-edge, sure + edge]], sure * moves)
    np.testing.assert_allclose(field.translation, expected, atol=1e-5)


def test_motion_follows_colour_where_two_surfaces_touch() -> None:
    rng = np.random.default_rng(2)
    points = np.column_stack((rng.uniform(-1, 1, (2000, 2)), np.zeros(2000)))
    red = points[:, 0] < 0
    colours = np.where(red[:, None], (0.9, 0.1, 0.1), (0.1, 0.1, 0.9))
    known = (np.abs(points[:, 0]) > 0.3) & (rng.uniform(size=2000) < 0.3)
    moves = np.where(red[:, None], (0.0, 0.3, 0.0), (0.0, -0.3, 0.0))
    field = solve(points, moves, known, np.zeros(2000, dtype=bool), graph=graph_of(points, colours))
    blind = solve(points, moves, known, np.zeros(2000, dtype=bool))
    error, without = (np.abs(f.translation - moves).max(axis=1) for f in (field, blind))
    assert (error > 0.1).mean() < 0.3 * (without > 0.1).mean()
    assert (without > 0.1).mean() > 0.05


def test_the_graph_holds_every_pair_once() -> None:
    points = np.random.default_rng(3).normal(size=(100, 3))
    indices, distances = nearest_neighbours(torch.tensor(points), 8)
    graph = graph_of(points)
    expected = {(min(i, j), max(i, j)) for i, row in enumerate(indices.tolist()) for j in row}
    assert sorted(zip(graph.first.tolist(), graph.second.tolist(), strict=True)) == sorted(expected)
    length = np.linalg.norm(points[graph.first] - points[graph.second], axis=1)
    # None is shorter than half the median distance from the end that found it.
    shortest = 0.5 * distances.median(dim=1).values.numpy()
    one, other = (np.maximum(length, shortest[end]) for end in (graph.first, graph.second))
    assert (np.isclose(graph.length, one) | np.isclose(graph.length, other)).all()
    assert (graph.length.numpy() > length).any()
    assert (graph.affinity == 1).all()


def test_only_edges_between_the_two_sets_are_weakened() -> None:
    graph = Graph(torch.tensor((0, 0, 1)), torch.tensor((1, 2, 2)), torch.ones(3), torch.ones(3))
    one, other = torch.tensor((True, False, False)), torch.tensor((False, False, True))
    assert weakened(graph, one, other, 0.25).affinity.tolist() == [1.0, 0.25, 1.0]
    assert weakened(graph, other, one, 0.25).affinity.tolist() == [1.0, 0.25, 1.0]
