"""Work of NumPy, OpenCV and compiled loops on several threads; none of them holds the interpreter for long."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

MOST = 32  # threads, for the memory: each has arrays of its own

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What ``work`` makes of each of the items, in their order. Raises what it raises for the first of them that fails."""
    with ThreadPoolExecutor(min(os.cpu_count() or 1, MOST)) as pool:
        return list(pool.map(work, items))
