"""Reconstruction jobs, with a small script in the place of the worker."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import time
from pathlib import Path

import pytest

from trackersplat.events import Event, Failed, Finished, FrameDone, FrameScores, Started, StepDone, to_json
from viewer.jobs import RECONSTRUCTION, Job, reconstruct_command

STARTED = Started(frames=(0, 1), device="none", steps_first=10, steps_refine=5)
DONE = FrameDone(0, None, FrameScores(None, None, 27.5, 0.9), 100, 0.0, 0.0, 1.5)


def worker(folder: Path, body: str) -> list[str]:
    script = folder / "worker.py"
    head = "import json, os, signal, sys, time\ndef say(event):\n    print(json.dumps(event), flush=True)\n"
    script.write_text(head + textwrap.dedent(body), encoding="utf-8")
    return [sys.executable, str(script)]


def run(command: list[str], timeout: float = 20.0) -> tuple[Job[Event], list[Event]]:
    heard: list[Event] = []
    job = Job(command, heard.append, RECONSTRUCTION, patience=1.0)
    assert job.wait(timeout), "the job did not end"
    return job, heard


def test_events_arrive_in_order_and_the_last_is_the_end(tmp_path: Path) -> None:
    events: list[Event] = [STARTED, StepDone(0, 5, 10, 0.25, 100), DONE, Finished(2.0)]
    job, heard = run(worker(tmp_path, "".join(f"say({to_json(e)!r})\n" for e in events)))
    assert heard == events
    assert job.outcome == "finished"


def test_garbage_between_the_events_is_ignored(tmp_path: Path) -> None:
    body = f"""
    print("a library says hello")
    print('{{"event": "NoSuchEvent"}}')
    print("[1, 2]")
    print('{{"event": "StepDone", "step": 1}}')
    sys.stdout.buffer.write(b"\\xff\\xfe\\n"); sys.stdout.flush()
    print("{{" * 100000)
    say({to_json(STARTED)!r})
    say({to_json(Finished(1.0))!r})
    """
    job, heard = run(worker(tmp_path, body))
    assert heard == [STARTED, Finished(1.0)]
    assert job.outcome == "finished"


def test_a_worker_that_fails_by_itself_keeps_its_own_words(tmp_path: Path) -> None:
    failed = Failed("cam03.mp4 is not a video.", frame=4)
    job, heard = run(worker(tmp_path, f"say({to_json(failed)!r})\nsys.exit(2)\n"))
    assert heard == [failed]
    assert job.outcome == "failed"


def test_a_killed_worker_ends_in_a_sentence_that_names_the_signal_and_its_last_words(tmp_path: Path) -> None:
    body = f"""
    say({to_json(STARTED)!r})
    print("out of luck", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    job, heard = run(worker(tmp_path, body))
    assert heard[0] == STARTED
    assert isinstance(heard[-1], Failed)
    assert "SIGKILL" in heard[-1].message
    assert "out of luck" in heard[-1].message
    assert job.outcome == "failed"


def test_bad_input_is_told_in_the_words_of_the_command_line(tmp_path: Path) -> None:
    _, heard = run(worker(tmp_path, 'print("error: /data/x does not exist.", file=sys.stderr)\nsys.exit(2)\n'))
    assert heard == [Failed("/data/x does not exist.")]


def test_an_exit_without_a_word_is_a_failure_even_with_code_0(tmp_path: Path) -> None:
    job, heard = run(worker(tmp_path, f"say({to_json(STARTED)!r})\n"))
    assert isinstance(heard[-1], Failed)
    assert "exit code 0" in heard[-1].message
    assert job.outcome == "failed"


def test_finished_with_a_bad_exit_code_is_a_failure(tmp_path: Path) -> None:
    job, heard = run(worker(tmp_path, f"say({to_json(Finished(1.0))!r})\nsys.exit(3)\n"))
    assert isinstance(heard[-1], Failed)
    assert job.outcome == "failed"


@pytest.mark.parametrize("stubborn", [False, True])
def test_cancelling_ends_the_worker_and_its_children(tmp_path: Path, stubborn: bool) -> None:
    body = f"""
    if {stubborn}:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    open({str(tmp_path / "child")!r}, "w").write(str(child))
    say({to_json(STARTED)!r})
    time.sleep(60)
    """
    heard: list[Event] = []
    job = Job(worker(tmp_path, body), heard.append, RECONSTRUCTION, patience=0.5)
    deadline = time.monotonic() + 10
    while not heard and time.monotonic() < deadline:
        time.sleep(0.02)
    began = time.monotonic()
    job.cancel()
    assert job.wait(10)
    assert time.monotonic() - began < 5
    assert job.outcome == "cancelled"
    assert isinstance(heard[-1], Failed)
    assert "cancelled" in heard[-1].message
    assert not _alive(int((tmp_path / "child").read_text()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_outlives_a_killed_worker_does_not_hold_up_the_end(tmp_path: Path) -> None:
    body = f"""
    child = os.fork()
    if child == 0:
        time.sleep(60)  # with the worker's output still open
        os._exit(0)
    open({str(tmp_path / "child")!r}, "w").write(str(child))
    os.kill(os.getpid(), signal.SIGKILL)
    """
    job, heard = run(worker(tmp_path, body), timeout=10)
    assert job.outcome == "failed"
    assert isinstance(heard[-1], Failed)
    assert "SIGKILL" in heard[-1].message
    assert not _alive(int((tmp_path / "child").read_text()))


def test_a_listener_that_raises_does_not_stop_the_job(tmp_path: Path) -> None:
    heard: list[Event] = []

    def listener(event: Event) -> None:
        heard.append(event)
        raise RuntimeError("a defect of the page")

    job = Job(worker(tmp_path, f"say({to_json(STARTED)!r})\nsay({to_json(Finished(1.0))!r})\n"), listener, RECONSTRUCTION)
    assert job.wait(20)
    assert heard == [STARTED, Finished(1.0)]
    assert job.outcome == "finished"


def test_the_worker_has_its_own_process_group_and_a_low_priority(tmp_path: Path) -> None:
    body = "print(os.getpgid(0) == os.getpid(), os.getpriority(os.PRIO_PROCESS, 0), file=sys.stderr)\nsys.exit(1)\n"
    body = "time.sleep(0.2)\n" + body  # the priority is set right after the start
    _, heard = run(worker(tmp_path, body))
    assert isinstance(heard[-1], Failed)
    assert heard[-1].message.endswith(f"True {min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)}")


@pytest.mark.parametrize(("wish", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_the_worker_waits_without_spinning_unless_the_user_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: str | None, expected: str
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if wish is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", wish)
    _, heard = run(worker(tmp_path, "print(os.environ['OMP_WAIT_POLICY'], file=sys.stderr)\nsys.exit(1)\n"))
    assert isinstance(heard[-1], Failed)
    assert heard[-1].message.endswith(expected)


def test_the_command_counts_frames_from_one() -> None:
    command = reconstruct_command("demo", (0, 5), Path("out"), ("--steps", "3"))
    assert command[0] == sys.executable
    assert command[1:] == [
        "-m",
        "trackersplat.cli",
        "reconstruct",
        "demo",
        "--frames",
        "1:6",
        "--out",
        "out",
        "--events",
        "json",
        "--steps",
        "3",
    ]


def _alive(pid: int) -> bool:
    """Whether the process runs; an orphan that nobody has buried yet does not."""
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    return True
