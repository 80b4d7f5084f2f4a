"""Locks between processes."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from trackersplat import locks
from trackersplat.errors import InputError
from trackersplat.locks import hold, try_to_hold

HOLDER = """
import sys, pathlib
from trackersplat.locks import hold
with hold(pathlib.Path(sys.argv[1]), "It"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_says_who_holds_it_and_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with holder(path) as process:
        said = rf"The run x is being written by process {process.pid} on {re.escape(socket.gethostname())} since \d{{4}}-\d\d-\d\dT[^ ]+: "
        with pytest.raises(InputError, match=said + "wait until it has finished, or stop it"), hold(path, "The run x"):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert path.is_file()
        with hold(path, "The run x"):
            assert json.loads(path.read_text())["pid"] == os.getpid()
        assert list(tmp_path.iterdir()) == []


def test_a_lock_is_given_back_also_after_an_error_and_its_file_goes(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError), hold(tmp_path / "a.lock", "It"):
            raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_file_or_folder_was_removed_or_replaced_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".lock"
    path.parent.mkdir()
    with hold(path, "It") as lock:
        assert lock.is_there()
        path.unlink()
        assert not lock.is_there()
        path.write_text("of another process")
        assert not lock.is_there()
    assert path.read_text() == "of another process"


def test_whoever_locks_a_file_that_was_just_removed_takes_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tmp_path / ".lock", locks._lock
    removed: list[int] = []

    def late(file: int) -> None:
        real(file)
        if not removed:  # its last holder removes it between the opening and the locking
            removed.append(path.stat().st_ino)
            path.rename(tmp_path / "removed")

    monkeypatch.setattr(locks, "_lock", late)
    with hold(path, "It") as lock:
        assert lock.is_there()
        assert path.stat().st_ino != removed[0]


def test_what_is_locked_can_be_tried_without_an_error(tmp_path: Path) -> None:
    with hold(tmp_path / "a", "It"), try_to_hold(tmp_path / "a") as lock:
        assert lock is None
    with try_to_hold(tmp_path / "a") as lock:
        assert lock is not None


def test_a_disk_without_locks_is_said_and_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unsupported(file: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "_lock", unsupported)
    with hold(tmp_path / "a", "It") as lock:
        assert lock.is_there()
    assert "this file system has no locks" in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', "\x1b[31m"])
def test_a_lock_file_that_says_nothing_useful_is_held_by_another_process(tmp_path: Path, text: str) -> None:
    with hold(tmp_path / "a", "It"):
        (tmp_path / "a").write_text(text)
        with pytest.raises(InputError, match="It is being written by another process: "), hold(tmp_path / "a", "It"):
            pass


def test_a_lock_in_a_folder_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.lock cannot be written"), hold(tmp_path / "missing" / "a.lock", "It"):
        pass
