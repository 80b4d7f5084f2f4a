"""Which frames of a run hold the same Gaussians, and since when each is there."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trackersplat.store.lineage import RunLineage


def lineage(
    bases: dict[int, int | None], frames: tuple[int, ...] | None = None, replaced: dict[int, list[int]] | None = None
) -> RunLineage:
    def read(frame: int) -> Tensor:
        return torch.tensor((replaced or {}).get(frame, []), dtype=torch.long)

    return RunLineage(tuple(bases) if frames is None else frames, bases, dict.fromkeys(bases, 4), read)


@pytest.mark.parametrize(
    ("frames", "bases", "expected"),
    [
        ((0, 1, 2), {0: None, 1: 0, 2: 1}, (0, 1, 2)),
        ((0, 1, 2, 3, 4), {0: None, 1: 0, 2: None, 3: 2, 4: 2}, (2, 3, 4)),  # fitted anew in frame 3
        ((1, 2, 5), {1: 0, 2: 1, 5: None}, (1, 2)),  # their first frame is gone
        ((0, 1, 2), {}, (0, 1, 2)),  # a run without records
        ((0, 1), {0: 1, 1: 0}, (0, 1)),  # damaged records end
        ((), {}, ()),
    ],
)
def test_frames_are_of_one_origin_if_they_were_moved_from_the_same_fitted_frame(
    frames: tuple[int, ...], bases: dict[int, int | None], expected: tuple[int, ...]
) -> None:
    assert lineage(bases, frames).frames_of_one_origin() == expected


def test_an_index_has_another_gaussian_since_the_frame_in_which_it_was_replaced() -> None:
    # Frame 3 was moved from frame 1, too; there is no Gaussian at index 9.
    found = lineage({0: None, 1: 0, 2: 1, 3: 1}, replaced={1: [2], 2: [0, 2, 9], 3: [1]})
    assert [found.since(frame).tolist() for frame in range(4)] == [[-1, -1, -1, -1], [-1, -1, 1, -1], [2, -1, 2, -1], [-1, 3, 1, -1]]


def test_the_lineage_does_not_depend_on_the_frame_that_is_asked_for_first() -> None:
    replaced = {1: [2], 2: [0, 2], 3: [1]}
    forwards, backwards = (lineage({0: None, 1: 0, 2: 1, 3: 2}, replaced=replaced) for _ in range(2))
    assert {f: forwards.since(f).tolist() for f in (0, 1, 2, 3)} == {f: backwards.since(f).tolist() for f in (3, 2, 1, 0)}


def test_where_a_record_on_the_way_is_missing_nothing_is_known() -> None:
    assert lineage({1: 0, 2: 1}).since(2) is None
    assert lineage({}, (0, 1)).since(1) is None
