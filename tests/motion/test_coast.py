"""Constant velocity where no track helps: what is expected, and what the propagation makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from trackersplat.geometry.graph import Graph
from trackersplat.geometry.symmetric import isotropic
from trackersplat.motion.coast import coast
from trackersplat.motion.motion import CarriedMotion
from trackersplat.motion.propagate import Expected, Field, Measured, propagate
from trackersplat.motion.settings import CoastSettings, PropagateSettings

STRAIN, BEND = 0.2, 0.1


def carried(velocity: list[list[float]], angular: list[list[float]], trust: list[float]) -> CarriedMotion:
    return CarriedMotion(torch.zeros(len(trust), 3), torch.tensor(velocity), torch.tensor(angular), torch.tensor(trust))


def chain(points: Tensor) -> Graph:
    """Each point is linked to the next one."""
    first = torch.arange(len(points) - 1)
    return Graph(first, first + 1, (points[1:] - points[:-1]).norm(dim=-1), torch.ones(len(first), dtype=torch.float64))


def solve(
    points: Tensor,
    translation: Tensor,
    precision: Tensor,
    expected: Expected | None,
    static: Tensor | None = None,
    graph: Graph | None = None,
) -> Field:
    measured = Field(translation, torch.zeros_like(points), (precision > 0).double())
    is_static = torch.zeros(len(points), dtype=torch.bool) if static is None else static
    given = Measured(measured, isotropic(precision), precision, rotation_precision=torch.where(precision > 0, 1e4, 0.0))
    return propagate(points, given, is_static, graph or chain(points), PropagateSettings(strain=STRAIN, bend=BEND), expected)


def expecting(translation: Tensor, precision: Tensor, trust: float = 0.8, rotation: Tensor | None = None) -> Expected:
    turn = torch.zeros_like(translation) if rotation is None else rotation
    said = (precision > 0).double()
    return Expected(translation, turn, precision, said / BEND**2, trust * said)


def test_an_expected_motion_is_the_velocity_times_the_frames_and_its_error_grows_with_it() -> None:
    before = carried([[0.3, 0.0, -0.4], [0.3, 0.0, -0.4]], [[0.0, 0.2, 0.0], [0.0, 0.0, 0.0]], [1.0, 0.5])
    found = coast(before, torch.tensor([1.0, 4.0]).double(), torch.tensor([0.1, 0.2]).double(), 0.1, CoastSettings(velocity_change=2.0))
    torch.testing.assert_close(found.translation, torch.tensor([[0.3, 0.0, -0.4], [1.2, 0.0, -1.6]]).double())
    torch.testing.assert_close(found.rotation, torch.tensor([[0.0, 0.2, 0.0], [0.0, 0.0, 0.0]]).double())
    torch.testing.assert_close(found.precision, torch.tensor([1 / (1.0**2 + 0.1**2), 0.5 / (4.0**2 + 0.2**2)]).double())
    torch.testing.assert_close(found.rotation_precision, torch.tensor([1 / (0.4**2 + 0.1**2), 0.5 / 0.1**2]).double())
    torch.testing.assert_close(found.trust, torch.tensor([1.0, 0.5]).double())


def test_nothing_is_expected_of_what_stood_still_or_was_lost_long_ago() -> None:
    before = carried([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.1, 0.0, 0.0]], [[0.1, 0.0, 0.0]] * 3, [1.0, 0.09, 0.11])
    found = coast(before, torch.ones(3).double(), torch.full((3,), 0.01).double(), 0.1, CoastSettings(velocity_change=1.0))
    assert (found.precision > 0).tolist() == [False, False, True]
    assert (found.rotation_precision > 0).tolist() == [False, False, True]
    assert (found.trust > 0).tolist() == [False, False, True]


def test_a_piece_that_no_track_finds_goes_on_and_is_trusted_half_as_much() -> None:
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]).double()
    on = torch.tensor([0.2, -0.1, 0.3]).double().expand(3, 3)
    field = solve(points, torch.zeros_like(points), torch.zeros(3).double(), expecting(on, torch.full((3,), 0.7).double()))
    torch.testing.assert_close(field.translation, on.contiguous(), atol=1e-6, rtol=0)
    torch.testing.assert_close(field.confidence, torch.full((3,), 0.4).double(), atol=1e-6, rtol=0)


def test_a_turning_piece_goes_on_turning_as_a_rigid_one() -> None:
    points = torch.tensor([[-1.0, 0, 0], [0, 0, 0], [1, 0, 0]]).double()
    angular = torch.tensor([0.0, 0.0, 0.3]).double()
    cos, sin = torch.cos(angular[2]), torch.sin(angular[2])
    moved = points @ torch.stack((torch.stack((cos, sin, 0 * cos)), torch.stack((-sin, cos, 0 * cos)), torch.tensor([0.0, 0, 1]).double()))
    expected = expecting(moved - points, torch.ones(3).double(), rotation=angular.expand(3, 3))
    field = solve(points, torch.zeros_like(points), torch.zeros(3).double(), expected)
    torch.testing.assert_close(field.rotation, angular.expand(3, 3).contiguous(), atol=1e-6, rtol=0)
    torch.testing.assert_close(points + field.translation, moved, atol=1e-6, rtol=0)


def test_an_edge_turns_by_the_mean_of_the_rotations_at_its_ends() -> None:
    """One stands and does not turn, the other is only expected to turn: it stays beside the first, half turned about it."""
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0]]).double()
    angular = torch.tensor([[0.0, 0, 0], [0.0, 0.0, 0.8]]).double()
    said = torch.tensor([0.0, 1.0]).double()
    expected = Expected(torch.zeros_like(points), angular, 1e-9 * said, 1e9 * said, said)
    field = solve(points, torch.zeros_like(points), torch.tensor([1e4, 0.0]).double(), expected)
    angle = 0.5 * field.rotation.sum(0)[2]
    assert float(angle) == pytest.approx(0.4, rel=0.02)
    beside = torch.stack((torch.cos(angle) - 1, torch.sin(angle), 0 * angle))
    torch.testing.assert_close(field.translation[1] - field.translation[0], beside, atol=1e-4, rtol=0)


def test_rotations_are_weighed_by_their_certainty_and_by_how_far_neighbours_may_bend() -> None:
    """One that is measured not to turn and one that is expected to, in closed form."""
    points = torch.tensor([[0.0, 0, 0], [0.5, 0, 0]]).double()
    angular, said, weak = torch.tensor([0.0, 0.3, 0.1]).double(), torch.tensor([0.0, 1.0]).double(), 50.0
    expected = Expected(torch.zeros_like(points), angular.expand(2, 3), said, weak * said, said)
    field = solve(points, torch.zeros_like(points), torch.tensor([1e4, 0.0]).double(), expected)
    edge = 1 / BEND**2
    matrix = torch.tensor([[1e4 + edge, -edge], [-edge, weak + edge]]).double()
    right = torch.stack((torch.zeros(3).double(), weak * angular))
    torch.testing.assert_close(field.rotation, torch.linalg.solve(matrix, right), atol=1e-6, rtol=0)


def test_a_measured_neighbour_and_the_earlier_velocity_are_weighed_by_their_certainty() -> None:
    """Two Gaussians, one edge: the 2x2 normal equations in closed form."""
    points = torch.tensor([[0.0, 0, 0], [0.5, 0, 0]]).double()
    measured, believed = torch.tensor([0.3, 0.0, 0.0]).double(), torch.tensor([0.0, 0.2, 0.0]).double()
    edge, strong, weak = 1 / (STRAIN * 0.5) ** 2, 400.0, 25.0
    field = solve(
        points,
        torch.stack((measured, torch.zeros(3).double())),
        torch.tensor([strong, 0.0]).double(),
        expecting(believed.expand(2, 3), torch.tensor([0.0, weak]).double()),
    )
    matrix = torch.tensor([[strong + edge, -edge], [-edge, weak + edge]]).double()
    torch.testing.assert_close(
        field.translation, torch.linalg.solve(matrix, torch.stack((strong * measured, weak * believed))), atol=1e-6, rtol=0
    )
    assert (field.translation[1] - measured).norm() < 0.4 * (field.translation[1] - believed).norm()


def test_measured_and_static_gaussians_ignore_what_was_expected() -> None:
    points = torch.tensor([[0.0, 0, 0], [0.5, 0, 0], [5.0, 0, 0]]).double()
    moves = torch.tensor([[0.1, 0, 0], [0.1, 0, 0], [0, 0, 0]]).double()
    precision, static = torch.tensor([1e4, 1e4, 0.0]).double(), torch.tensor([False, False, True])
    wrong = expecting(torch.full((3, 3), 9.0).double(), torch.full((3,), 1e6).double())
    plain, told = (solve(points, moves, precision, expected, static) for expected in (None, wrong))
    for name in vars(plain):
        assert torch.equal(getattr(plain, name), getattr(told, name)), name


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_expecting_nothing_changes_no_bit(share: float) -> None:
    random = torch.Generator().manual_seed(0)
    points = torch.rand((200, 3), generator=random).double()
    known = torch.rand(200, generator=random) < share
    moves = torch.where(known[:, None], torch.randn((200, 3), generator=random).double(), 0.0)
    nothing = replace(expecting(torch.ones_like(points), torch.zeros(200).double()), rotation=torch.ones_like(points))
    plain, told = (solve(points, moves, 1e4 * known.double(), expected) for expected in (None, nothing))
    for name in vars(plain):
        assert torch.equal(getattr(plain, name), getattr(told, name)), name
