"""A worker ends with the page that started it, whatever ended the page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX processes")

# A page that starts a worker with a child of its own, says both numbers, and stays.
PAGE = """
import signal, sys
from viewer.jobs import RECONSTRUCTION, Job
job = Job([sys.executable, "-c", WORKER], print, RECONSTRUCTION)
signal.pause()
"""
WORKER = """
import os, signal
from viewer.worker import end_with_the_page
end_with_the_page()
child = os.fork()
if child:
    with open({path!r} + ".part", "w") as file:
        file.write(f"{{os.getpid()}} {{child}}")
    os.rename({path!r} + ".part", {path!r})
signal.pause()
"""


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("stopped", [False, True])
def test_a_killed_page_leaves_no_worker(tmp_path: Path, stopped: bool) -> None:
    if stopped and sys.platform != "linux":
        pytest.skip("only Linux ends a stopped process with its parent")
    told = tmp_path / "pids"
    code = f"WORKER = {textwrap.dedent(WORKER).format(path=str(told))!r}\n{PAGE}"
    page = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        wait_for(told.exists, "the worker", 60.0)
        worker, child = map(int, told.read_text().split())
        assert not gone(worker)
        if stopped:
            os.kill(worker, signal.SIGSTOP)
        page.kill()
        page.wait()
        wait_for(lambda: gone(worker), "the end of the worker")
        assert child != worker
    finally:
        page.kill()
        page.wait()
        if told.exists():
            for pid in map(int, told.read_text().split()):
                if not gone(pid):
                    os.kill(pid, signal.SIGKILL)


def test_a_worker_runs_a_command_as_long_as_its_page_is_there() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "viewer.worker", "--version"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.read().startswith("trackersplat ")  # its end; standard input is still open
        assert process.wait() == 0
