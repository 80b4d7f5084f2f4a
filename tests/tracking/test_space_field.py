from __future__ import annotations

import numpy as np
import torch

from trackersplat.geometry.quaternions import quaternion_to_matrix, rotation_vector_to_quaternion
from trackersplat.tracking.space_field import SpaceField, SpaceFieldSettings


def grid(step: float, size: int, height: float = 0.0) -> torch.Tensor:
    x, y = np.meshgrid(np.arange(size) * step, np.arange(size) * step)
    return torch.from_numpy(np.stack((x, y, np.full_like(x, height)), axis=-1).reshape(-1, 3))


def turned(points: torch.Tensor) -> torch.Tensor:
    rotation = quaternion_to_matrix(rotation_vector_to_quaternion(torch.tensor([[0.2, -0.3, 0.5]], dtype=torch.float64)))[0]
    return points @ rotation.T + torch.tensor([0.3, -0.1, 0.2])


def field(start: torch.Tensor, end: torch.Tensor, colour: torch.Tensor | None = None) -> SpaceField:
    return SpaceField.of(start, end, torch.ones(len(start)), colour, SpaceFieldSettings(turn_prior=0.0))


def test_a_rigid_body_carries_the_points_between_its_tracks_exactly() -> None:
    tracks = grid(0.1, 8)
    points = tracks[:40] + torch.tensor([0.03, 0.04, 0.01])
    moved, trust = field(tracks, turned(tracks)).move(points)
    torch.testing.assert_close(moved, turned(points), atol=1e-6, rtol=0)
    assert (trust > 0.5).all()


def test_at_a_border_a_point_moves_with_one_body_and_not_with_the_mean() -> None:
    ground, box = grid(0.1, 10), grid(0.1, 4, height=0.12) + torch.tensor([0.3, 0.3, 0.0])
    start = torch.cat((ground, box))
    shift = torch.cat((torch.zeros_like(ground), torch.tensor([0.4, 0.0, 0.0]).expand(len(box), 3)))
    points = torch.cat((box[:4] + torch.tensor([0.02, -0.03, 0.0]), ground[33:37] + torch.tensor([0.02, 0.03, 0.0])))
    moved, _ = field(start, start + shift).move(points)
    expected = torch.tensor([0.4] * 4 + [0.0] * 4, dtype=torch.float64)
    torch.testing.assert_close((moved - points)[:, 0], expected, atol=1e-5, rtol=0)


def test_a_point_between_two_bodies_moves_with_that_of_its_colour() -> None:
    left, right = grid(0.1, 6), grid(0.1, 6) + torch.tensor([0.62, 0.0, 0.0])
    start = torch.cat((left, right))
    shift = torch.cat((torch.zeros_like(left), torch.tensor([0.0, 0.3, 0.0]).expand(len(right), 3)))
    red, blue = torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.1, 0.1, 0.9])
    colour = torch.cat((red.expand(len(left), 3), blue.expand(len(right), 3)))
    point = torch.tensor([[0.555, 0.2, 0.0]])
    for shade, moves in ((red, 0.0), (blue, 0.3)):
        moved, _ = field(start, start + shift, colour).move(point, shade[None])
        torch.testing.assert_close(moved[0, 1] - point[0, 1], torch.tensor(moves, dtype=torch.float64), atol=1e-3, rtol=0)


def test_far_from_all_tracks_nothing_is_known() -> None:
    tracks = grid(0.1, 5)
    _, trust = field(tracks, tracks + 1.0).move(torch.tensor([[2.0, 2, 2], [0.2, 0.2, 0.0]]))
    assert trust[0] < 1e-6
    assert trust[1] > 0.9


def test_without_tracks_points_stay_and_are_not_trusted() -> None:
    none = torch.zeros((0, 3))
    moved, trust = field(none, none).move(torch.tensor([[1.0, 2, 3]]))
    assert moved.tolist() == [[1, 2, 3]]
    assert trust.tolist() == [0]
    lone = torch.tensor([[0.0, 0, 0]])
    moved, _ = field(lone, lone + torch.tensor([1.0, 0, 0])).move(torch.tensor([[0.1, 0.2, 0]]))
    torch.testing.assert_close(moved, torch.tensor([[1.1, 0.2, 0.0]], dtype=torch.float64))
