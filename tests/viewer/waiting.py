"""Waiting for what another thread or process does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_PAUSE = threading.Event()  # never set: waiting for it lets other threads run


def wait_for(condition: Callable[[], object], what: str = "it", seconds: float = 20.0) -> None:
    """Returns once the condition holds. ``seconds`` bounds how long a test hangs that fails; it is no expectation."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        _PAUSE.wait(0.002)
