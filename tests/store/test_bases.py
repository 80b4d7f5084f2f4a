import pytest

from trackersplat.store.bases import base_of, bases_of_missing


@pytest.mark.parametrize(
    ("frame", "there", "batch", "base"),
    [
        (0, [], 1, None), (3, [], 1, None), (3, [0, 1, 2], 1, 2), (3, [0, 1], 1, 1), (3, [4], 1, None), (5, [0, 1, 2, 3, 4], 4, 4),
        (4, [0, 1, 2, 3], 4, 0), (7, [0, 1, 2, 4, 5, 6], 4, 4), (7, [0, 1, 5, 6], 4, 1), (2, [1], 4, 1),
    ],
)  # fmt: skip
def test_the_base_is_the_last_frame_on_or_before_the_place_on_the_grid(frame: int, there: list[int], batch: int, base: int | None) -> None:
    assert base_of(frame, there, batch) == base


@pytest.mark.parametrize(
    ("there", "frames", "batch", "expected"),
    [
        ({0}, 10, 1, {0}), ({0, 1, 2}, 10, 1, {2}), ({0, 1, 2}, 3, 1, set()), ({0, 1, 2}, None, 1, {2}), ({0, 1, 4, 5}, 10, 1, {1, 5}),
        ({0, 1, 2}, 10, 4, {0}), ({0, 1, 2, 3, 4}, 10, 4, {4}), ({0, 1, 2, 3, 4}, 9, 4, {4}), (set(), 10, 1, set()),
        ({3}, 10, 1, {3}), ({3}, 10, 4, {3}),
        ({0, 1, 2, 3, 4, 7}, 10, 4, {4}),
    ],
)  # fmt: skip
def test_bases_of_missing_frames_are_those_that_they_start_from_if_made_in_order(
    there: set[int], frames: int | None, batch: int, expected: set[int]
) -> None:
    assert bases_of_missing(there, frames, batch) == expected


def test_frames_that_a_file_claims_beyond_counting_cost_nothing() -> None:
    assert bases_of_missing({0, 1}, 10**15, 1) == {1}
