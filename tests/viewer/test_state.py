"""The store of the page and the arithmetic of playing."""

from __future__ import annotations

from pathlib import Path

import pytest

from viewer.state import Draft, State, Store, advance


def test_a_change_is_announced_once_with_the_names_of_the_fields_that_differ() -> None:
    store = Store(State(frame_count=10))
    heard: list[tuple[int, frozenset[str]]] = []
    store.subscribe(lambda state, changed: heard.append((state.frame, changed)))
    store.set(frame=3, playing=False)
    store.set(frame=3)
    assert heard == [(3, frozenset({"frame"}))]


def test_frames_outside_the_capture_are_moved_to_its_ends() -> None:
    store = Store(State(frame_count=10))
    store.set(frame=99)
    assert store.state.frame == 9
    store.step(-50)
    assert store.state.frame == 0


def test_a_step_stops_playing() -> None:
    store = Store(State(frame_count=10, frame=4, playing=True))
    store.step(1)
    assert (store.state.frame, store.state.playing) == (5, False)


def test_a_subscriber_may_change_the_state_and_an_unsubscribed_one_hears_nothing() -> None:
    store = Store(State(frame_count=10))
    seen: list[int] = []

    def clamp(state: State, _: frozenset[str]) -> None:
        seen.append(state.frame)
        store.set(frame=min(state.frame, 5))

    store.subscribe(clamp)
    store.set(frame=8)
    assert store.state.frame == 5
    assert seen == [8, 5]
    store.unsubscribe(clamp)
    store.set(frame=9)
    assert store.state.frame == 9


def test_problems_are_kept_per_source() -> None:
    store = Store(State())
    store.problem("run", "no run")
    store.problem("picture", "no picture")
    store.problem("run", "still no run")
    assert store.state.problems == (("picture", "no picture"), ("run", "still no run"))
    store.problem("picture", None)
    store.problem("picture", None)
    assert store.state.problems == (("run", "still no run"),)


@pytest.mark.parametrize(
    ("frame", "reconstructed", "expected"),
    [(4, (), None), (4, (0, 2, 4, 6), 4), (5, (0, 2, 4, 6), 4), (1, (3, 5), 3), (9, (3, 5), 5)],
)
def test_a_missing_frame_is_stood_in_for_by_the_nearest_earlier_else_the_first(
    frame: int, reconstructed: tuple[int, ...], expected: int | None
) -> None:
    assert State(frame_count=10, frame=frame, reconstructed=reconstructed).source_frame() == expected


def test_a_preview_of_the_present_frame_is_its_own_source() -> None:
    state = State(frame_count=10, frame=4, reconstructed=(0,), preview=Draft(4, Path("preview.ply"), 1))
    assert state.source_frame() == 4


def test_playing_runs_through_the_reconstructed_frames_if_there_are_several() -> None:
    assert State(frame_count=10, reconstructed=(2, 3, 7)).span() == (2, 7)
    assert State(frame_count=10, reconstructed=(2,)).span() == (0, 9)


@pytest.mark.parametrize(
    ("frame", "ticks", "loop", "expected"),
    [
        (2, 1, True, (3, True)),
        (5, 1, True, (2, True)),  # wraps to the first of the span
        (5, 6, True, (3, True)),  # more than once around
        (5, 1, False, (5, False)),  # stops at the end
        (4, 1, False, (5, True)),  # reaching the end still shows it
        (9, 1, True, (2, True)),  # outside the span: from its beginning
        (0, 3, False, (2, True)),
    ],
)
def test_advance_walks_the_span(frame: int, ticks: int, loop: bool, expected: tuple[int, bool]) -> None:
    assert advance(frame, ticks, (2, 5), loop) == expected


def test_a_subscriber_that_fails_stops_neither_the_others_nor_the_change() -> None:
    store = Store(State(frame_count=10))
    heard: list[int] = []

    def fails(state: State, changed: frozenset[str]) -> None:
        raise RuntimeError("its page has just closed")

    store.subscribe(fails)
    store.subscribe(lambda state, changed: heard.append(state.frame))
    store.set(frame=3)
    assert heard == [3]
