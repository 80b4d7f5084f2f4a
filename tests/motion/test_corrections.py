"""Corrections as observations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.corrections import PointCorrection, with_corrections
from trackersplat.motion.measure import Measurements
from trackersplat.motion.ops.triangulate import Observations, triangulate
from trackersplat.motion.settings import TriangulateSettings

COUNT, TARGETS = 12, 2
SHIFT = torch.tensor((0.05, -0.02, 0.04), dtype=torch.float64)


def measured(cameras: list[Camera]) -> Measurements:
    """Noise about every Gaussian, in every view."""
    views, rng = len(cameras), torch.Generator().manual_seed(0)
    shape = (views, TARGETS, COUNT)
    return Measurements(
        displacement=torch.rand(*shape, 2, generator=rng) * 9,
        variance=torch.rand(shape, generator=rng) + 0.1,
        rough=torch.full(shape, 0.05),
        moved=torch.rand(shape, generator=rng),
        shown=torch.ones(views, COUNT, dtype=torch.bool),
        surface=torch.zeros(views, COUNT, 3),
        inverse_view_weight=1 + 50 * torch.rand(views, COUNT, generator=rng),
    )


def correction(*carriers: int, unused: tuple[str, ...] = ()) -> PointCorrection:
    before = torch.tensor((0.1, 0.2, 0.3), dtype=torch.float64)
    return PointCorrection(7, before, before + SHIFT, torch.tensor(carriers), 0.25, frozenset(unused))


def test_carriers_move_as_their_point_in_every_view_that_is_used_and_nothing_else_changes(
    cameras: list[Camera], make_gaussians: Callable[..., Gaussians]
) -> None:
    means = make_gaussians(np.random.default_rng(1).normal(0, 0.2, (COUNT, 3))).means
    before = measured(cameras)
    after = with_corrections(before, means, cameras, [(), (correction(3, 5, unused=("cam01",)),)])
    assert after.corrected is not None
    assert after.corrected.nonzero().tolist() == [[1, 3], [1, 5]]
    for name in ("displacement", "variance", "rough", "moved"):
        same = getattr(after, name) == getattr(before, name)
        same = same.all(-1) if same.ndim == 4 else same
        assert same[:, 0].all()
        assert (~same[:, 1]).any(0).nonzero()[:, 0].tolist() == [3, 5], name
    assert torch.isinf(after.variance[1, 1, [3, 5]]).all()
    others = [0, 2, 3, 4]
    assert torch.allclose(after.variance[others, 1][:, [3, 5]] * before.inverse_view_weight[others][:, [3, 5]], torch.tensor(0.0625))
    seen = Observations(after.displacement[:, 1], before.inverse_view_weight * after.variance[:, 1], after.surface)
    solved = triangulate(cameras, means, seen, TriangulateSettings())
    assert (solved.translation[[3, 5]] - SHIFT).abs().max() < 1e-5
    assert solved.views[[3, 5]].tolist() == [4, 4]


def test_views_that_the_point_leaves_say_nothing(cameras: list[Camera], make_gaussians: Callable[..., Gaussians]) -> None:
    means = make_gaussians(np.zeros((COUNT, 3))).means
    far = PointCorrection(7, torch.zeros(3).double(), torch.tensor((0.0, 9.0, 0.0)).double(), torch.tensor([2]), 0.25)
    after = with_corrections(measured(cameras), means, cameras, [(far,), ()])
    assert torch.isinf(after.variance[:, 0, 2]).all()
