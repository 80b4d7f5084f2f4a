"""The clock of playing: which frame follows, and when. It knows neither the page nor the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

ARREARS = 0.5  # seconds that are made up for after a delay: a machine that slept must not make the frame jump
POLL = 0.005  # seconds between looks at a picture that has not come yet


@dataclass(frozen=True)
class Transport:
    """Where the time of a tab stands, or that which several share. Frames are indices from 0."""

    frame: int = 0
    playing: bool = False
    speed: float = 1.0
    loop: bool = True
    first: int = 0  # of the range that is played, both included
    last: int = 0


def play(transport: Transport) -> Transport:
    """Starts. At the end of the range (or beyond it) playing begins at its first frame, with and without loop."""
    inside = transport.first <= transport.frame < transport.last
    return replace(transport, playing=transport.last > transport.first, frame=transport.frame if inside else transport.first)


def advance(transport: Transport, ticks: int) -> Transport:
    """Some frames later. A frame outside the range goes to its first; at the end it wraps if ``loop``, else it stays there and stops."""
    first, last = transport.first, transport.last
    if not transport.playing or ticks < 1:
        return transport
    if not first <= transport.frame <= last:
        return replace(transport, frame=first)
    wanted = transport.frame + ticks
    if transport.loop:
        return replace(transport, frame=first + (wanted - first) % (last - first + 1))
    return replace(transport, frame=min(wanted, last), playing=wanted < last)


class Watched(Protocol):
    """The tab, or the tabs that share one time."""

    def transport(self) -> Transport: ...

    def show(self, frame: int, playing: bool) -> None:
        """Makes this the current frame and asks for its picture."""

    def acknowledged_frame(self) -> int | None:
        """The frame of the picture on the screen (of the slowest tab if several share the time); None if nobody waits for pictures."""

    def is_watched(self) -> bool:
        """Whether anybody looks: nothing moves without a page."""


class Player:
    """Plays in real time and never ahead of the page: a frame follows when the picture of the one before is on the screen.

    A page that is slower than the clip skips frames; half a second of arrears is all that is made up for. ``clock``: seconds.
    """

    def __init__(
        self,
        watched: Watched,
        fps: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._watched = watched
        self._fps = fps
        self._clock = clock
        self._sleep = sleep
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """To be called on the event loop when playing has begun."""
        self._wake.set()

    async def run(self) -> None:
        """Plays whenever the transport says so, until it is cancelled."""
        while True:
            self._wake.clear()
            if not self._watched.transport().playing:
                await self._wake.wait()
                continue
            await self._play()

    async def _play(self) -> None:
        last, owed = self._clock(), 0.0  # frames, with a fraction
        before = self._watched.transport().frame
        while (transport := self._watched.transport()).playing:
            now = self._clock()
            rate = self._fps * transport.speed
            owed = min(owed + (now - last) * rate, max(ARREARS * rate, 1.0))
            last = now
            if transport.frame != before or not self._watched.is_watched():  # somebody just moved the frame, or nobody looks
                owed, before = 0.0, transport.frame
            on_screen = self._watched.acknowledged_frame() in (None, transport.frame)
            if on_screen and owed >= 1.0:
                following = advance(transport, int(owed))
                owed -= int(owed)
                before = following.frame
                self._watched.show(following.frame, following.playing)
            await self._sleep(max((1.0 - owed) / rate, 0.001) if on_screen and owed < 1.0 and self._watched.is_watched() else POLL)
