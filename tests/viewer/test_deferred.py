"""When panels of the inspector follow the time."""

from __future__ import annotations

import pytest

from viewer.deferred import AT_LATEST, REST_AFTER, REST_AFTER_DRAGGED, Deferred

FRAME, NOTHING = frozenset({"frame"}), frozenset[str]()


def test_the_time_is_followed_once_it_rests() -> None:
    deferred = Deferred()
    assert deferred.wait(0.0) == float("inf")
    assert deferred.now_or_later(FRAME, 1.0) == NOTHING
    assert deferred.now_or_later(frozenset({"shown"}), 1.1) == NOTHING
    assert deferred.wait(1.1) == pytest.approx(REST_AFTER)
    assert deferred.now_or_later(NOTHING, 1.1 + REST_AFTER / 2) == NOTHING
    assert deferred.now_or_later(NOTHING, 1.1 + REST_AFTER) == {"frame", "shown"}
    assert deferred.now_or_later(NOTHING, 9.0) == NOTHING


def test_a_time_that_never_rests_is_followed_now_and_then() -> None:
    deferred = Deferred()
    told = [deferred.now_or_later(FRAME, 0.016 * step) for step in range(125)]  # two seconds
    assert sum(map(bool, told)) in (3, 4)
    assert not any(told[: int(AT_LATEST / 0.016)])


def test_a_time_that_is_dragged_is_followed_when_it_is_let_go_or_held() -> None:
    deferred = Deferred()
    told = [deferred.now_or_later(frozenset({"frame", "dragging"}) if not step else FRAME, 0.3 * step, True) for step in range(10)]
    assert not any(told)
    assert deferred.now_or_later(frozenset({"dragging"}), 3.0, False) == {"frame", "dragging"}
    assert deferred.now_or_later(FRAME, 4.0, True) == NOTHING
    assert deferred.wait(4.0) == pytest.approx(REST_AFTER_DRAGGED)
    assert deferred.now_or_later(NOTHING, 4.0 + REST_AFTER_DRAGGED, True) == FRAME


def test_any_other_change_is_told_at_once_and_takes_along_what_waits() -> None:
    deferred = Deferred()
    assert deferred.now_or_later(FRAME, 1.0) == NOTHING
    assert deferred.now_or_later(frozenset({"tracks"}), 1.01) == {"frame", "tracks"}
    assert deferred.wait(1.01) == float("inf")
    assert deferred.now_or_later(frozenset({"frame", "tracks"}), 1.02) == {"frame", "tracks"}  # a jump to a failure
