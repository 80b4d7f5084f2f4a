"""The store of the page: the project and the views of its tabs."""

from __future__ import annotations

from pathlib import Path

import pytest

from viewer.state import Draft, Pane, Shared, Store, View


def store(*tabs: str) -> Store:
    made = Store(Shared(frame_count=10))
    for tab in tabs:
        made.open_tab(tab, View())
    return made


def test_a_change_is_announced_once_with_the_names_of_the_fields_that_differ() -> None:
    it = store("a")
    heard: list[tuple[str | None, frozenset[str]]] = []
    it.subscribe(lambda tab, changed: heard.append((tab, changed)))
    it.set_view("a", frame=3, playing=False)
    it.set_view("a", frame=3)
    it.set(ready=True, activity="")
    assert heard == [("a", frozenset({"frame"})), (None, frozenset({"ready"}))]


def test_frames_outside_the_capture_are_moved_to_its_ends() -> None:
    it = store("a")
    it.set_view("a", frame=99)
    assert it.view("a").frame == 9
    it.set_view("a", frame=-5)
    assert it.view("a").frame == 0


def test_linked_tabs_share_their_time_and_nothing_else() -> None:
    it = store("a", "b", "own")
    it.set_view("own", linked=False)
    it.set_view("a", frame=4, playing=True, tracks=(7,), panes=(Pane(2),), filter="x", inspector="quality", dialog="keys")
    assert (it.view("b").frame, it.view("b").playing) == (4, True)
    assert it.view("own") == View(linked=False)
    assert it.view("b") == View(frame=4, playing=True)
    it.set_view("own", frame=8)
    assert it.view("a").frame == 4


def test_a_new_tab_joins_the_time_of_the_others() -> None:
    it = store("a")
    it.set_view("a", frame=4, speed=2.0)
    it.open_tab("b", View())
    it.open_tab("c", View(linked=False))
    assert (it.view("b").frame, it.view("b").speed) == (4, 2.0)
    assert it.view("c").frame == 0


def test_a_page_that_goes_in_the_middle_of_a_drag_lets_the_time_go() -> None:
    it = store("a")
    it.set_view("a", frame=3, dragging=True)
    it.attend("a", False)
    assert not it.view("a").dragging


def test_a_closed_tab_is_neither_changed_nor_missed() -> None:
    it = store("a", "b")
    it.close_tab("a")
    it.set_view("a", frame=3)
    assert it.tabs() == ("b",)
    assert it.view("b").frame == 0
    with pytest.raises(KeyError):
        it.view("a")


def test_a_subscriber_may_change_the_state_and_an_unsubscribed_one_hears_nothing() -> None:
    it = store("a")
    seen: list[int] = []

    def clamp(tab: str | None, changed: frozenset[str]) -> None:
        seen.append(it.view("a").frame)
        it.set_view("a", frame=min(it.view("a").frame, 5))

    it.subscribe(clamp)
    it.set_view("a", frame=8)
    assert it.view("a").frame == 5
    assert seen == [8, 5]
    it.unsubscribe(clamp)
    it.set_view("a", frame=9)
    assert it.view("a").frame == 9


def test_a_subscriber_that_fails_stops_neither_the_others_nor_the_change() -> None:
    it = store("a")
    heard: list[int] = []

    def fails(tab: str | None, changed: frozenset[str]) -> None:
        raise RuntimeError("its page has just closed")

    it.subscribe(fails)
    it.subscribe(lambda tab, changed: heard.append(it.view("a").frame))
    it.set_view("a", frame=3)
    assert heard == [3]


def test_problems_are_kept_per_source() -> None:
    it = store()
    it.problem("run", "no run")
    it.problem("picture", "no picture")
    it.problem("run", "still no run")
    assert it.shared.problems == (("picture", "no picture"), ("run", "still no run"))
    it.problem("picture", None)
    it.problem("picture", None)
    assert it.shared.problems == (("run", "still no run"),)


def test_a_counter_grows_by_one() -> None:
    it = store()
    it.grow("job")
    it.grow("job")
    assert (it.shared.job, it.shared.notes) == (2, 0)


@pytest.mark.parametrize(
    ("frame", "reconstructed", "expected"),
    [(4, (), None), (4, (0, 2, 4, 6), 4), (5, (0, 2, 4, 6), 4), (1, (3, 5), 3), (9, (3, 5), 5)],
)
def test_a_missing_frame_is_stood_in_for_by_the_nearest_earlier_else_the_first(
    frame: int, reconstructed: tuple[int, ...], expected: int | None
) -> None:
    assert Shared(frame_count=10, reconstructed=reconstructed).source_of(frame) == expected


def test_a_draft_of_a_frame_is_its_own_source() -> None:
    shared = Shared(frame_count=10, reconstructed=(0,), draft=Draft(4, Path("preview.ply"), 1))
    assert (shared.source_of(4), shared.source_of(5)) == (4, 0)


def test_the_state_of_a_frame_says_first_what_is_happening_to_it() -> None:
    frames = frozenset({1, 2, 3})
    shared = Shared(frame_count=10, working_on=1, failed=frames, stale=frames, reconstructed=(1, 2, 3, 4))
    assert [shared.frame_state(frame) for frame in (1, 2, 4, 5)] == ["running", "failed", "done", "todo"]
    assert Shared(stale=frames, reconstructed=(1,)).frame_state(1) == "stale"


def test_a_page_that_was_closed_is_not_joined_and_all_hear_of_its_going() -> None:
    it = Store(Shared(10))
    it.open_tab("a", View(frame=4, playing=True))
    heard: list[frozenset[str]] = []
    it.subscribe(lambda tab, changed: heard.append(changed) if tab is None else None)
    it.attend("a", False)
    assert heard == [frozenset({"tabs"})]
    it.open_tab("b", View(frame=1))
    assert (it.view("b").frame, it.view("b").playing) == (1, False)
    it.attend("a", True)
    it.open_tab("c", View(frame=1))
    assert it.view("c").playing
    it.close_tab("a")
    it.attend("a", False)  # its page hears of it later
