"""Flags and notes: kept beside the run, exported as a table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trackersplat.captures.demo import demo_run
from trackersplat.errors import InputError
from viewer.notes import LONGEST, Note, Notes
from viewer.state import Shared, Store
from viewer.web import Web


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Shared(frame_count=30, out=tmp_path / "output" / "demo", run=tmp_path / "output" / "demo"))


def test_a_flag_is_set_and_taken_away_and_the_project_is_told(store: Store) -> None:
    notes = Notes(store)
    notes.toggle(4)
    assert notes.all() == (Note(4, None, True),)
    assert (notes.flagged(), store.shared.notes) == ({4}, 1)
    notes.toggle(4)
    assert (notes.all(), store.shared.notes) == ((), 2)


def test_notes_are_there_again_when_the_page_is_opened_again(store: Store, tmp_path: Path) -> None:
    notes = Notes(store)
    notes.write(9, 123, " drifts <b>here</b> ")
    notes.write(9, None, "blurred")
    notes.toggle(9)
    again = Notes(store)
    assert again.all() == (Note(9, None, True, "blurred"), Note(9, 123, False, "drifts <b>here</b>"))
    file = tmp_path / "output" / "demo.notes.json"
    assert [entry["frame"] for entry in json.loads(file.read_text())["notes"]] == [10, 10]  # people count from 1
    again.remove(9)
    again.write(9, 123, "")
    assert Notes(store).all() == ()


def test_every_run_has_notes_of_its_own(store: Store, tmp_path: Path) -> None:
    notes = Notes(store)
    notes.toggle(1)
    store.set(run=tmp_path / "output" / "demo-2")
    assert notes.all() == ()
    notes.toggle(2)
    store.set(run=tmp_path / "output" / "demo")
    assert notes.flagged() == {1}


def test_the_notes_of_the_bundled_run_are_where_results_go(store: Store, tmp_path: Path) -> None:
    store.set(run=demo_run())
    assert Notes(store).path() == tmp_path / "output" / "demo-run.notes.json"


def test_without_a_run_there_is_nowhere_to_keep_a_note() -> None:
    notes = Notes(Store(Shared(frame_count=3)))
    assert notes.all() == ()
    with pytest.raises(InputError, match="no run yet"):
        notes.toggle(0)


def test_the_table_has_frames_from_one_and_no_formula(store: Store) -> None:
    notes = Notes(store)
    notes.toggle(0)
    notes.write(2, 7, '=HYPERLINK("x")')
    notes.write(3, None, 'a, "b"\nc')
    rows = list(csv.reader(notes.csv().splitlines(keepends=True)))
    assert rows == [
        ["frame", "track", "flag", "note"],
        ["1", "", "1", ""],
        ["3", "7", "0", '\'=HYPERLINK("x")'],
        ["4", "", "0", 'a, "b"\nc'],
    ]


@pytest.mark.parametrize(
    "data",
    [
        "no json",
        "[]",
        {"format": 2, "notes": []},
        {"format": 1, "notes": "x"},
        {"format": 1, "notes": [{"frame": 0, "track": None, "flag": True, "text": ""}]},
        {"format": 1, "notes": [{"frame": True, "track": None, "flag": True, "text": ""}]},
        {"format": 1, "notes": [{"frame": 1, "track": -1, "flag": True, "text": ""}]},
        {"format": 1, "notes": [{"frame": 1e9, "track": None, "flag": True, "text": ""}]},
        {"format": 1, "notes": [{"frame": 1, "track": None, "flag": "yes", "text": ""}]},
        {"format": 1, "notes": [{"frame": 1, "track": None, "flag": True, "text": ["x"]}]},
        {"format": 1, "notes": [7]},
    ],
)
def test_a_damaged_file_is_a_sentence_and_is_not_written_over(store: Store, tmp_path: Path, data: Any) -> None:
    file = tmp_path / "output" / "demo.notes.json"
    file.parent.mkdir()
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    before = file.read_text()
    notes = Notes(store)
    assert notes.all() == ()
    assert "demo.notes.json" in store.shared.problems[0][1]
    with pytest.raises(InputError):
        notes.toggle(1)
    assert file.read_text() == before


def test_a_note_that_is_too_long_or_cannot_be_written_changes_nothing(store: Store, tmp_path: Path) -> None:
    notes = Notes(store)
    with pytest.raises(InputError, match="at most 2000 characters"):
        notes.write(1, None, "x" * (LONGEST + 1))
    (tmp_path / "output").write_text("a file in the place of the folder")
    with pytest.raises(InputError, match="cannot be written"):
        notes.toggle(1)
    assert notes.all() == ()
    assert store.shared.notes == 0


def test_the_download_is_a_file_of_one_fixed_name(store: Store) -> None:
    notes = Notes(store)
    notes.toggle(0)
    page = SimpleNamespace(_document=SimpleNamespace(notes=notes))
    answer = Web._notes(page)  # type: ignore[arg-type]
    assert answer.headers["content-disposition"] == 'attachment; filename="notes.csv"'
    assert answer.body == b"frame,track,flag,note\n1,,1,\n"
