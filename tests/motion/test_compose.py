"""Two motions as one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.compose import compose
from trackersplat.motion.evidence import Evidence, ViewState
from trackersplat.motion.motion import CarriedMotion, Motion

COUNT = 64


def some_motion(seed: int) -> Motion:
    """Half of it static."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    static = torch.rand(COUNT, generator=generator) < 0.5
    measured = ~static & (torch.rand(COUNT, generator=generator) < 0.5)
    rotation = torch.nn.functional.normalize(normal(COUNT, 4), dim=1)
    agreeing = torch.full((2, COUNT), ViewState.INLIER, dtype=torch.uint8)
    return Motion(
        translation=torch.where(static[:, None], 0.0, normal(COUNT, 3)),
        rotation=torch.where(static[:, None], torch.tensor((1.0, 0, 0, 0)), rotation),
        is_static=static,
        measured=measured,
        confidence=torch.rand(COUNT, generator=generator),
        residual_px=torch.where(measured, normal(COUNT).abs(), torch.nan),
        views=torch.where(measured, 3 + seed, 0).to(torch.int32),
        carried=CarriedMotion(normal(COUNT, 3), normal(COUNT, 3), normal(COUNT, 3), torch.rand(COUNT, generator=generator)),
        evidence=Evidence(("a", "b"), normal(2, COUNT).abs(), normal(2, COUNT).abs(), torch.ones(2, COUNT), agreeing),
    )


FIRST, SECOND = some_motion(0), some_motion(1)


def test_to_move_by_both_at_once_is_to_move_by_one_after_the_other() -> None:
    generator = torch.Generator().manual_seed(2)
    gaussians = Gaussians(
        torch.randn(COUNT, 3, generator=generator),
        torch.nn.functional.normalize(torch.randn(COUNT, 4, generator=generator), dim=1),
        torch.randn(COUNT, 3, generator=generator),
        torch.randn(COUNT, generator=generator),
        torch.randn(COUNT, 9, 3, generator=generator),
    )
    expected, found = move(move(gaussians, FIRST), SECOND), move(gaussians, compose(FIRST, SECOND))
    torch.testing.assert_close(found.means, expected.means)
    torch.testing.assert_close(found.sh, expected.sh, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close((found.quats * expected.quats).sum(1).abs(), torch.ones(COUNT))
    both = FIRST.is_static & SECOND.is_static
    assert both.any()
    for name in ("means", "quats", "sh"):
        assert torch.equal(getattr(found, name)[both], getattr(gaussians, name)[both])


def test_what_is_known_of_the_composed_motion_follows_from_both() -> None:
    both = compose(FIRST, SECOND)
    for i in range(COUNT):
        known = [bool(m.measured[i] or m.is_static[i]) for m in (FIRST, SECOND)]
        assert both.is_static[i] == (FIRST.is_static[i] and SECOND.is_static[i])
        assert both.measured[i] == (all(known) and not both.is_static[i])
        last = SECOND if SECOND.measured[i] else FIRST
        assert both.views[i] == (last.views[i] if both.measured[i] else 0)
        assert both.residual_px[i] == last.residual_px[i] if both.measured[i] else both.residual_px[i].isnan()
        assert both.confidence[i] == min(FIRST.confidence[i], SECOND.confidence[i])
    assert both.measured.any()
    assert both.carried is SECOND.carried
    assert both.evidence is SECOND.evidence


def test_a_part_of_a_motion_has_its_part_of_the_evidence() -> None:
    chosen = torch.tensor([5, 2, 60])
    part = FIRST[chosen].evidence
    assert part is not None
    assert FIRST.evidence is not None
    assert part.cameras == ("a", "b")
    assert torch.equal(part.residual_px, FIRST.evidence.residual_px[:, chosen])


def test_motions_of_different_gaussians_are_refused() -> None:
    with pytest.raises(ShapeError, match="64 and 63"):
        compose(FIRST, replace(SECOND[:63]))
