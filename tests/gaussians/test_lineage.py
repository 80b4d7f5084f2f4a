"""Which Gaussian is which through time."""

import torch

from trackersplat.gaussians.lineage import Lineage


def test_an_id_is_of_one_gaussian_and_changes_only_where_another_takes_its_index() -> None:
    first = Lineage.of_first_frame(4, 6)
    later = first.with_replaced(torch.tensor([1, 5]), 7).with_replaced(torch.tensor([5]), 9)
    assert first.ids.tolist() == [(4 << 32) + i for i in range(6)]
    assert (first.ids == later.ids).tolist() == [True, False, True, True, True, False]
    assert later.born.tolist() == [4, 7, 4, 4, 4, 9]
    assert later.replaced.tolist() == [1, 5]
    assert len(set(first.ids.tolist()) | set(later.ids.tolist())) == 8
    assert first.replaced.tolist() == []


def test_indices_beyond_the_gaussians_are_left_out() -> None:
    assert Lineage.of_first_frame(0, 3).with_replaced(torch.tensor([2, 3]), 1).born.tolist() == [0, 0, 1]
