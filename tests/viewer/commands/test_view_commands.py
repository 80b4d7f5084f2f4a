"""Commands about time, cameras and marks, on a tab without a page."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from viewer.state import Pane, Shared, Store, View
from viewer.tab import Tab


@pytest.fixture
def tab() -> Tab:
    store = Store(Shared(frame_count=40, run=Path("run"), reconstructed=(0, 1, 2, 7, 9)))
    store.open_tab("t", View(frame=2))
    return Tab("t", store, SimpleNamespace(capture=SimpleNamespace(cameras=range(5))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "frame"),
    [
        ("time.next", 3), ("time.previous", 1), ("time.next10", 12), ("time.previous10", 0), ("time.first", 0), ("time.last", 39),
        ("time.next_done", 7), ("time.previous_done", 1),
    ],
)  # fmt: skip
def test_steps_stop_playing_and_stay_within_the_capture(tab: Tab, command: str, frame: int) -> None:
    tab.set(playing=True)
    tab.do(command)
    assert (tab.view.frame, tab.view.playing) == (frame, False)


def test_play_begins_anew_at_the_end_of_what_is_played(tab: Tab) -> None:
    tab.set(frame=9)
    tab.do("time.play")
    assert (tab.view.frame, tab.view.playing) == (0, True)
    tab.do("time.play")
    assert not tab.view.playing
    tab.set(first=3, last=6, frame=4)
    tab.do("time.play")
    assert (tab.view.frame, tab.view.playing) == (4, True)


def test_in_and_out_points_never_cross(tab: Tab) -> None:
    tab.do("time.out")
    tab.set(frame=5)
    tab.do("time.in")
    assert (tab.view.first, tab.view.last) == (5, None)
    tab.set(frame=8)
    tab.do("time.out")
    assert (tab.view.first, tab.view.last) == (5, 8)
    tab.do("time.no_range")
    assert (tab.view.first, tab.view.last) == (None, None)


def test_speeds_end_at_the_slowest_and_the_fastest(tab: Tab) -> None:
    for _ in range(9):
        tab.do("time.faster")
    assert tab.view.speed == 4.0
    for _ in range(9):
        tab.do("time.slower")
    assert tab.view.speed == 0.25


def test_cameras_go_round_and_new_panes_show_others(tab: Tab) -> None:
    tab.do("camera.previous")
    assert tab.view.panes[0].camera == 4
    tab.do("panes.3")
    assert [pane.camera for pane in tab.view.panes] == [4, 0, 1]
    tab.do("panes.activate", pane=2)
    tab.do("camera.next")
    assert [pane.camera for pane in tab.view.panes] == [4, 0, 2]
    tab.do("panes.1")
    assert (len(tab.view.panes), tab.view.active) == (1, 0)


def test_one_key_compares_and_ends_it_and_a_channel_ends_it_too(tab: Tab) -> None:
    tab.do("camera.channel", channel="depth")
    tab.do("camera.wipe")
    assert (tab.view.panes[0].compare, tab.view.panes[0].channel) == ("wipe", "colour")
    tab.do("camera.wipe")
    assert tab.view.panes[0].compare == "render"
    tab.do("camera.error")
    tab.do("camera.channel_motion")
    assert (tab.view.panes[0].compare, tab.view.panes[0].channel) == ("render", "motion")


def test_another_run_is_compared_with_only_where_there_is_one(tab: Tab) -> None:
    for command in ("camera.other", "camera.against"):
        tab.do(command)
        assert tab.view.panes == (Pane(),)
        assert "no other run" in tab.shared.problems[-1][1]
    tab.store.set(other=Path("other"))
    tab.do("camera.against")
    tab.do("camera.other")
    assert tab.view.panes == (Pane(compare="other", against_run=True),)
    assert tab.shared.problems == ()


def test_marks_are_shown_or_not_and_arrows_have_a_length(tab: Tab) -> None:
    tab.do("marks.show", mark="rendered")
    tab.do("marks.show", mark="playing")
    assert (tab.view.measured, tab.view.reprojected, tab.view.rendered, tab.view.playing) == (True, True, False, False)
    found = []
    for _ in range(4):
        tab.do("marks.residual")
        found.append(tab.view.residual_scale)
    assert found == [5.0, 20.0, 0.0, 1.0]
    tab.do("marks.residual", factor=3.0)
    assert tab.view.residual_scale == 1.0
    tab.set(panes=(Pane(0), Pane(1, overlay=False)))
    tab.do("panes.overlay")
    assert [pane.overlay for pane in tab.view.panes] == [False, False]
