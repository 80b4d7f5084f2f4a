"""The one store of the page: time, view, layers and what is known about the run. It knows no toolkit."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from trackersplat.events import FrameDone

Compare = Literal["render", "photo", "wipe", "error"]
Mode = Literal["colour", "depth", "opacity"]
TrailColour = Literal["speed", "track"]

COMPARES: tuple[Compare, ...] = ("render", "photo", "wipe", "error")
MODES: tuple[Mode, ...] = ("colour", "depth", "opacity")
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Comparison:
    """The score of exactly the pixels of the render that are on the screen."""

    camera: str
    held_out: bool
    frame: int
    kind: Compare
    psnr: float  # dB
    width: int  # pixels that were compared
    height: int


@dataclass(frozen=True)
class Draft:
    """The present state of a frame that is being optimised."""

    frame: int
    path: Path  # of its PLY, which the next draft replaces
    serial: int  # counts the drafts, from 1


@dataclass(frozen=True)
class State:
    """What the page shows. Frames are indices from 0."""

    frame_count: int = 1
    frame: int = 0
    playing: bool = False
    speed: float = 1.0
    loop: bool = True

    camera: int | None = None  # the camera looked through; None is the free view
    compare: Compare = "render"
    wipe: float = 0.5  # share of the width that shows the photograph
    mode: Mode = "colour"

    show_cameras: bool = True
    show_trails: bool = True
    show_tracks: bool = False
    trail_length: int = 8  # frames
    trail_colour: TrailColour = "speed"

    out: Path | None = None  # where reconstructions go, once it is known
    runs: tuple[Path, ...] = ()  # all that are known of this capture
    run: Path | None = None  # the run on the screen
    reconstructed: tuple[int, ...] = ()  # its frames, ascending
    records: dict[int, FrameDone] = field(default_factory=dict)  # what was reported of each of its frames; replaced, never changed
    preview: Draft | None = None  # the frame in work
    revision: int = 0  # grows when a frame on disk was replaced
    working_on: int | None = None  # the frame being reconstructed

    renderer: str = ""  # what renders the page, for people; "" until it is known
    ready: bool = False  # the rasteriser is there
    activity: str = ""  # what the page is busy with, for people
    comparison: Comparison | None = None
    trails: int = 0  # grows when the trails of a run have been loaded
    problems: tuple[tuple[str, str], ...] = ()  # (source, sentence)

    def source_frame(self) -> int | None:
        """The frame whose Gaussians are shown: this one, or the nearest earlier (else later) one; None if there is none."""
        if self.preview is not None and self.preview.frame == self.frame:
            return self.frame
        if not self.reconstructed:
            return None
        earlier = [frame for frame in self.reconstructed if frame <= self.frame]
        return earlier[-1] if earlier else self.reconstructed[0]

    def span(self) -> tuple[int, int]:
        """First and last frame that playing runs through: the reconstructed ones if there are several, else all."""
        if len(self.reconstructed) > 1:
            return self.reconstructed[0], self.reconstructed[-1]
        return 0, self.frame_count - 1


# Fields that change the picture; everything else must not cause a redraw.
PICTURE_FIELDS = (
    "frame", "camera", "compare", "wipe", "mode", "show_tracks", "show_trails", "trail_length", "trail_colour", "trails",
    "run", "reconstructed", "preview", "revision", "ready",
)  # fmt: skip

log = logging.getLogger(__name__)

Subscriber = Callable[[State, frozenset[str]], None]


class Store:
    """Holds the state and is the only one that changes and announces it.

    Subscribers are called in order, on the thread that made the change, with the new state and the names of the fields
    that changed. They must be quick (set a widget, wake a worker) and may change the state again. One that fails
    (its page just closed) must stop neither the others nor the thread that made the change.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._subscribers: list[Subscriber] = []
        self._lock = threading.RLock()

    @property
    def state(self) -> State:
        return self._state

    def subscribe(self, subscriber: Subscriber) -> None:
        with self._lock:
            self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        with self._lock:
            self._subscribers.remove(subscriber)

    def set(self, **changes: Any) -> None:
        """Changes fields. A frame outside the capture is moved to its nearest end."""
        with self._lock:
            if "frame" in changes:
                changes["frame"] = min(max(int(changes["frame"]), 0), self._state.frame_count - 1)
            old = self._state
            new = replace(old, **changes)
            changed = frozenset(f.name for f in fields(State) if getattr(old, f.name) != getattr(new, f.name))
            if not changed:
                return
            self._state = new
            for subscriber in tuple(self._subscribers):
                try:
                    subscriber(self._state, changed)
                except Exception:
                    log.exception("a part of the page could not follow the change of %s", ", ".join(sorted(changed)))

    def step(self, frames: int) -> None:
        """Stops playing and moves by some frames."""
        with self._lock:
            self.set(playing=False, frame=self._state.frame + frames)

    def problem(self, source: str, sentence: str | None) -> None:
        """Sets, or with None clears, what one part of the program complains about."""
        with self._lock:
            rest = tuple(entry for entry in self._state.problems if entry[0] != source)
            self.set(problems=rest if sentence is None else (*rest, (source, sentence)))


def advance(frame: int, ticks: int, span: tuple[int, int], loop: bool) -> tuple[int, bool]:
    """The frame after some ticks of playing and whether playing goes on.

    A frame outside the span starts at its beginning; at the end it wraps if ``loop``, else it stays there and stops.
    """
    first, last = span
    if not first <= frame <= last:
        return first, True
    wanted = frame + ticks
    if wanted <= last:
        return wanted, True
    return (first + (wanted - first) % (last - first + 1), True) if loop else (last, False)
