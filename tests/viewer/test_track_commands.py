"""Commands that select and mend tracks, and the log of edits behind them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_diagnosis import made_diagnosis
from no_edits import no_edits
from tiny_capture import FRAMES, cameras

from trackersplat.captures.capture import Capture
from trackersplat.diagnosis.categories import Category, TrackState
from trackersplat.edits.log import read_log
from trackersplat.edits.registry import make_edit
from trackersplat.errors import InputError
from trackersplat.events import FrameDone
from viewer import history
from viewer.commands.act import REMEDIES, remedies
from viewer.commands.registry import COMMANDS, by_hotkey
from viewer.edit_log import RunEdits
from viewer.state import Pane, Shared, Store, View
from viewer.tab import Tab
from viewer.views.table import TrackList


def done(frame: int) -> FrameDone:
    return FrameDone(frame, None if frame == 0 else frame - 1, {}, {}, 10, 1.0, 0.0, {})


def made() -> TrackList:
    """Track 2 drifts in frames 3 and 4 of 6, track 5 (row 1 of the second camera) is occluded in frame 1; the others are good."""
    whole = made_diagnosis(cameras()[:2], FRAMES, 4, failing=0.0)
    score, category = np.zeros((FRAMES, 8), np.float32), np.zeros((FRAMES, 8), np.uint8)
    score[3:5, 1], category[3:5, 1] = (0.7, 0.9), Category.DRIFT
    score[1, 5], category[1, 5] = 0.8, Category.OCCLUSION
    state = np.full((FRAMES, 8), TrackState.VISIBLE, np.uint8)
    ids = np.arange(1, 9, dtype=np.int64)
    position = np.tile(np.arange(8, dtype=np.float32)[None, :, None] * 5, (FRAMES, 1, 2))
    return TrackList(replace(whole, ids=ids, score=score, category=category, state=state, position=position))


class Desk:
    """A tab on a run folder with a made diagnosis, and nothing else."""

    def __init__(self, capture: Capture, run: Path, tracks: TrackList | None) -> None:
        self.store = Store(
            Shared(FRAMES, run=run, out=run, reconstructed=tuple(range(FRAMES)), records={f: done(f) for f in range(FRAMES)})
        )
        self.store.open_tab("t", View(panes=(Pane(3), Pane(2))))
        self.why_fixed: str | None = None
        self.edits = RunEdits(self.store, lambda run: self.why_fixed)
        runs = SimpleNamespace(get=lambda path: SimpleNamespace(settings={"tracker": "dis"}))
        document: Any = SimpleNamespace(
            capture=capture,
            framing=SimpleNamespace(extent=1.0),
            store=self.store,
            edits=self.edits,
            editing=no_edits(),
            runs=runs,
            tracks=lambda path=None: tracks,
            diagnosing=None,
        )
        self.tab = Tab("t", self.store, document)

    @property
    def view(self) -> View:
        return self.tab.view

    def entries(self) -> list[tuple[str, dict[str, Any]]]:
        assert self.store.shared.run is not None
        return [(entry.kind, entry.edit.to_json()) for entry in read_log(self.store.shared.run).active]


@pytest.fixture
def desk(small_capture: Capture, tmp_path: Path) -> Desk:
    return Desk(small_capture, tmp_path, made())


def test_the_next_failure_is_selected_shown_at_its_worst_frame_in_its_camera_and_the_best_other_one(desk: Desk) -> None:
    desk.tab.do("selection.next")
    assert (desk.view.tracks, desk.view.frame) == ((2,), 4)
    assert desk.view.panes[0].camera == 0
    assert desk.view.panes[1].camera != 0
    assert desk.view.flight is not None
    assert desk.view.flight.look_at == pytest.approx(made().diagnosis.world[4, 1].tolist())
    desk.tab.do("selection.next")
    assert (desk.view.tracks, desk.view.frame, desk.view.panes[0].camera) == ((6,), 1, 1)
    desk.tab.do("selection.previous")
    assert desk.view.tracks == (2,)
    assert desk.store.shared.problems == ()


def test_failures_that_the_filter_hides_are_passed_over(desk: Desk) -> None:
    desk.tab.do("selection.categories", category=Category.OCCLUSION)
    desk.tab.do("selection.next")
    assert desk.view.tracks == (6,)
    desk.tab.do("selection.filter", text="cam00")
    desk.tab.do("selection.next")
    assert desk.store.shared.problems == (("command selection.next", "No track fails that the filter of the table lets through."),)


def test_a_category_is_chosen_and_left_out_again_and_none_means_all(desk: Desk) -> None:
    desk.tab.do("selection.categories", category=3)
    desk.tab.do("selection.categories", category=2)
    assert desk.view.categories == (2, 3)
    desk.tab.do("selection.categories", category=3)
    assert desk.view.categories == (2,)
    desk.tab.do("selection.categories")
    assert desk.view.categories == ()


def test_growing_adds_neighbours_and_all_of_a_category_can_be_selected(desk: Desk) -> None:
    desk.tab.do("selection.grow")
    assert desk.store.shared.problems[0][1].startswith("No track is selected")
    desk.tab.do("selection.set", tracks=[2])
    desk.tab.do("selection.grow")
    assert desk.view.tracks == (1, 3, 4, 2)
    assert desk.store.shared.problems == ()
    desk.tab.do("selection.category", category=Category.DRIFT)
    assert desk.view.tracks == (2,)
    desk.tab.do("selection.clear")
    assert desk.view.tracks == ()


def test_without_a_diagnosis_commands_say_what_is_done_about_it(small_capture: Capture, tmp_path: Path) -> None:
    desk = Desk(small_capture, tmp_path, None)
    desk.store.set(diagnosing="Diagnosing the tracks: frame 3 (3 of 6) …")
    desk.tab.do("selection.next")
    assert desk.store.shared.problems == (("command selection.next", "Diagnosing the tracks: frame 3 (3 of 6) …"),)


def test_every_action_is_an_entry_of_the_log(desk: Desk) -> None:
    desk.tab.do("selection.set", tracks=[5, 2])
    desk.tab.set(frame=3)
    desk.tab.do("act.retrack_forward")
    desk.tab.do("act.retrack_backward", tracker="dis")
    desk.tab.do("act.end")
    desk.tab.do("act.drop_view")
    desk.tab.do("act.drop_camera", camera="cam03")
    desk.tab.do("act.correct", camera=1, x=10.5, y=20.0)
    desk.tab.do("act.reseed")
    desk.tab.do("act.rerun")
    assert desk.store.shared.problems == ()
    assert desk.entries() == [
        ("retrack", {"tracks": [5, 2], "frame": 4, "tracker": "dis", "direction": "forward"}),
        ("retrack", {"tracks": [5, 2], "frame": 4, "tracker": "dis", "direction": "backward", "at": [[20.0, 20.0], [5.0, 5.0]]}),
        ("end_track", {"tracks": [5, 2], "frame": 4}),
        ("drop_view", {"camera": "cam00", "frames": "4:5"}),
        ("drop_camera", {"camera": "cam03", "frame": 1}),
        ("correct_point", {"track": 2, "camera": "cam01", "frame": 4, "x": 10.5, "y": 20.0, "deviation": 0.25}),
        ("reseed", {"camera": "cam03", "frame": 4}),
        ("rerun", {"frames": "4:5"}),
    ]
    assert desk.store.shared.edits == 8
    assert desk.store.shared.stale == frozenset(range(FRAMES))


def test_undo_and_redo_move_the_cursor_and_make_frames_fresh_and_stale_again(desk: Desk) -> None:
    desk.tab.do("act.rerun", first=2, last=3)
    assert desk.store.shared.stale == frozenset({2, 3, 4, 5})  # each frame is made from the one before
    desk.tab.do("act.undo")
    assert desk.entries() == []
    assert desk.store.shared.stale == frozenset()
    assert COMMANDS["act.undo"].enabled(desk.tab) == "There is no edit to undo."
    desk.tab.do("act.undo")
    assert desk.store.shared.problems == (("command act.undo", "There is no edit to undo."),)
    desk.tab.do("act.redo")
    assert [kind for kind, _ in desk.entries()] == ["rerun"]
    assert desk.store.shared.stale == frozenset({2, 3, 4, 5})


def test_the_range_between_in_and_out_point_is_run_again(desk: Desk) -> None:
    desk.tab.set(first=1, last=None)
    desk.tab.do("act.rerun")
    assert desk.entries() == [("rerun", {"frames": f"2:{FRAMES}"})]


def test_edits_are_there_again_when_the_run_is_shown_and_a_damaged_log_is_told(desk: Desk, tmp_path: Path) -> None:
    desk.tab.do("act.rerun", first=0)
    again = Desk(desk.tab.document.capture, tmp_path, made())
    again.store.set(revision=1)
    assert [entry.kind for entry in again.edits.log.active] == ["rerun"]
    assert again.store.shared.stale == frozenset(range(FRAMES))
    (tmp_path / "edits.json").write_text("{")
    again.store.set(revision=2)
    assert again.store.shared.problems[0][0] == "edits"
    assert again.edits.log.active == ()


def test_the_run_of_the_program_itself_is_not_edited(small_capture: Capture) -> None:
    from trackersplat.captures.demo import demo_run

    desk = Desk(small_capture, demo_run(), made())
    desk.tab.do("act.rerun", first=0)
    assert "is not edited" in desk.store.shared.problems[0][1]
    assert not (demo_run() / "edits.json").exists()


def test_the_tracks_of_a_run_whose_frames_cannot_be_made_again_are_not_edited_but_edits_that_are_there_can_be_undone(desk: Desk) -> None:
    desk.tab.do("act.rerun", first=0)
    desk.why_fixed = "It does not say by which settings it was made."
    desk.tab.do("act.rerun", first=1)
    said = desk.store.shared.problems[0][1]
    assert said.startswith(
        "It does not say by which settings it was made. Its frames cannot be made again, so its tracks cannot be edited:"
    )
    assert len(desk.entries()) == 1
    desk.tab.do("act.undo")
    assert desk.entries() == []


def test_why_a_command_was_refused_is_told_once_and_is_no_problem_any_more_when_something_else_is_done(desk: Desk) -> None:
    desk.tab.do("selection.grow")
    desk.tab.do("selection.grow")
    number, sentence = desk.view.refusal
    assert (number, sentence) == (2, "No track is selected: click one in the table or in a picture first.")
    assert desk.store.shared.problems == (("command selection.grow", sentence),)
    desk.tab.do("time.next")
    assert desk.store.shared.problems == ()
    assert desk.view.refusal[0] == 2


def test_what_failed_stays_a_problem_until_it_succeeds(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(tab: object) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setitem(COMMANDS, "time.first", replace(COMMANDS["time.first"], run=fail))
        desk.tab.do("time.first")
    desk.tab.do("time.next")
    assert "the disk is gone" in desk.store.shared.problems[0][1]
    assert "the disk is gone" in desk.view.refusal[1]
    desk.tab.do("time.first")
    assert desk.store.shared.problems == ()


def test_the_history_calls_tracks_as_the_table_does(desk: Desk) -> None:
    camera, first, cell = 3, 0, 57
    identity = (camera << 40) + (first << 20) + cell
    tracks = made()
    named = TrackList(replace(tracks.diagnosis, ids=np.concatenate([tracks.diagnosis.ids[:-1], [identity]])))
    desk.tab.document.tracks = lambda path=None: named  # type: ignore[assignment]
    desk.edits.add([make_edit("retrack", {"tracks": [identity], "frame": 2, "tracker": "dis", "direction": "forward"})])
    name = named.names[-1]
    assert name.endswith(f".{first + 1}.{cell}")
    assert [step.label for step in history.steps(desk.tab.document)] == [f"Re-track {name} from frame 2 by dis"]


def test_numbers_in_the_history_that_only_look_like_a_track_stay(desk: Desk) -> None:
    tracks = made()
    first = [2, 3, (3 << 40) + 57]  # the ids of camera 0 in frame 1 are the numbers of cells
    named = TrackList(replace(tracks.diagnosis, ids=np.concatenate([np.arange(2, 2 + len(tracks.diagnosis.ids) - 1), first[2:]])))
    desk.tab.document.tracks = lambda path=None: named  # type: ignore[assignment]
    desk.edits.add([make_edit("retrack", {"tracks": [2], "frame": 2, "tracker": "dis", "direction": "forward"})])
    desk.edits.add([make_edit("end_track", {"tracks": first, "frame": 4})])
    labels = [step.label for step in history.steps(desk.tab.document)]
    assert named.names[named.row_of[2]] != "2"
    assert labels == [f"Re-track {named.names[named.row_of[2]]} from frame 2 by dis", "End 3 tracks at frame 4"]


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        (Category.DRIFT, [("retrack", {"tracks": [2], "frame": 3, "tracker": "dis", "direction": "forward"}),
                          ("retrack", {"tracks": [6], "frame": 1, "tracker": "dis", "direction": "forward"})]),
        (Category.LEFT_IMAGE, [("end_track", {"tracks": [6], "frame": 2}), ("end_track", {"tracks": [2], "frame": 4})]),
        (Category.BAD_CAMERA, [("drop_camera", {"camera": "cam00", "frame": 1}), ("drop_camera", {"camera": "cam01", "frame": 1})]),
        (Category.GEOMETRY, [("rerun", {"frames": "2"}), ("rerun", {"frames": "4:5"})]),
        (Category.FEW_VIEWS, []),
    ],
)  # fmt: skip
def test_what_helps_a_category_is_made_of_one_edit_per_frame_camera_or_span(
    category: Category, expected: list[tuple[str, dict[str, Any]]]
) -> None:
    found = [(edit.kind, edit.to_json()) for edit in remedies(made(), [1, 5], category, "dis")]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert bool(found) == (category in REMEDIES)


def test_spans_that_touch_are_run_again_once() -> None:
    tracks = made()
    tracks.diagnosis.score[5, 5], tracks.diagnosis.score[1, 5] = 0.8, 0.0
    tracks.diagnosis.category[5, 5] = Category.GEOMETRY
    assert [edit.to_json() for edit in remedies(tracks, [1, 5], Category.GEOMETRY, "dis")] == [{"frames": "4:6"}]


def test_nothing_is_written_for_a_category_without_an_edit(desk: Desk) -> None:
    desk.tab.do("act.remedy", category=Category.FEW_VIEWS)
    assert desk.store.shared.problems[0][1].startswith("Nothing can be done about too few views by an edit.")
    assert desk.entries() == []


def test_hotkeys_are_free_of_conflicts() -> None:
    keys = by_hotkey()
    assert keys["n"].name == "selection.next"
    assert keys["ctrl+shift+z"].name == "act.redo"


def test_a_track_that_is_not_there_is_named(desk: Desk) -> None:
    with pytest.raises(InputError, match="There is no track 77 in this run"):
        COMMANDS["selection.open"].run(desk.tab, track=77)
