"""The program from outside: what it says and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from viewer.app import App, Arguments

ROOT = Path(__file__).resolve().parents[2]


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "viewer.app", *arguments, "--no-browser"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("/no/such/folder",), "/no/such/folder does not exist"),
        (("demo", "--host", "203.0.113.7"), "Cannot listen on --host 203.0.113.7"),
        (("demo", "--port", "99999"), "--port must be between 0 and 65535"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments: tuple[str, ...], words: str) -> None:
    process = start(*arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err


def test_the_program_prints_its_address_and_ends_quietly(small_capture_folder: Path, tmp_path: Path) -> None:
    process = start(str(small_capture_folder), "--port", "0", "--out", str(tmp_path / "run"))
    assert process.stdout is not None
    first, second = process.stdout.readline(), process.stdout.readline()
    assert "4 cameras, 6 frames" in first
    assert "http://127.0.0.1:" in second
    os.kill(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_listening_for_others_is_warned_about(small_capture_folder: Path) -> None:
    process = start(str(small_capture_folder), "--port", "0", "--host", "0.0.0.0")
    assert process.stdout is not None
    process.stdout.readline()
    assert "http://" in process.stdout.readline()
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert "warning: everybody who can reach 0.0.0.0" in err


def test_an_output_folder_that_holds_no_run_of_this_capture_is_said_at_once(small_capture_folder: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.touch()
    folder.mkdir()
    (folder / "holiday.txt").touch()
    for out, words in ((file, "is a file"), (folder, "is not a run")):
        process = start(str(small_capture_folder), "--out", str(out))
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert words in err


def test_a_run_of_other_cameras_is_refused_and_the_photographs_are_shown(small_capture_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format": 1, "capture": {"name": "other", "cameras": ["x"]}}', encoding="utf-8")
    app = App(Arguments(str(small_capture_folder), out=tmp_path, port=0, browser=False))
    try:
        app.load()
        assert [sentence for source, sentence in app.store.state.problems if source == "run" and "another capture (other)" in sentence]
        assert app.store.state.compare == "photo"
        assert app.store.state.ready
    finally:
        app.close()
