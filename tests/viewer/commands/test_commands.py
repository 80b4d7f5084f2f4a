"""Commands about jobs, runs and notes, on tabs without a page."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from viewer.commands.registry import COMMANDS
from viewer.jobs import Options
from viewer.notes import Notes
from viewer.plan import Plan, Target
from viewer.state import Pane, Shared, Store, View
from viewer.tab import Tab


class Work:
    """A reconstruction that notes what it is asked for."""

    def __init__(self) -> None:
        self.added: list[Plan] = []
        self.tasks: tuple[Any, ...] = ()
        self.current: Any = None
        self.held = False
        self.warning = ""
        self.calls: list[str] = []

    def target(self, path: Path | None = None) -> Target:
        return Target(path or Path("out"))

    def plan(self, asked: tuple[int, int], target: Target, options: Options) -> Plan:
        return Plan(asked, target, options, tuple(range(asked[0], asked[1] + 1)), warning=self.warning)

    def plan_again(self) -> Plan:
        return Plan((0, 9), self.target(), Options(), (3, 4), redo=True)

    def add(self, plan: Plan) -> None:
        self.added.append(plan)

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")

    def cancel(self, number: int | None = None) -> None:
        self.calls.append(f"cancel {number}")


@pytest.fixture
def tab(tmp_path: Path) -> Tab:
    runs = (tmp_path / "a", tmp_path / "b")
    store = Store(Shared(frame_count=10, out=runs[0], run=runs[0], runs=runs))
    store.open_tab("t", View(frame=4))
    document = SimpleNamespace(
        reconstruction=Work(),
        arguments=SimpleNamespace(backend="portable", pipeline=None),
        notes=Notes(store),
        check=SimpleNamespace(state=SimpleNamespace(running=False)),
        shown=[],
    )
    document.show_run = document.shown.append
    return Tab("t", store, document)  # type: ignore[arg-type]


def work(tab: Tab) -> Work:
    found = tab.document.reconstruction
    assert isinstance(found, Work)
    return found


def said(tab: Tab) -> list[str]:
    return [sentence for _, sentence in tab.shared.problems]


def test_this_frame_the_range_and_all_are_reconstructed(tab: Tab) -> None:
    tab.do("job.frame")
    tab.set(first=2)
    tab.do("job.range")
    tab.do("job.all")
    tab.do("job.run", first=1, last=3)
    assert [plan.asked for plan in work(tab).added] == [(4, 4), (2, 9), (0, 9), (1, 3)]
    assert work(tab).added[0].options == Options("portable")
    assert said(tab) == []


def test_frames_that_edits_have_made_out_of_date_are_reconstructed_if_there_are_any(tab: Tab) -> None:
    command = COMMANDS["job.stale"]
    assert command.enabled is not None
    assert command.enabled(tab) == "No frame is out of date."
    tab.store.set(stale=frozenset({3, 4}))
    assert command.enabled(tab) is None
    tab.do("job.stale")
    assert [(plan.frames, plan.redo) for plan in work(tab).added] == [((3, 4), True)]


def test_what_is_likely_not_meant_is_asked_first(tab: Tab) -> None:
    work(tab).warning = "It would be fitted from scratch."
    tab.do("job.frame")
    assert work(tab).added == []
    assert (tab.view.inspector, said(tab)) == ("reconstruct", ["It would be fitted from scratch. Choose in the panel Run."])
    tab.do("job.run", first=4, last=4, sure=True)
    assert len(work(tab).added) == 1


def test_one_key_pauses_and_resumes(tab: Tab) -> None:
    work(tab).current = SimpleNamespace(state="running")
    tab.do("job.pause")
    work(tab).current = SimpleNamespace(state="paused")
    tab.do("job.pause")
    tab.do("job.cancel")
    assert work(tab).calls == ["pause", "resume", "cancel None"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("job.range", "No in or out point"),
        ("job.pause", "No reconstruction is at work"),
        ("job.cancel", "No reconstruction is at work"),
        ("job.log", "No reconstruction was started"),
        ("job.go_on", "Nothing waits"),
        ("check.cancel", "No check"),
        ("run.swap", "No other run"),
        ("notes.flag_track", "No track is selected"),
        ("notes.next", "No frame is flagged"),
    ],
)
def test_a_command_that_cannot_be_run_says_why(tab: Tab, name: str, why: str) -> None:
    reason = COMMANDS[name].enabled(tab)
    assert reason is not None
    assert why in reason


def test_a_run_is_shown_and_compared_with(tab: Tab) -> None:
    first, second = tab.shared.runs
    tab.do("run.compare", path=str(second))
    assert tab.shared.other == second
    tab.do("run.swap")
    assert (tab.shared.other, tab.document.shown) == (first, [second])  # type: ignore[attr-defined]
    tab.set(panes=(Pane(0, "other"), Pane(1, "error")))
    tab.do("run.alone")
    assert tab.shared.other is None
    assert [pane.compare for pane in tab.view.panes] == ["render", "error"]
    tab.do("run.compare", path=first)
    assert tab.shared.other is None  # with itself
    tab.do("run.show", path="/etc")
    assert "no run /etc" in said(tab)[0]


def test_a_frame_is_flagged_and_found_again(tab: Tab) -> None:
    tab.do("notes.flag")
    tab.set(frame=7)
    tab.do("notes.flag")
    tab.set(frame=0)
    tab.do("notes.next")
    assert tab.view.frame == 4
    tab.do("notes.next")
    assert tab.view.frame == 7
    tab.do("notes.previous")
    assert tab.view.frame == 4
    tab.set(tracks=(12,))
    tab.do("notes.flag_track")
    tab.do("notes.write", text="drifts", track=12)
    assert tab.document.notes.get(4, 12).text == "drifts"
    tab.do("notes.remove", frame=4, track=12)
    assert tab.document.notes.flagged() == {4, 7}


def test_dialogs_and_panels_open_and_close(tab: Tab) -> None:
    tab.do("help.palette")
    assert tab.view.dialog == "palette"
    tab.do("help.keys")
    assert tab.view.dialog == "keys"
    tab.do("help.keys")
    assert tab.view.dialog == ""
    tab.do("panel.quality")
    assert tab.view.inspector == "quality"
