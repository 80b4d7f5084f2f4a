"""Changes of the time that the panels of the inspector follow once it rests: while it is dragged, the pictures come first."""

from __future__ import annotations

TIME = frozenset({"frame", "shown"})  # fields of a view that change all the time while it is dragged or plays
REST_AFTER = 0.12  # seconds without a change, after which the panels follow
AT_LATEST = 0.5  # seconds after which they follow in any case


class Deferred:
    """What is to be told later. Times are seconds of any clock that does not go back."""

    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()
        self._first = self._last = 0.0  # when the first and the last of the changes were made

    def now_or_later(self, changed: frozenset[str], now: float) -> frozenset[str]:
        """What has to be told now, with what was put off; nothing if all of it can wait."""
        if not changed <= TIME:
            return self._take() | changed
        if changed:
            self._first = self._first if self._names else now
            self._names, self._last = self._names | changed, now
        return self._take() if self._names and self.wait(now) <= 0 else frozenset()

    def wait(self, now: float) -> float:
        """Seconds until something is due; infinite if nothing waits."""
        if not self._names:
            return float("inf")
        return min(self._last + REST_AFTER, self._first + AT_LATEST) - now

    def _take(self) -> frozenset[str]:
        names, self._names = self._names, frozenset()
        return names
