"""The program from outside: what it says and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
