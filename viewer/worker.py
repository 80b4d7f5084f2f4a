"""A command of `trackersplat` in a process that ends with the page that started it: ``python -m viewer.worker reconstruct ...``.

The page holds the other end of this process's standard input. When the page is gone, whatever ended it, that end is closed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1  # of Linux's prctl


def main() -> None:
    end_with_the_page()
    from trackersplat.cli import main as command

    command()


def end_with_the_page() -> None:
    """Kills this process and its group as soon as the process that started it is gone."""
    held = os.dup(0)
    os.set_inheritable(held, False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # nobody else reads what the page never writes
    os.close(nothing)
    threading.Thread(target=_wait, args=(held,), name="page", daemon=True).start()
    if sys.platform == "linux":
        # A stopped process reads nothing, so it is killed by the system. The signal comes when the thread ends that started this process:
        # `jobs.Job` starts it from the thread that waits for its end.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(held: int) -> None:
    while os.read(held, 64):
        pass
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
