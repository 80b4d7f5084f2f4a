"""The clock that moves the frame while playing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from viewer.state import State, Store, advance


class Playback:
    """Advances the frame in real time (slow pages skip frames) while the store says ``playing``.

    ``watched`` tells whether anybody looks: nothing moves without a page. ``clock``: seconds.
    """

    def __init__(self, store: Store, fps: float, watched: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._fps = fps
        self._watched = watched
        self._clock = clock
        self._wake = threading.Event()
        self._closed = False
        store.subscribe(self._on_change)
        threading.Thread(target=self._run, name="playback", daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    def _on_change(self, state: State, changed: frozenset[str]) -> None:
        if "playing" in changed and state.playing:
            self._wake.set()

    def _run(self) -> None:
        while not self._closed:
            if not self._store.state.playing:
                self._wake.wait()
                self._wake.clear()
            last, owed = self._clock(), 0.0
            while self._store.state.playing and not self._closed:
                time.sleep(0.01)
                state, now = self._store.state, self._clock()
                # A machine that slept must not jump; half a second of arrears is all that is made up for.
                owed += min(now - last, 0.5) * self._fps * state.speed
                last = now
                if not self._watched():
                    owed = 0.0
                if owed < 1:
                    continue
                ticks = int(owed)
                owed -= ticks
                frame, goes_on = advance(state.frame, ticks, state.span(), state.loop)
                if self._store.state.frame == state.frame:  # else somebody just scrubbed
                    self._store.set(frame=frame, playing=goes_on and self._store.state.playing)
