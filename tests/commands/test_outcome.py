"""How a command ends when the fault is ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trackersplat.cli import main
from trackersplat.commands.outcome import default_log
from trackersplat.errors import InputError, ShapeError
from trackersplat.events import Event, Started


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([*map(str, arguments)])
    assert isinstance(end.value.code, int)
    return end.value.code


def fail_with(error: BaseException) -> Any:
    def fail(*arguments: object, **options: object) -> object:
        raise error

    return fail


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for the state of programs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_defect_in_a_run_is_code_1_and_one_sentence_with_the_traceback_in_the_log_of_the_run(
    small_capture_folder: Path, tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object, **options: object) -> Iterator[Event]:
        yield Started((0,), "CPU", "base-propagate", 1, 1)
        raise ShapeError("Colours must be (N, 3), got (3, 7).")

    monkeypatch.setattr("trackersplat.jobs.reconstruct.reconstruct", broken)
    folder = tmp_path / "run"
    assert run("reconstruct", small_capture_folder, "--out", folder) == 1
    errors = capsys.readouterr().err
    assert len(errors.splitlines()) == 1
    assert errors.startswith("internal error: ShapeError: Colours must be (N, 3), got (3, 7).")
    assert "This is a defect of trackersplat" in errors
    assert f"its traceback is in {folder / 'run.log'}" in errors
    log = (folder / "run.log").read_text()
    assert log.startswith("Traceback (most recent call last):")
    assert "in broken" in log
    assert log.endswith("ShapeError: Colours must be (N, 3), got (3, 7).\n")
    assert not state.exists()
    assert run("reconstruct", small_capture_folder, "--out", folder) == 1  # a second defect does not hide the first
    assert (folder / "run.log").read_text().count("Traceback (most recent call last):") == 2


def test_a_program_that_reads_events_is_told_of_a_defect_by_the_last_one(
    small_capture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trackersplat.jobs.reconstruct.reconstruct", fail_with(ShapeError("no such shape")))
    assert run("reconstruct", small_capture_folder, "--out", tmp_path / "run", "--events", "json") == 1
    printed = capsys.readouterr()
    (last,) = printed.out.splitlines()
    assert json.loads(last) == {"event": "Failed", "message": "no such shape", "frame": None}
    assert "This is a defect of trackersplat" in printed.err


def test_a_defect_without_a_run_leaves_its_traceback_in_the_users_folder(
    small_capture_folder: Path, state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trackersplat.captures.registry.open_capture", fail_with(ShapeError("a wrong shape")))
    assert run("info", small_capture_folder) == 1
    printed = capsys.readouterr()
    log = state / "trackersplat" / "trackersplat.log"
    assert default_log() == log
    assert printed.out == ""
    assert printed.err == f"internal error: ShapeError: a wrong shape. This is a defect of trackersplat; its traceback is in {log}.\n"
    assert log.read_text().endswith("ShapeError: a wrong shape\n")


def test_the_users_folder_is_below_home_if_nothing_else_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_log() == tmp_path / ".local" / "state" / "trackersplat" / "trackersplat.log"


def test_a_log_that_cannot_be_written_does_not_hide_the_defect(
    small_capture_folder: Path, state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state.write_text("in the way")
    monkeypatch.setattr("trackersplat.captures.registry.open_capture", fail_with(ShapeError("a wrong shape")))
    assert run("info", small_capture_folder) == 1
    errors = capsys.readouterr().err
    assert "ShapeError: a wrong shape. This is a defect of trackersplat" in errors
    assert "cannot be written" in errors
    assert len(errors.splitlines()) == 1


def test_what_a_user_can_cause_is_code_2_and_what_stops_it_130_without_a_log(
    small_capture_folder: Path, state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trackersplat.captures.registry.open_capture", fail_with(InputError("Two\nlines of a name.")))
    assert run("info", small_capture_folder) == 2
    assert capsys.readouterr().err == "error: Two\\nlines of a name.\n"
    monkeypatch.setattr("trackersplat.captures.registry.open_capture", fail_with(KeyboardInterrupt()))
    assert run("info", small_capture_folder) == 130
    assert capsys.readouterr().err.startswith("Stopped.")
    assert not state.exists()
