"""The tracks of the run on the screen are diagnosed by a worker, read again, and diagnosed anew when the run changes."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_diagnosis import made_diagnosis
from tiny_capture import FRAMES, cameras

from trackersplat.captures.capture import Capture
from trackersplat.diagnosis.diagnosis import DIAGNOSIS_FILE
from viewer.diagnose_worker import main
from viewer.diagnosing import WAITING, Diagnosing, worker_command
from viewer.state import Shared, Store

PAUSE = threading.Event()  # never set: waiting for it lets other threads run


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """``seconds`` bounds how long a test hangs that fails; it is no expectation."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        PAUSE.wait(0.005)


class Bench:
    """A store with a run of two frames, and workers that are small scripts."""

    def __init__(self, capture: Capture, run: Path) -> None:
        self.store = Store(Shared(FRAMES, run=run, reconstructed=(0, 1), ready=True))
        self.run = run
        self.key = "one"
        self.started: list[str] = []
        self.script = "import json; print(json.dumps({'event': 'Failed', 'message': 'no tracks', 'frame': None}))"
        runs: Any = None
        self.diagnosing = Diagnosing(capture, self.store, runs, command=self._command, key_of=lambda runs, path: self.key)

    def _command(self, run: Path, capture: Path, out: Path, key: str, backend: str | None) -> list[str]:
        self.started.append(key)
        return [sys.executable, "-c", self.script]

    def wake(self) -> None:
        self.store.set(revision=self.store.shared.revision + 1)


@pytest.fixture
def bench(small_capture: Capture, tmp_path: Path) -> Iterator[Bench]:
    found = Bench(small_capture, tmp_path)
    yield found
    found.diagnosing.close()


def write(bench: Bench, key: str, seed: int = 0) -> None:
    made_diagnosis(cameras(), FRAMES, 5, seed=seed).to_npz(bench.run / DIAGNOSIS_FILE, key)


def test_a_diagnosis_that_was_made_before_is_read_and_no_worker_starts(bench: Bench) -> None:
    write(bench, "one")
    bench.wake()
    wait_for(lambda: bench.store.shared.diagnosed == 1)
    tracks = bench.diagnosing.get(bench.run)
    assert tracks is not None
    assert len(tracks) == 20
    assert tracks.key == "one"
    assert bench.started == []


def test_one_of_another_state_is_not_taken_and_what_the_worker_refuses_is_said_once(bench: Bench) -> None:
    write(bench, "of earlier frames")
    bench.wake()
    wait_for(lambda: bench.store.shared.diagnosing == "The tracks are not diagnosed: no tracks")
    bench.wake()
    wait_for(lambda: not bench.diagnosing.running)
    assert bench.started == ["one"]
    assert bench.diagnosing.get(bench.run) is None
    bench.diagnosing.again()
    wait_for(lambda: bench.started == ["one", "one"])


def test_the_progress_is_told_and_the_result_taken(bench: Bench) -> None:
    write(bench, "two")
    kept = bench.run / "kept.npz"
    (bench.run / DIAGNOSIS_FILE).rename(kept)
    bench.key = "two"
    said: list[str] = []
    bench.store.subscribe(lambda tab, changed: said.append(bench.store.shared.diagnosing) if "diagnosing" in changed else None)
    bench.script = (
        "import json, os; print(json.dumps({'event': 'Stage', 'frame': 1, 'name': 'diagnose', 'detail': '1 of 2'}));"
        f"os.rename({str(kept)!r}, {str(bench.run / DIAGNOSIS_FILE)!r}); print(json.dumps({{'event': 'Finished', 'seconds': 1.0}}))"
    )
    bench.wake()
    wait_for(lambda: bench.store.shared.diagnosed == 1)
    wait_for(lambda: bench.store.shared.diagnosing == "")
    assert said[:2] == ["Diagnosing the tracks: starting, 2 frames …", "Diagnosing the tracks: frame 2 (1 of 2) …"]
    # A frame is made again: the old diagnosis stands until the new one is there.
    bench.key, bench.script = "three", "raise SystemExit(3)"
    bench.wake()
    wait_for(lambda: "exit code 3" in bench.store.shared.diagnosing)
    tracks = bench.diagnosing.get(bench.run)
    assert tracks is not None
    assert tracks.key == "two"


def test_nothing_starts_while_frames_are_reconstructed(bench: Bench) -> None:
    bench.store.set(working_on=1)
    bench.wake()
    wait_for(lambda: bench.store.shared.diagnosing == WAITING)
    assert bench.started == []
    bench.store.set(working_on=None)
    wait_for(lambda: bench.started == ["one"])


def test_a_worker_that_is_stopped_says_so_and_does_not_start_by_itself(bench: Bench) -> None:
    bench.script = "import time; time.sleep(600)"
    bench.wake()
    wait_for(lambda: bench.diagnosing.running)
    bench.diagnosing.stop()
    wait_for(lambda: bench.store.shared.diagnosing == "The diagnosis was stopped.")
    bench.wake()
    assert bench.started == ["one"]


def test_the_command_line_names_run_capture_result_and_key() -> None:
    command = worker_command(Path("run"), Path("capture"), Path("out.npz"), "key", None)
    assert command[1:] == ["-m", "viewer.diagnose_worker", "run", "capture", "out.npz", "key"]
    assert worker_command(Path("run"), Path("capture"), Path("out.npz"), "key", "numba")[-1] == "numba"


def test_the_worker_says_what_is_wrong_with_its_input(
    tmp_path: Path, small_capture_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(str(tmp_path / "no run"), str(small_capture_folder), str(tmp_path / "out.npz"), "key")
    event = json.loads(capsys.readouterr().out)
    assert code == 2
    assert event["event"] == "Failed"
    assert "no run" in event["message"]
    assert not (tmp_path / "out.npz").exists()
