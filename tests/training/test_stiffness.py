"""What holds neighbours together in a refinement."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.rendering.rasterizer import Rendering
from trackersplat.training.refine.settings import StiffnessSettings
from trackersplat.training.refine.stiffness import Stiffness

ONE, QUARTER = StiffnessSettings(weight=1.0), StiffnessSettings(weight=0.25)
NOTHING = Rendering(torch.zeros(1, 1, 1, 3), torch.zeros(1, 1, 1), torch.zeros(1, 1, 1))


def _gaussians(means: Tensor, colours: Tensor | None = None) -> Gaussians:
    n = len(means)
    sh = (torch.zeros(n, 3) if colours is None else (colours - 0.5) / SH_C0)[:, None]
    return Gaussians(means.float(), torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1), torch.zeros(n, 3), torch.zeros(n), sh.float())


def _cloud(count: int = 40) -> Gaussians:
    return _gaussians(torch.from_numpy(np.random.default_rng(3).uniform(size=(count, 3))))


def _value(stiffness: Stiffness, moved: Gaussians) -> float:
    return float(stiffness(0, moved, NOTHING))


def _by_hand(start: np.ndarray, shift: np.ndarray, moving: set[int]) -> float:
    """The sum over all pairs, one by one; all colours alike."""
    distances = np.linalg.norm(start[:, None] - start, axis=-1)
    np.fill_diagonal(distances, np.inf)
    total, seen = 0.0, set()
    for i in range(len(start)):
        nearest = np.argsort(distances[i])[: ONE.graph.neighbours]
        for j in nearest:
            pair = (min(i, j), max(i, j))
            if pair in seen or not moving & set(pair):
                continue
            seen.add(pair)
            total += float(((shift[i] - shift[j]) ** 2).sum()) / distances[i, j] ** 2
    return total / len(moving)


def test_it_is_the_strain_of_the_correction_summed_over_pairs() -> None:
    # On a grid with little disorder no distance is below half the median, where lengths are bounded.
    random = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    start = _gaussians(torch.from_numpy(grid + random.uniform(-0.05, 0.05, grid.shape)))
    moving = torch.from_numpy(np.flatnonzero(random.random(len(start)) < 0.6))
    shift = np.zeros((len(start), 3))
    shift[moving] = random.normal(size=(len(moving), 3))
    moved = _gaussians(start.means[moving] + torch.from_numpy(shift[moving]))
    expected = _by_hand(start.means.double().numpy(), shift, set(moving.tolist()))
    assert _value(Stiffness(start, moving, ONE), moved) == pytest.approx(expected, rel=1e-4)
    assert _value(Stiffness(start, moving, QUARTER), moved) == pytest.approx(0.25 * expected, rel=1e-4)


def test_its_gradient_is_that_of_finite_differences() -> None:
    start = _cloud()
    moving = torch.arange(0, len(start), 2)
    stiffness = Stiffness(start, moving, ONE)
    random = torch.Generator().manual_seed(0)
    means = (start.means[moving] + 0.1 * torch.randn(len(moving), 3, generator=random)).requires_grad_()
    (3.0 * stiffness(0, _gaussians(means), NOTHING)).backward()
    direction = torch.randn(len(moving), 3, generator=random)
    ahead, behind = (_value(stiffness, _gaussians((means + sign * direction).detach())) for sign in (1, -1))
    assert means.grad is not None
    # the form is quadratic, so central differences of any width are exact
    assert float((means.grad * direction).sum()) == pytest.approx(3.0 * (ahead - behind) / 2, rel=1e-4)


def test_a_common_shift_costs_nothing_unless_a_neighbour_is_frozen() -> None:
    start = _cloud()
    every = torch.arange(len(start))
    shift = torch.tensor([0.3, -0.2, 0.1])
    assert _value(Stiffness(start, every, ONE), _gaussians(start.means + shift)) == pytest.approx(0, abs=1e-6)
    assert _value(Stiffness(start, every[1:], ONE), _gaussians(start.means[1:] + shift)) > 0.01
    assert _value(Stiffness(start, every[1:], ONE), start[1:]) == 0


def test_neighbours_of_another_colour_hold_less() -> None:
    means = torch.tensor([[0.0, 0, 0], [1, 0, 0]])
    every = torch.arange(2)
    apart = torch.tensor([[0.0, 0, 0], [1, 0, 0.5]])
    for difference in (0.0, 0.1, 0.2):
        colours = torch.tensor([[0.5, 0.5, 0.5], [0.5 + difference, 0.5, 0.5]])
        expected = 0.5 * 0.25 * np.exp(-0.5 * (difference / ONE.graph.colour_scale) ** 2)
        assert _value(Stiffness(_gaussians(means, colours), every, ONE), _gaussians(apart)) == pytest.approx(expected, rel=1e-4)


def test_what_comes_after_the_moving_ones_is_free() -> None:
    start = _cloud()
    moving = torch.arange(0, 40, 2)
    shifted = _gaussians(start.means[moving] + 0.1)
    more = _gaussians(torch.cat((shifted.means, torch.full((3, 3), 7.0))))
    stiffness = Stiffness(start, moving, ONE)
    assert _value(stiffness, more) == _value(stiffness, shifted) > 0


def test_coincident_and_single_gaussians_have_finite_values() -> None:
    start = _gaussians(torch.zeros(20, 3))
    every = torch.arange(20)
    means = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    value = Stiffness(start, every, ONE)(0, _gaussians(means), NOTHING)
    value.backward()
    assert torch.isfinite(value)
    assert means.grad is not None
    assert torch.isfinite(means.grad).all()
    assert _value(Stiffness(start[:1], every[:1], ONE), _gaussians(torch.ones(1, 3))) == 0
