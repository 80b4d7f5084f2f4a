"""What the tests of all commands need."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def keep_signals() -> Iterator[None]:
    """The command line takes over SIGTERM; the tests after it should not feel that."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
