from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.motion.static import still


def decide(moved: list[float], variances: list[float], shown: list[bool] | None = None, solved: float = float("nan")) -> bool:
    column: Tensor = torch.tensor(moved)[:, None]
    seen = torch.tensor(shown if shown is not None else [True] * len(moved))[:, None]
    result = still(column, torch.tensor(variances)[:, None], seen, torch.tensor([solved]), threshold_px=0.5, minimum_views=2)
    return bool(result[0])


def test_still_where_all_views_say_so() -> None:
    assert decide([0.1, 0.3, 0.5], [0.1, 0.1, 0.1])
    assert not decide([0.9, 0.8, 0.7], [0.1, 0.1, 0.1])


def test_one_bad_view_of_many_does_not_set_a_wall_in_motion() -> None:
    assert decide([0.1, 0.1, 0.1, 0.1, 9.0], [0.1, 0.1, 0.1, 0.1, 0.1])
    assert decide([0.1, 0.1, 9.0], [0.1, 0.1, 10.0])
    assert not decide([0.1, 0.1, 9.0], [0.1, 0.1, 0.1])
    assert decide([0.1, 0.1, 9.0], [0.1, 0.1, 0.1], solved=0.1)  # the robust triangulation agrees with the majority


def test_views_that_lost_it_speak_against_stillness() -> None:
    infinite = float("inf")
    assert decide([0.1, 0.1, 0.0], [0.1, 0.1, infinite])
    assert not decide([0.1, 0.1, 0.0, 0.0], [0.1, 0.1, infinite, infinite])
    assert decide([0.1, 0.1, 0.0, 0.0], [0.1, 0.1, infinite, infinite], solved=0.1)
    assert decide([0.1, 0.1, 0.0, 0.0], [0.1, 0.1, infinite, infinite], shown=[True, True, False, False])


def test_no_view_or_a_lone_view_decides_nothing() -> None:
    assert not decide([0.0, 0.0], [float("inf")] * 2)
    assert not decide([0.0, 0.0], [0.1, float("inf")], shown=[True, False])


def test_motion_that_adds_up_over_the_threshold_is_let_through() -> None:
    assert decide([0.2, 0.2, 0.2], [0.1, 0.1, 0.1], solved=0.4)
    assert not decide([0.2, 0.2, 0.2], [0.1, 0.1, 0.1], solved=0.6)


def test_a_confirmed_one_needs_half_of_the_say() -> None:
    assert decide([0.1, 0.1, 9.0], [0.1, 0.1, 0.06], solved=0.1)
    assert not decide([0.1, 0.1, 9.0], [0.1, 0.1, 0.04], solved=0.1)
