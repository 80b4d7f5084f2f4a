"""What the benchmark of carried selections says, on numbers that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trackersplat.benchmarks.carried_selections import FrameWeights, Truth, best_ids, lasso
from trackersplat.document.selecting.outline import inside_pixels
from trackersplat.document.selection import Selection
from trackersplat.errors import InputError

WEIGHTS = FrameWeights(np.array([3, 5, 9]), np.array([4.0, 1.0, 0.0]), np.array([4.0, 4.0, 2.0]))


def test_found_is_a_share_of_the_object_and_right_a_share_of_the_selection() -> None:
    assert WEIGHTS.found(Selection.of([3, 9])) == (0.8, 4 / 6)
    assert WEIGHTS.found(Selection.of([7])) == (0.0, 0.0)


def test_the_best_ids_are_those_that_are_mostly_in_the_object_over_their_life() -> None:
    later = FrameWeights(np.array([5, 9, 11]), np.array([6.0, 0.0, 1.0]), np.array([6.0, 2.0, 1.0]))
    assert best_ids([WEIGHTS, later]) == Selection.of([3, 5, 11])


def test_the_lasso_holds_the_object_and_is_wider() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:50] = True
    inside = inside_pixels(np.array(lasso(mask)), 60, 40)
    assert (inside | ~mask).all()
    assert 1.0 < inside.sum() / mask.sum() < 1.3


def test_the_parts_of_an_object_are_found_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "gt").mkdir()
    np.savez(tmp_path / "gt" / "tracks.npz", object_names=np.array(["wall", "arm_0", "arm_1"]))
    np.savez(tmp_path / "gt" / "depth_a.npz", seg=np.array([[[0, 1, 2, 3]]], np.uint8))
    assert Truth.of(tmp_path, "arm").pixels("a").tolist() == [[[False, False, True, True]]]
    with pytest.raises(InputError, match="no object named ball; it has wall, arm_0, arm_1"):
        Truth.of(tmp_path, "ball")
