"""How a command ends when the fault is ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trackersplat.cli import main
from trackersplat.commands.outcome import BROKEN_PIPE, default_log
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


def process(*arguments: str, out: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    """In a process of its own, whose standard output goes to ``out``."""
    command = [sys.executable, "-m", "trackersplat.cli", *arguments]
    return subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=False, **options)


def closed_pipe() -> int:
    """The end to write to of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize(("arguments", "unbuffered"), [(("--help",), ""), (("--help",), "1"), (("info", "demo"), "")])
def test_a_reader_that_goes_away_ends_a_command_without_a_word(
    arguments: tuple[str, ...], unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with os.fdopen(closed_pipe(), "w") as out:
        done = process(*arguments, out=out)
    assert (done.returncode, done.stderr) == (BROKEN_PIPE, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("--help",), ("info", "demo")])
def test_an_output_that_is_full_is_one_sentence(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as out:
        done = process(*arguments, out=out)
    assert done.returncode == 2
    assert (
        done.stderr == "error: The output cannot be written (No space left on device): free some space, or redirect it to another disk.\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_error_that_nobody_can_be_told_of_keeps_its_exit_code() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "trackersplat.cli", "info", "/nowhere"]
        assert subprocess.run(command, stdout=full, stderr=full, check=False).returncode == 2


def test_a_command_without_any_output_works() -> None:
    script = "import os, sys; os.close(1); os.close(2); os.execv(sys.executable, [sys.executable, '-m', 'trackersplat.cli', *sys.argv[1:]])"
    for arguments, code in ((["--version"], 0), (["info", "/nowhere"], 2)):
        assert subprocess.run([sys.executable, "-c", script, *arguments], check=False).returncode == code


def test_opencv_says_nothing_beside_our_own_error(tmp_path: Path) -> None:
    script = (
        "import sys; from trackersplat.commands.outcome import exit_code\n"
        "def work():\n    import cv2\n    cv2.imread('missing.png')\n    cv2.VideoCapture(sys.argv[1]).read()\n"
        "assert 'cv2' not in sys.modules\nsys.exit(exit_code(work))"
    )
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 100)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    command = [sys.executable, "-c", script, str(tmp_path / "a.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    environment |= {"OPENCV_LOG_LEVEL": "INFO"}  # whoever wants to know
    assert "imread" in subprocess.run(command, capture_output=True, text=True, env=environment, check=False).stderr


def test_a_capture_whose_name_is_full_of_commands_for_the_terminal_is_only_shown(
    small_capture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "\x1b]0;owned\x07\x1b[2J\x9b31m [red]take\u202e"
    shutil.copytree(small_capture_folder, tmp_path / name)
    assert run("info", tmp_path / name) == 0
    assert run("reconstruct", tmp_path / name, "--frames", "1", "--first-steps", "1", "--points", "patches") == 0
    (out,) = (tmp_path / "output").iterdir()
    assert run("export", out, "--out", "\x1b[31m") == 0
    assert run("compact", out) == 0
    assert run("info", tmp_path / name / "\x1b[31m") == 2
    printed = capsys.readouterr()
    assert "\\x1b]0;owned\\x07\\x1b[2J\\x9b31m [red]take\\u202e" in printed.out
    for text in (printed.out, printed.err):
        assert [letter for letter in text if letter != "\n" and not letter.isprintable()] == []
