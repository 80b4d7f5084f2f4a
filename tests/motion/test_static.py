from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.motion.settings import StaticSettings
from trackersplat.motion.static import find_static


def decide(moved: list[float], variances: list[float], shown: list[bool] | None = None, solved: float = float("nan")) -> bool:
    column: Tensor = torch.tensor(moved)[:, None]
    seen = torch.tensor(shown if shown is not None else [True] * len(moved))[:, None]
    result = find_static(column, torch.tensor(variances)[:, None], seen, torch.tensor([solved]), 2, StaticSettings(threshold_px=0.5))
    return bool(result[0])


def test_a_gaussian_is_static_where_all_views_call_it_so() -> None:
    assert decide([0.1, 0.3, 0.5], [0.1, 0.1, 0.1])
    assert not decide([0.9, 0.8, 0.7], [0.1, 0.1, 0.1])


def test_one_bad_view_of_many_does_not_set_a_wall_in_motion() -> None:
    assert decide([0.1, 0.1, 0.1, 0.1, 9.0], [0.1, 0.1, 0.1, 0.1, 0.1])
    assert decide([0.1, 0.1, 9.0], [0.1, 0.1, 10.0])
    assert not decide([0.1, 0.1, 9.0], [0.1, 0.1, 0.1])
    assert decide([0.1, 0.1, 9.0], [0.1, 0.1, 0.1], solved=0.1)  # the robust triangulation agrees with the majority


def test_views_that_lost_a_gaussian_speak_against_its_being_static() -> None:
    infinite = float("inf")
    assert decide([0.1, 0.1, 0.0], [0.1, 0.1, infinite])
    assert not decide([0.1, 0.1, 0.0, 0.0], [0.1, 0.1, infinite, infinite])
    assert decide([0.1, 0.1, 0.0, 0.0], [0.1, 0.1, infinite, infinite], solved=0.1)
    assert decide([0.1, 0.1, 0.0, 0.0], [0.1, 0.1, infinite, infinite], shown=[True, True, False, False])


def test_no_view_or_a_lone_view_decides_nothing() -> None:
    assert not decide([0.0, 0.0], [float("inf")] * 2)
    assert not decide([0.0, 0.0], [0.1, float("inf")], shown=[True, False])


def test_motion_that_adds_up_over_the_threshold_is_applied() -> None:
    assert decide([0.2, 0.2, 0.2], [0.1, 0.1, 0.1], solved=0.4)
    assert not decide([0.2, 0.2, 0.2], [0.1, 0.1, 0.1], solved=0.6)


def test_a_confirmed_static_gaussian_needs_half_of_the_precision() -> None:
    assert decide([0.1, 0.1, 9.0], [0.1, 0.1, 0.06], solved=0.1)
    assert not decide([0.1, 0.1, 9.0], [0.1, 0.1, 0.04], solved=0.1)
