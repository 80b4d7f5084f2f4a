"""The log of edits: what is kept, undone, redone, refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trackersplat.edits import log as logs
from trackersplat.edits.edit import Edit
from trackersplat.edits.frame_range import FrameRange
from trackersplat.edits.kinds.correct_point import CorrectPoint
from trackersplat.edits.kinds.drop_camera import DropCamera
from trackersplat.edits.kinds.drop_view import DropView
from trackersplat.edits.kinds.end_track import EndTrack
from trackersplat.edits.kinds.rerun import Rerun
from trackersplat.edits.kinds.reseed import Reseed
from trackersplat.edits.kinds.retrack import Retrack
from trackersplat.edits.log import EDITS_FILE, EditLog, change_log, read_log
from trackersplat.edits.registry import EDITS, make_edit
from trackersplat.errors import InputError

NOW = datetime(2026, 11, 3, 12, 30, tzinfo=UTC)
ONE_OF_EACH: tuple[Edit, ...] = (
    DropView("cam01", FrameRange(2, 6)),
    DropCamera("cam02", 3),
    CorrectPoint(7, "cam01", 4, 10.25, 20.5),
    Retrack(None, 4, "dis"),
    Retrack((9, 7), 5, "dis", "backward", 2, ((1.5, 2.5), (3.0, 4.0))),
    Reseed("cam01", 4),
    Reseed("cam01", 4, ((1.5, 2.5),), 8.0),
    EndTrack((7, 9), 5),
    Rerun(FrameRange(1, 3)),
)


def filled(*edits: Edit) -> EditLog:
    log = EditLog()
    for edit in edits:
        log = log.added(edit, NOW)
    return log


def test_a_log_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_log(tmp_path) == EditLog()
    for edit in ONE_OF_EACH:
        change_log(tmp_path, lambda log, edit=edit: log.added(edit, NOW))
    change_log(tmp_path, EditLog.undone)
    found = read_log(tmp_path)
    assert found == filled(*ONE_OF_EACH).undone()
    assert [entry.edit for entry in found.entries] == list(ONE_OF_EACH)
    assert found.edits == ONE_OF_EACH[:-1]
    assert {entry.kind for entry in found.entries} == set(EDITS.names())
    assert [path.name for path in tmp_path.iterdir()] == [EDITS_FILE]


def test_every_edit_is_read_from_its_own_arguments_and_from_text() -> None:
    for edit in ONE_OF_EACH:
        values = edit.to_json()
        assert make_edit(edit.kind, values) == edit
        assert make_edit(edit.kind, json.loads(json.dumps(values))) == edit
    assert make_edit("correct_point", {"track": "7", "camera": "cam01", "frame": "5", "x": "10.25", "y": "20.5"}) == ONE_OF_EACH[2]
    spoken = {"tracks": "9,7", "frame": "6", "tracker": "dis", "direction": "backward", "last": "3", "at": "1.5,2.5;3,4"}
    assert make_edit("retrack", spoken) == ONE_OF_EACH[4]


def test_undo_and_redo_move_the_cursor_and_a_new_entry_removes_what_is_undone() -> None:
    first, second, third = ONE_OF_EACH[:3]
    log = filled(first, second)
    assert (log.can_undo, log.can_redo) == (True, False)
    undone = log.undone()
    assert (undone.edits, len(undone.entries)) == ((first,), 2)
    assert undone.redone() == log
    assert undone.added(third, NOW) == filled(first, third)
    assert undone.undone().edits == ()
    with pytest.raises(InputError, match="no edit to undo"):
        undone.undone().undone()
    with pytest.raises(InputError, match="no undone edit"):
        log.redone()


def test_a_log_has_a_bound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(logs, "MOST_ENTRIES", 2)
    log = filled(*ONE_OF_EACH[:2])
    with pytest.raises(InputError, match="has 2 edits"):
        log.added(ONE_OF_EACH[2], NOW)
    assert log.undone().added(ONE_OF_EACH[2], NOW).position == 2
    monkeypatch.setattr(logs, "JSON_LIMIT", 100)
    change_log(tmp_path, lambda _: EditLog())
    with pytest.raises(InputError, match="more than 100 bytes"):
        change_log(tmp_path, lambda _: log)
    assert read_log(tmp_path) == EditLog()


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("paint", {}, "no edit named 'paint'"),
        ("drop_view", {}, "needs the argument camera"),
        ("drop_view", {"camera": "a", "frames": "5:3"}, "no range"),
        ("drop_view", {"camera": "a", "frames": "0"}, "not understood"),
        ("drop_view", {"camera": "a", "until": 3}, "no argument 'until'"),
        ("drop_view", {"camera": "a\n"}, "expected a name"),
        ("correct_point", {"track": 1, "camera": "a", "frame": 1, "x": "nan", "y": 1}, "x is 'nan', expected a number"),
        ("correct_point", {"track": -1, "camera": "a", "frame": 1, "x": 1, "y": 1}, "track is '-1'"),
        ("end_track", {"tracks": [], "frame": 1}, "expected ids of tracks"),
        ("end_track", {"tracks": [1], "frame": 0}, "frame is '0'"),
        ("retrack", {"tracks": "all", "frame": 3, "tracker": "none"}, "no tracker named 'none'"),
        ("retrack", {"tracks": "all", "frame": 3, "tracker": "mvtracker"}, "the tracker mvtracker wants depths"),
        ("retrack", {"tracks": "all", "frame": 3, "tracker": "file"}, "the tracker file wants a file"),
        ("retrack", {"tracks": "all", "frame": 3, "tracker": "dis", "direction": "backward"}, "needs the ids"),
        ("retrack", {"tracks": [1], "frame": 3, "tracker": "dis", "direction": "backward"}, "one pixel per track in frame 3"),
        ("retrack", {"tracks": [1], "frame": 3, "tracker": "dis", "last": 3}, "expected one after frame 3"),
        ("reseed", {"camera": "a", "frame": 3, "pixels": "1,2,3"}, "expected pixels"),
    ],
)
def test_arguments_that_are_wrong_are_named(kind: str, values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_edit(kind, values)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format": 2}, "has format 2"),
        ({"cursor": 3}, "cursor '3', expected 0 to 2"),
        ({"cursor": True}, "cursor 'True'"),
        ({"entries": {}}, "no list"),
        ({"entries": [{}, {}]}, "entry 1 is damaged"),
    ],
)
def test_a_damaged_log_is_named_and_says_what_to_do(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    data = {**filled(*ONE_OF_EACH[:2]).to_json(), **changed}
    (tmp_path / EDITS_FILE).write_text(json.dumps(data))
    with pytest.raises(InputError, match=said) as found:
        read_log(tmp_path)
    assert str(tmp_path / EDITS_FILE) in str(found.value)
    assert "remove it to undo all edits" in str(found.value)


def test_an_entry_of_an_unknown_kind_is_refused_with_its_number(tmp_path: Path) -> None:
    data = filled(*ONE_OF_EACH[:2]).to_json()
    data["entries"][1]["kind"] = "paint"
    (tmp_path / EDITS_FILE).write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"entry 2 is damaged .*no edit named 'paint'"):
        read_log(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(("format", "cursor", "entries", "kind", "arguments", "label", "time", "frame", "frames", "tracks", "camera", "at"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, len(ONE_OF_EACH) - 1), where=NAMES, value=JSON, cut=st.none() | st.integers(0, 400))
def test_any_other_content_is_read_or_refused_with_the_name_of_the_file(
    tmp_path: Path, which: int, where: str, value: Any, cut: int | None
) -> None:
    data = filled(*ONE_OF_EACH[: which + 1]).to_json()
    entry = data["entries"][which]
    for part in (data, entry, entry["arguments"]):
        if where in part:
            part[where] = value
            break
    text = json.dumps(data)
    (tmp_path / EDITS_FILE).write_text(text if cut is None else text[:cut])
    found = read_or_refuse(tmp_path)
    if isinstance(found, str):
        assert EDITS_FILE in found
    else:
        assert 0 <= found.position <= len(found.entries)
        assert all(isinstance(entry.edit.label, str) for entry in found.entries)


def read_or_refuse(run: Path) -> EditLog | str:
    """The log, or what is said about it."""
    try:
        return read_log(run)
    except InputError as error:
        return str(error)
