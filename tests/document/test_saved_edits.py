"""Edits on the disk: killed writers, damage, and random histories. More of them: ``python -m trackersplat.benchmarks.editing``."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from made_scene import CAMERAS, REPLACED, scene_frames

from trackersplat.benchmarks.killed_edits import kill_editors
from trackersplat.benchmarks.made_run import write_made_run
from trackersplat.benchmarks.random_edits import compare_with_replay, differences
from trackersplat.document.document import Document
from trackersplat.document.kinds.hide import Hide
from trackersplat.document.log_file import append_line
from trackersplat.document.scene_edit import Target
from trackersplat.document.selection import Selection
from trackersplat.errors import InputError
from trackersplat.gaussians.lineage import INDEX_BITS


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_made_run(tmp_path / "run", scene_frames(), CAMERAS, REPLACED).path


def hide(document: Document, *ids: int) -> None:
    document.do(Hide(Target.of(Selection.of(ids))))


def test_random_edits_undone_and_redone_are_those_that_are_left(run: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(run, plain)

    def copy(index: int) -> Path:
        return Path(shutil.copytree(plain, tmp_path / f"copy{index}"))

    found = compare_with_replay(run, copy, steps=60, seed=3, every=30)
    assert found.different == []
    assert found.compared == 2
    assert found.done > 30
    assert found.left > 3


def test_two_documents_that_differ_are_told_apart(run: Path, tmp_path: Path) -> None:
    other = Document.open(shutil.copytree(run, tmp_path / "other"))
    hide(other, 3)
    assert differences(Document.open(run), other) == [f"ids of frame {frame}" for frame in range(1, 6)]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
def test_no_edit_is_lost_or_half_applied_when_its_process_is_killed(run: Path) -> None:
    found = kill_editors(run, 5, 3)
    assert (found.kills, found.lost, found.half) == (5, [], [])
    assert found.confirmed > 0


def test_an_incomplete_last_line_is_told_and_written_over(run: Path) -> None:
    document = Document.open(run)
    hide(document, 1)
    hide(document, 2)
    log = run / "document" / "history.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole[:-10])
    again = Document.open(run)
    assert again.history.labels == ("Hide 1 Gaussian in all frames",)
    assert "The last line of" in again.warnings[0]
    hide(again, 3)
    assert again.warnings == ()
    assert len(Document.open(run).history.entries) == 2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: [lines[0], lines[1][:-9] + "}", *lines[2:]], "line 2 is damaged"),
        (lambda lines: lines[1:], "does not begin with its format|line 1, is damaged"),
        (lambda lines: [lines[0].replace('"format":1', '"format":7'), *lines[1:]], "line 1 is damaged"),
    ],
)
def test_a_damaged_log_is_refused_whole(run: Path, damage: object, message: str) -> None:
    document = Document.open(run)
    hide(document, 1)
    hide(document, 2)
    log = run / "document" / "history.jsonl"
    log.write_text("\n".join(damage(log.read_text().splitlines())) + "\n")  # type: ignore[operator]
    with pytest.raises(InputError, match=message):
        Document.open(run)


def test_a_step_without_a_time_is_refused(run: Path) -> None:
    """The page sorts by it."""
    hide(Document.open(run), 1)
    log = run / "document" / "history.jsonl"
    *before, last = (json.loads(line)["entry"] for line in log.read_text().splitlines())
    log.unlink()
    end = 0
    for entry in (*before, {**last, "time": "yesterday"}):
        end = append_line(log, end, entry)
    with pytest.raises(InputError, match="'yesterday' is no time of ISO 8601"):
        Document.open(run)


def test_a_file_that_claims_too_many_gaussians_is_refused_before_they_are_counted_out(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = Selection.of([1, 2, (5 << INDEX_BITS) + 1, (5 << INDEX_BITS) + 2]).packed()
    monkeypatch.setattr("trackersplat.document.selection.MOST_GAUSSIANS", 3)
    with pytest.raises(ValueError, match="more than 3 ids"):
        Selection.unpacked(arrays)


def test_a_selection_file_that_is_missing_damaged_or_exchanged_is_refused(run: Path) -> None:
    document = Document.open(run)
    hide(document, *range(50))
    hide(document, 2)
    first, second = (run / "document" / "selections" / f"{entry.edit.selections[0].key}.npz" for entry in document.history.entries)
    whole = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(InputError, match="its ids are not those that its name stands for"):
        Document.open(run)
    first.write_bytes(whole[:50])
    with pytest.raises(InputError, match="is damaged"):
        Document.open(run)
    first.unlink()
    with pytest.raises(InputError, match="is missing"):
        Document.open(run)


def test_a_large_selection_is_a_small_file(run: Path) -> None:
    random = np.random.default_rng(0)
    chosen = Selection.of(np.flatnonzero(random.random(800_000) < 0.5))
    document = Document.open(run)
    document.do(Hide(Target.of(chosen)))
    file = next((run / "document" / "selections").iterdir())
    assert file.stat().st_size < 110_000  # a bit per Gaussian
    assert Document.open(run).history.entries[0].edit.selections == (chosen,)


def test_the_log_is_one_json_object_a_line(run: Path) -> None:
    document = Document.open(run)
    hide(document, 4)
    document.undo()
    lines = [json.loads(line)["entry"] for line in (run / "document" / "history.jsonl").read_text().splitlines()]
    assert [line["op"] for line in lines] == ["format", "births", "do", "position"]
    assert lines[2]["labels"] == ["Hide 1 Gaussian in all frames"]
    assert lines[3]["position"] == 0
