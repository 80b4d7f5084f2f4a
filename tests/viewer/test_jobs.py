"""Reconstruction jobs, with a small script in the place of the worker."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest
from waiting import wait_for

from trackersplat.commands.reconstruct import Reconstruct
from trackersplat.events import Event, Failed, Finished, FrameDone, Started, StepDone, to_json
from viewer import jobs
from viewer.jobs import RECONSTRUCTION, Job, Options, in_words, reconstruct_command

STARTED = Started(frames=(0, 1), device="none", pipeline="base-propagate", steps_first=10, steps_refine=5)
DONE = FrameDone(0, None, {"psnr": 27.5, "ssim": 0.9}, {"lpips": "no weights"}, 100, 0.0, 0.0, {"optimise": 1.0, "write": 0.5})


@pytest.fixture(autouse=True)
def promptly(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a worker of low priority would not start within the time of a test."""
    if "low_priority" not in request.node.name:
        monkeypatch.setattr(jobs, "NICENESS", 0)


def worker(folder: Path, body: str) -> list[str]:
    script = folder / "worker.py"
    head = "import json, os, signal, sys\ndef say(event):\n    print(json.dumps(event), flush=True)\n"
    script.write_text(head + textwrap.dedent(body), encoding="utf-8")
    return [sys.executable, str(script)]


def run(command: list[str], timeout: float = 20.0) -> tuple[Job[Event], list[Event]]:
    events: list[Event] = []
    job = Job(command, events.append, RECONSTRUCTION, patience=1.0)
    assert job.wait(timeout), "the job did not end"
    return job, events


def test_events_arrive_in_order_and_the_last_is_the_end(tmp_path: Path) -> None:
    said: list[Event] = [STARTED, StepDone(0, 5, 10, 0.25, 100), DONE, Finished(2.0)]
    job, events = run(worker(tmp_path, "".join(f"say({to_json(e)!r})\n" for e in said)))
    assert events == said
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
    job, events = run(worker(tmp_path, body))
    assert events == [STARTED, Finished(1.0)]
    assert job.outcome == "finished"


def test_a_worker_that_fails_by_itself_keeps_its_own_words(tmp_path: Path) -> None:
    failed = Failed("cam03.mp4 is not a video.", frame=4)
    job, events = run(worker(tmp_path, f"say({to_json(failed)!r})\nsys.exit(2)\n"))
    assert events == [failed]
    assert job.outcome == "failed"


def test_a_killed_worker_ends_in_a_sentence_that_names_the_signal_and_its_last_words(tmp_path: Path) -> None:
    body = f"""
    say({to_json(STARTED)!r})
    print("out of luck", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    job, events = run(worker(tmp_path, body))
    assert events[0] == STARTED
    assert isinstance(events[-1], Failed)
    assert "SIGKILL" in events[-1].message
    assert "out of luck" in events[-1].message
    assert job.outcome == "failed"


def test_bad_input_is_told_in_the_words_of_the_command_line(tmp_path: Path) -> None:
    _, events = run(worker(tmp_path, 'print("error: /data/x does not exist.", file=sys.stderr)\nsys.exit(2)\n'))
    assert events == [Failed("/data/x does not exist.")]


def test_an_exit_without_a_word_is_a_failure_even_with_code_0(tmp_path: Path) -> None:
    job, events = run(worker(tmp_path, f"say({to_json(STARTED)!r})\n"))
    assert isinstance(events[-1], Failed)
    assert "exit code 0" in events[-1].message
    assert job.outcome == "failed"


def test_finished_with_a_bad_exit_code_is_a_failure(tmp_path: Path) -> None:
    job, events = run(worker(tmp_path, f"say({to_json(Finished(1.0))!r})\nsys.exit(3)\n"))
    assert isinstance(events[-1], Failed)
    assert job.outcome == "failed"


@pytest.mark.parametrize("stubborn", [False, True])
def test_cancelling_ends_the_worker_and_its_children(tmp_path: Path, stubborn: bool) -> None:
    body = f"""
    if {stubborn}:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    open({str(tmp_path / "child")!r}, "w").write(str(child))
    say({to_json(STARTED)!r})
    signal.pause()
    """
    events: list[Event] = []
    job = Job(worker(tmp_path, body), events.append, RECONSTRUCTION, patience=0.1 if stubborn else 60.0)
    wait_for(lambda: events, "the worker")
    job.cancel()
    assert job.wait(20)
    assert job.outcome == "cancelled"
    assert isinstance(events[-1], Failed)
    assert "cancelled" in events[-1].message
    assert not _alive(int((tmp_path / "child").read_text()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_outlives_a_killed_worker_does_not_hold_up_the_end(tmp_path: Path) -> None:
    body = f"""
    child = os.fork()
    if child == 0:
        signal.pause()  # with the worker's output still open
        os._exit(0)
    open({str(tmp_path / "child")!r}, "w").write(str(child))
    os.kill(os.getpid(), signal.SIGKILL)
    """
    job, events = run(worker(tmp_path, body), timeout=10)
    assert job.outcome == "failed"
    assert isinstance(events[-1], Failed)
    assert "SIGKILL" in events[-1].message
    assert not _alive(int((tmp_path / "child").read_text()))


def test_a_listener_that_raises_does_not_stop_the_job(tmp_path: Path) -> None:
    events: list[Event] = []

    def listener(event: Event) -> None:
        events.append(event)
        raise RuntimeError("a defect of the page")

    job = Job(worker(tmp_path, f"say({to_json(STARTED)!r})\nsay({to_json(Finished(1.0))!r})\n"), listener, RECONSTRUCTION)
    assert job.wait(20)
    assert events == [STARTED, Finished(1.0)]
    assert job.outcome == "finished"


def test_the_worker_has_its_own_process_group_and_a_low_priority(tmp_path: Path) -> None:
    job = Job(worker(tmp_path, "signal.pause()\n"), lambda event: None, RECONSTRUCTION)
    assert os.getpgid(job.pid) == job.pid
    assert os.getpriority(os.PRIO_PROCESS, job.pid) == min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
    job.close()
    assert job.outcome == "cancelled"


@pytest.mark.parametrize(("asked", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_the_worker_waits_without_spinning_unless_the_user_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None, expected: str
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", asked)
    _, events = run(worker(tmp_path, "print(os.environ['OMP_WAIT_POLICY'], file=sys.stderr)\nsys.exit(1)\n"))
    assert isinstance(events[-1], Failed)
    assert events[-1].message.endswith(expected)


def test_the_command_counts_frames_from_one() -> None:
    command = reconstruct_command("demo", (0, 5), Path("out"), more=("--hold-out", "a"))
    assert command[:4] == [sys.executable, "-m", "viewer.worker", "reconstruct"]
    assert command[4:] == ["demo", "--frames", "1:6", "--out", "out", "--events", "json", "--hold-out", "a"]


def test_the_command_names_what_was_chosen_and_nothing_else() -> None:
    command = reconstruct_command("demo", (2, 2), Path("out"), Options("portable", "train-base", steps=3, match_rounds=0, first_steps=7))
    chosen = command[command.index("json") + 1 :]
    assert chosen == ["--backend", "portable", "--pipeline", "train-base", "--steps", "3", "--first-steps", "7", "--match-rounds", "0"]


def test_frames_are_made_again_only_if_that_is_asked_for() -> None:
    again = reconstruct_command("demo", (2, 4), Path("out"), redo=True)
    assert again[again.index("--redo") :] == ["--redo", "stale"]
    assert "--redo" not in reconstruct_command("demo", (2, 4), Path("out"))


def test_every_option_is_one_of_the_command_line() -> None:
    assert {field.name for field in fields(Options)} <= {field.name for field in fields(Reconstruct)}


posix = pytest.mark.skipif(not hasattr(os, "waitid"), reason="this system does not tell when a process is stopped")


@posix
def test_a_paused_worker_stands_still_and_goes_on(tmp_path: Path) -> None:
    halts: list[bool] = []
    job = Job(worker(tmp_path, "signal.pause()\n"), lambda event: None, RECONSTRUCTION, on_halt=halts.append)
    assert job.pause()
    wait_for(lambda: halts == [True], "the pause")
    assert job.halted
    assert _state(job.pid) == "T"
    job.resume()
    wait_for(lambda: halts == [True, False], "the end of the pause")
    assert not job.halted
    job.close()


@posix
def test_a_worker_that_somebody_else_stopped_is_noticed_and_can_be_cancelled(tmp_path: Path) -> None:
    halts: list[bool] = []
    events: list[Event] = []
    job = Job(worker(tmp_path, "signal.pause()\n"), events.append, RECONSTRUCTION, on_halt=halts.append, patience=60.0)
    os.kill(job.pid, signal.SIGSTOP)
    wait_for(lambda: halts == [True], "the stop")
    job.cancel()
    assert job.wait(20)
    assert job.outcome == "cancelled"


def test_a_program_that_is_not_there_is_an_error_of_who_starts_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no-such-program"):
        Job([str(tmp_path / "no-such-program")], lambda event: None, RECONSTRUCTION)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("CUDA out of memory. Tried to allocate 2 GiB.\nMore.", "The GPU has too little memory left"),
        ("Unable to allocate 3.00 GiB for an array", "This machine has too little memory left"),
        ("MemoryError", "This machine has too little memory left"),
        ("[Errno 28] No space left on device: 'x.ply'", "The disk is full"),
        ("cam03.mp4 is not a video.", "cam03.mp4 is not a video."),
    ],
)
def test_a_lack_of_memory_or_room_is_said_in_words(tmp_path: Path, said: str, expected: str) -> None:
    assert in_words(said).startswith(expected)
    _, events = run(worker(tmp_path, f"say({to_json(Failed(said))!r})\nsys.exit(1)\n"))
    assert isinstance(events[-1], Failed)
    assert events[-1].message == in_words(said)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def _alive(pid: int) -> bool:
    """Whether the process still runs after a while; an orphan that nobody has buried yet does not."""

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True

    try:
        wait_for(gone, "the end of a child", 5.0)
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        return True
    return False
