"""What Gaussians cover from a point, by rays: against pictures of a camera that stands there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from quad_scene import look_at

from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.rendering.lift import lift
from trackersplat.training.first_frame.line_of_sight import LineOfSight

CAMERA = look_at("cam", (0.0, 0.0, 0.0), 512, 384, 300.0)
AHEAD = torch.tensor(CAMERA.rotation[2], dtype=torch.float32)
ASIDE = torch.tensor(CAMERA.rotation[0], dtype=torch.float32)
CENTER = torch.tensor(CAMERA.center, dtype=torch.float32)


def _gaussians(depths: list[float], scales: list[list[float]], opacities: list[float], aside: float = 0.0) -> Gaussians:
    n = len(depths)
    means = torch.stack([CENTER + depth * AHEAD + aside * ASIDE for depth in depths])
    quats = torch.nn.functional.normalize(torch.tensor([[0.9, 0.2, -0.3, 0.1]]).repeat(n, 1), dim=1)
    logits = torch.logit(torch.tensor(opacities))
    return Gaussians(means, quats, torch.log(torch.tensor(scales)), logits, torch.full((n, 1, 3), 0.3 / SH_C0))


def _rendered(gaussians: Gaussians) -> torch.Tensor:
    """(N,) blending weights summed over the picture, as areas at distance 1."""
    ones = torch.ones((1, CAMERA.height, CAMERA.width, 1))
    return lift(PortableRasterizer(), gaussians, [CAMERA], ones)[0, :, 0] / (CAMERA.K[0, 0] * CAMERA.K[1, 1])


def _covered(gaussians: Gaussians, index: int) -> float:
    """The largest area that the Gaussian still covers, by halving."""
    sight, chosen, low, high = LineOfSight(gaussians), torch.tensor([index]), 0.0, 10.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if sight.covers(CENTER, chosen, middle).item() else (low, middle)
    return low


@pytest.mark.parametrize("scales", [[0.08, 0.08, 0.08], [0.15, 0.05, 0.1], [0.12, 0.1, 0.002]])
@pytest.mark.parametrize("aside", [0.0, 0.3])
def test_what_one_covers_is_what_its_picture_has(scales: list[float], aside: float) -> None:
    one = _gaussians([2.0], [scales], [0.6], aside)
    in_plane = (1 + aside**2 / 4) ** 1.5  # an area across the ray is larger in the plane of the picture
    assert in_plane * _covered(one, 0) == pytest.approx(_rendered(one)[0].item(), rel=0.06)


def test_what_others_let_through_counts_and_nothing_behind_or_beside_does() -> None:
    wall = [0.5, 0.5, 0.5]
    pair = _gaussians([1.0, 3.0], [wall, [0.05] * 3], [0.7, 0.6])
    assert _covered(pair, 1) == pytest.approx(0.3 * _covered(pair[1:], 0), rel=1e-4)
    assert _covered(pair, 1) == pytest.approx(_rendered(pair)[1].item(), rel=0.06)
    assert _covered(pair, 0) == pytest.approx(_covered(pair[:1], 0), rel=1e-6)
    behind = _gaussians([-1.0, 3.0], [wall, [0.05] * 3], [0.7, 0.6])
    assert _covered(behind, 1) == pytest.approx(_covered(pair[1:], 0), rel=1e-6)


def test_many_at_once_are_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    some = _gaussians(
        random.uniform(0.5, 3, 30).tolist(), random.uniform(0.05, 0.3, (30, 3)).tolist(), random.uniform(0.1, 0.9, 30).tolist()
    )
    monkeypatch.setattr("trackersplat.training.first_frame.line_of_sight.RAYS_AT_ONCE", 70)
    together = LineOfSight(some).covers(CENTER, torch.arange(30), 0.02)
    assert together.tolist() == [LineOfSight(some).covers(CENTER, torch.tensor([i]), 0.02).item() for i in range(30)]
    assert 0 < together.sum() < 30
