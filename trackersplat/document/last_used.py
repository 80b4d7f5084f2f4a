"""What took time to find and may be asked for again: the values that were used last, at most so many."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class LastUsed(Generic[V]):
    """Values by a key. Thread-safe."""

    def __init__(self, most: int) -> None:
        """``most``: how many values are kept."""
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def keep(self, key: Hashable, value: V) -> V:
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return value

    def find(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value that is kept, or else the one that is made now; two threads may make it at once."""
        found = self.get(key)
        return self.keep(key, make()) if found is None else found

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
