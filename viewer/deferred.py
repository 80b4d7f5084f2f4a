"""Changes of the time that panels follow once it rests: while it is dragged or plays, the pictures come first."""

from __future__ import annotations

TIME = frozenset({"frame", "shown"})  # fields of a view that change all the time while it is dragged or plays
REST_AFTER, REST_AFTER_DRAGGED = 0.12, 0.6  # seconds without a change, after which the panels follow; while the time is dragged
AT_LATEST = 0.5  # seconds after which they follow in any case, but not while the time is dragged


class Deferred:
    """What is to be told later. Times are seconds of any clock that does not go back."""

    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()
        self._first = self._last = 0.0  # when the first and the last of the changes were made
        self._dragged = False

    def now_or_later(self, changed: frozenset[str], now: float, dragged: bool = False) -> frozenset[str]:
        """What has to be told now, with what was put off; nothing if all of it can wait."""
        self._dragged = dragged
        if not changed <= (TIME | {"dragging"} if dragged else TIME):
            return self._take() | changed
        if changed:
            self._first = self._first if self._names else now
            self._names, self._last = self._names | changed, now
        return self._take() if self._names and self.wait(now) <= 0 else frozenset()

    def wait(self, now: float) -> float:
        """Seconds until something is due; infinite if nothing waits."""
        if not self._names:
            return float("inf")
        if self._dragged:
            return self._last + REST_AFTER_DRAGGED - now
        return min(self._last + REST_AFTER, self._first + AT_LATEST) - now

    def _take(self) -> frozenset[str]:
        names, self._names = self._names, frozenset()
        return names
