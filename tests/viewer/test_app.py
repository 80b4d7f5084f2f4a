"""The program from outside: what it says and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

import viewer.app
from trackersplat.errors import InputError
from viewer.app import App
from viewer.arguments import Arguments

ROOT = Path(__file__).resolve().parents[2]


def error_of(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the program says on bad input: one line, and exit code 2."""
    monkeypatch.setattr(sys, "argv", ["trackersplat-view", *arguments, "--no-browser"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the handlers of the test's own process stay
    with pytest.raises(SystemExit) as end:
        viewer.app.main()
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("/no/such/folder",), "/no/such/folder does not exist"),
        (("demo", "--host", "203.0.113.7"), "Cannot listen on --host 203.0.113.7"),
        (("demo", "--port", "99999"), "--port must be between 0 and 65535"),
        (("demo", "--backend", "abacus"), "no rendering back end named 'abacus'"),
        (("demo", "--pipeline", "abacus"), "no pipeline named 'abacus'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in error_of(arguments, monkeypatch, capsys)


def test_a_back_end_that_cannot_be_used_here_is_said_at_once_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from trackersplat.rendering.registry import BACKENDS

    monkeypatch.setattr(BACKENDS, "why_unavailable", lambda name: "it rains")
    assert "--backend portable cannot be used: it rains." in error_of(("demo", "--backend", "portable"), monkeypatch, capsys)


def test_an_output_folder_that_holds_no_run_of_this_capture_is_said_at_once(
    small_capture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.touch()
    folder.mkdir()
    (folder / "holiday.txt").touch()
    for out, words in ((file, "is a file"), (folder, "is not a run")):
        assert words in error_of((str(small_capture_folder), "--out", str(out)), monkeypatch, capsys)


def test_the_program_prints_its_address_and_ends_quietly(small_capture_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "viewer.app", str(small_capture_folder), "--port", "0", "--out", str(tmp_path / "run"), "--no-browser"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first, second = process.stdout.readline(), process.stdout.readline()
    assert "4 cameras, 6 frames" in first
    assert "http://127.0.0.1:" in second
    os.kill(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_listening_for_others_is_warned_about(small_capture_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = App(Arguments(str(small_capture_folder), host="0.0.0.0", port=0, browser=False))
    app.close()
    assert "warning: everybody who can reach 0.0.0.0" in capsys.readouterr().err


def test_a_run_of_other_cameras_is_refused_and_the_photographs_are_shown(small_capture_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format": 2, "capture": {"name": "other", "cameras": ["x"]}}', encoding="utf-8")
    app = App(Arguments(str(small_capture_folder), out=tmp_path, port=0, browser=False))
    try:
        app.load()
        assert [sentence for source, sentence in app.store.state.problems if source == "run" and "another capture (other)" in sentence]
        assert app.store.state.compare == "photo"
        assert app.store.state.ready
    finally:
        app.close()


def test_reconstructions_use_the_back_end_and_pipeline_of_the_command_line(
    small_capture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def job(command: list[str], *_: object) -> None:
        commands.append(command)
        raise OSError("not started in this test")

    monkeypatch.setattr("viewer.panels.reconstruct.Job", job)
    out = tmp_path / "run"
    arguments = Arguments(str(small_capture_folder), out=out, backend="portable", pipeline="train-base", port=0, browser=False)
    app = App(arguments, ("--steps", "3"))
    try:
        app.page.panels["reconstruct"].start((1, 2))
        assert commands == []  # where results go is not known yet
        app.page.find_run()
        app.page.panels["reconstruct"].start((1, 2))
    finally:
        app.close()
    assert commands[0][4:] == [
        str(small_capture_folder), "--frames", "2:3", "--out", str(out), "--events", "json",
        "--backend", "portable", "--pipeline", "train-base", "--steps", "3",
    ]  # fmt: skip


def test_an_allowed_host_that_is_no_name_is_refused_before_anything_starts(small_capture_folder: Path) -> None:
    with pytest.raises(InputError, match=r"--allow-host http://lab\.example\.org is no name of a host: give it alone"):
        App(Arguments(str(small_capture_folder), allow_host=("http://lab.example.org",), port=0, browser=False))


def test_allow_host_can_be_repeated() -> None:
    assert tyro.cli(Arguments, args=["demo", "--allow-host", "a.example", "--allow-host", "b"]).allow_host == ("a.example", "b")
