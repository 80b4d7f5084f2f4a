"""Work of NumPy, OpenCV and compiled loops on several threads; none of them holds the interpreter for long."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from trackersplat.captures.media.cache import usable_cores

MOST = 32  # threads, for the memory: each has arrays of its own

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What ``work`` makes of each of the items, in their order. Raises what it raises for the first of them that fails."""
    return list(as_ready(work, items))


def as_ready(work: Callable[[Item], Result], items: Iterable[Item], most: int = MOST) -> Generator[Result, None, None]:
    """`in_threads`, one after the other, by at most so many threads. What was not begun is dropped when the generator is closed."""
    pool = ThreadPoolExecutor(min(usable_cores(), most))
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)
