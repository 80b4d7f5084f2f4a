import pytest

from trackersplat.errors import InputError
from trackersplat.jobs.plan import Batch, parse_frames, plan_batches


def test_a_range_counts_from_one_and_includes_both_ends() -> None:
    assert list(parse_frames("1:6", 30)) == [0, 1, 2, 3, 4, 5]
    assert list(parse_frames("30", 30)) == [29]
    assert list(parse_frames("all", 3)) == [0, 1, 2]


@pytest.mark.parametrize("text", ["", "0:3", "5:4", "1:31", "a:b", "-1:3", "1:2:3", "1.5", "99999999999"])
def test_a_range_outside_the_capture_or_misspelt_is_one_sentence(text: str) -> None:
    with pytest.raises(InputError, match=r"^Frames .*\.$"):
        parse_frames(text, 30)


def test_the_first_frame_is_fitted_and_every_other_moved_from_its_predecessor() -> None:
    assert plan_batches([0, 1, 2], [], 1) == [Batch(None, (0,)), Batch(0, (1,)), Batch(1, (2,))]


def test_frames_of_a_batch_share_one_base_on_a_fixed_grid() -> None:
    expected = [Batch(None, (0,)), Batch(0, (1, 2, 3)), Batch(3, (4, 5, 6)), Batch(6, (7,))]
    assert plan_batches(range(8), [], 3) == expected


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
@pytest.mark.parametrize("start", [0, 2])
def test_a_killed_run_makes_the_same_choices_when_it_goes_on(batch: int, start: int) -> None:
    wanted = range(start, 11)

    def bases(present: list[int]) -> dict[int, int | None]:
        return {frame: b.base for b in plan_batches(wanted, present, batch) for frame in b.targets}

    whole = bases([])
    order = list(whole)
    for stopped_after in range(1, len(order)):
        resumed = bases(order[:stopped_after])
        assert resumed == {frame: whole[frame] for frame in order[stopped_after:]}


def test_a_lone_frame_is_moved_from_the_nearest_earlier_one() -> None:
    assert plan_batches([19], [0, 4], 1) == [Batch(4, (19,))]


def test_a_frame_with_nothing_before_it_is_fitted_from_scratch() -> None:
    assert plan_batches([9, 10], [20], 1) == [Batch(None, (9,)), Batch(9, (10,))]


def test_nothing_is_planned_for_frames_that_are_there() -> None:
    assert plan_batches([0, 1, 2], [0, 1, 2], 1) == []


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
def test_a_batch_that_goes_on_goes_through_the_frames_that_it_went_through_before(batch: int) -> None:
    def through(present: list[int]) -> dict[int, range]:
        return {frame: b.through for b in plan_batches(range(11), present, batch) for frame in b.targets}

    whole = through([])
    for done in range(1, 11):
        assert through(list(range(done))) == {frame: whole[frame] for frame in range(done, 11)}


def test_all_frames_between_base_and_target_are_gone_through() -> None:
    assert Batch(3, (5,)).through == range(4, 6)
    assert Batch(3, (4, 7)).through == range(4, 8)
    assert Batch(None, (9,)).through == range(9, 10)
